/** The process of a container's start or exec, as the OCI runtime config has it: environment, identity, limits. */
import { availableCapabilities, containerCapabilities } from '../linux/capabilities.ts';
import type { Process, Rlimit } from '../runtime/spec.ts';
import type { ContainerRecord } from './record.ts';
import type { RunOptions } from './run-options.ts';
import type { ResolvedUser } from './users.ts';

export interface ProcessChoices {
  terminal: boolean;
  /** Of the caller's terminal. */
  term: string | undefined;
  /** All capabilities, whatever the container has (`exec --privileged`). */
  privileged?: boolean;
}

/** What the container's options make of a process of `user`; command, environment and directory are the container's. */
export function buildProcess(record: ContainerRecord, user: ResolvedUser, choices: ProcessChoices): Process {
  const { options } = record;
  const capabilities = containerCapabilities({
    add: options.capAdd,
    drop: options.capDrop,
    privileged: choices.privileged ?? options.privileged,
    available: availableCapabilities(),
  });
  const root = user.uid === 0;
  return {
    terminal: choices.terminal,
    user: { uid: user.uid, gid: user.gid, additionalGids: user.additionalGids },
    args: record.process.args,
    env: withDefaults(record.process.env, record.hostname, user, choices),
    cwd: record.process.cwd,
    capabilities: {
      bounding: capabilities,
      effective: root ? capabilities : [],
      permitted: root ? capabilities : [],
      inheritable: [],
    },
    rlimits: rlimits(options),
    noNewPrivileges: options.securityOpt.some((option) => /^no-new-privileges([:=]true)?$/.test(option)),
    ...(options.oomScoreAdj === undefined ? {} : { oomScoreAdj: options.oomScoreAdj }),
  };
}

function withDefaults(
  base: readonly string[],
  hostname: string,
  user: ResolvedUser,
  { terminal, term }: ProcessChoices,
): string[] {
  const env = [...base];
  const add = (name: string, value: string): void => {
    if (!env.some((entry) => entry.startsWith(`${name}=`))) env.push(`${name}=${value}`);
  };
  add('HOSTNAME', hostname);
  if (terminal) add('TERM', term || 'xterm');
  add('HOME', user.home);
  return env;
}

function rlimits(options: RunOptions): Rlimit[] {
  const asked = options.ulimits.map(({ name, soft, hard }) => ({ type: `RLIMIT_${name.toUpperCase()}`, soft, hard }));
  if (asked.some((limit) => limit.type === 'RLIMIT_NOFILE')) return asked;
  return [{ type: 'RLIMIT_NOFILE', soft: 1048576, hard: 1048576 }, ...asked];
}

/** Whether a limit was not asked for: a refusal to raise it stops nothing. */
export function isLenient(options: RunOptions): (type: string) => boolean {
  const asked = new Set(options.ulimits.map(({ name }) => `RLIMIT_${name.toUpperCase()}`));
  return (type) => !asked.has(type);
}
