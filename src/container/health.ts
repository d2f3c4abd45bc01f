/** The health check of a container: from flags and image to the program that the monitor runs on its clock. */
import { TsrunError } from '../error.ts';
import { encodeProgram } from '../program/encode.ts';
import type { UserNamespace } from '../runtime/compile/context.ts';
import { compileExec } from '../runtime/compile/exec.ts';
import type { Spec } from '../runtime/spec.ts';
import { monitorVersion } from './monitor.ts';
import type { ContainerRecord, Healthcheck } from './record.ts';
import type { RunOptions } from './run-options.ts';
import { isTraced } from './tracing.ts';

/** Layout and numbers of struct health_config in native/monitor.h; a test reads them out of the header. */
export const healthConfigSize = 48;
export const healthActions = { none: 0, kill: 1, restart: 2 } as const;

/** Docker's values where none is given; milliseconds. */
const defaults = { interval: 30_000, timeout: 30_000, startInterval: 5000, retries: 3 };

/** What flags say over what the image says, field by field, as docker does it. Undefined: there is no check. */
export function mergeHealthcheck(flags: RunOptions['health'], image: Healthcheck | undefined): Healthcheck | undefined {
  if (flags === undefined) return image;
  const test = flags.test.length > 0 ? flags.test : (image?.test ?? []);
  if (test.length === 0) return undefined;
  return {
    test,
    interval: flags.interval || (image?.interval ?? 0),
    timeout: flags.timeout || (image?.timeout ?? 0),
    startPeriod: flags.startPeriod || (image?.startPeriod ?? 0),
    startInterval: flags.startInterval || (image?.startInterval ?? 0),
    retries: flags.retries || (image?.retries ?? 0),
  };
}

/** The command of a check; undefined: none is run. Throws `USAGE` for a kind that docker does not know. */
function commandOf({ test: [kind = 'NONE', ...words] }: Healthcheck): string[] | undefined {
  if (kind === 'NONE') return undefined;
  if (kind === 'CMD') return words.length === 0 ? undefined : words;
  if (kind === 'CMD-SHELL') return ['/bin/sh', '-c', ...words];
  throw new TsrunError('USAGE', `unknown kind of health check "${kind}"`, {
    hint: 'there are CMD, CMD-SHELL and NONE',
  });
}

/** Whether the container has a check that runs. */
export function isChecked(healthcheck: Healthcheck | undefined): boolean {
  return healthcheck !== undefined && commandOf(healthcheck) !== undefined;
}

function usernsOf({ linux }: Spec): Pick<UserNamespace, 'uids' | 'gids'> | undefined {
  const { uidMappings: uids, gidMappings: gids } = linux ?? {};
  return uids === undefined || gids === undefined ? undefined : { uids, gids };
}

/** The bytes of the check's program, with the configuration that the monitor looks for in it. */
export function healthProgram(
  record: Pick<ContainerRecord, 'healthcheck' | 'options'>,
  spec: Spec,
  { intoCgroup, seccomp }: { intoCgroup: boolean; seccomp: Uint8Array | undefined },
): Buffer | undefined {
  const { healthcheck } = record;
  const args = healthcheck === undefined ? undefined : commandOf(healthcheck);
  if (healthcheck === undefined || args === undefined || spec.process === undefined) return undefined;
  const userns = usernsOf(spec);
  const program = compileExec({
    process: { ...spec.process, args, terminal: false },
    namespaces: (spec.linux?.namespaces ?? []).map(({ type }) => type),
    pidLast: isTraced(record, userns !== undefined),
    intoCgroup,
    stdin: false,
    target: 'slot',
    sync: false,
    userns,
    seccomp,
    lenientRlimit: () => true,
  });
  const { stdio, target } = program;
  if (stdio.kind !== 'pipes' || target === undefined) throw new Error('a health check has pipes and a target');
  const action = healthActions[record.options.health?.onFailure ?? 'none'];
  const words = [
    monitorVersion,
    target.offset,
    program.pid.offset,
    stdio.stdout.monitor.offset,
    stdio.stderr.monitor.offset,
    healthcheck.interval || defaults.interval,
    healthcheck.timeout || defaults.timeout,
    healthcheck.startPeriod,
    healthcheck.startInterval || defaults.startInterval,
    healthcheck.retries || defaults.retries,
    action,
  ];
  const config = Buffer.alloc(healthConfigSize);
  words.forEach((word, index) => {
    config.writeUInt32LE(Math.round(word), index * 4);
  });
  return encodeProgram(program.build(program.builder.bytes(config, 'struct health_config')));
}
