/** Hooks that run in the namespaces of the container: createContainer, before its root changes, and startContainer. */
import { closeSync, openSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { TsrunError } from '../error.ts';
import { availableCapabilities, capabilityNames } from '../linux/capabilities.ts';
import { syscall } from '../linux/ffi.ts';
import { close, sealedMemfd } from '../linux/fs.ts';
import { openPidfd } from '../linux/process.ts';
import { signals } from '../linux/signals.ts';
import { compileUnattendedExec } from '../runtime/compile/exec.ts';
import { foreignNamespaces } from '../runtime/namespaces.ts';
import { seccompFlags } from '../runtime/seccomp/index.ts';
import type { Hook, Process, Spec, State } from '../runtime/spec.ts';
import { openCgroups } from './exec-cgroup.ts';
import { hookFailed } from './hooks.ts';
import { labelsOf } from './labels.ts';
import { handListener } from './listener.ts';
import { failureOf, Machine } from './machine.ts';
import type { OciContainer } from './store.ts';

/** Where a hook runs, and the environment of hooks without their own. */
interface Surroundings {
  cwd: string;
  env: readonly string[];
  /**
   * Whose process the hook is like: it has the user, capabilities, filter, limits and cgroup of that. A program of the
   * image is behind no other wall than the command of the image. Without: root with all capabilities.
   */
  confinedBy?: Spec;
}

/** As `runHooks`, where the container's first process is; `cwd` is a path there. */
export function runHooksInside(
  kind: string,
  hooks: readonly Hook[] | undefined,
  state: State,
  container: OciContainer,
  surroundings: Surroundings,
): void {
  (hooks ?? []).forEach((hook, index) => {
    const outputPath = join(container.directory, 'hook.output');
    const output = openSync(outputPath, 'wx', 0o600);
    const input = sealedMemfd('tsrun-hook', Buffer.from(JSON.stringify(state)));
    // The memfd is read from its beginning.
    syscall('lseek', input, 0, 0);
    try {
      const problem = run(hook, container, surroundings, [input, output, output]);
      if (problem !== undefined) {
        throw hookFailed(kind, index, hook, problem, readFileSync(outputPath, 'utf8'));
      }
    } finally {
      closeSync(output);
      close(input);
      rmSync(outputPath, { force: true });
    }
  });
}

/** Runs it and says what went wrong. */
function run(
  hook: Hook,
  container: OciContainer,
  surroundings: Surroundings,
  stdio: [number, number, number],
): string | undefined {
  const { record } = container;
  const { confinedBy } = surroundings;
  const target = openPidfd(record.pid, record.startTime);
  if (target === undefined) throw new TsrunError('PROGRAM', 'the container has ended');
  const namespaces = foreignNamespaces(record.pid);
  const command = commandOf(hook, surroundings, namespaces.includes('user'));
  const profile = confinedBy?.linux?.seccomp;
  const { fd: cgroup, v1Procs } = confinedBy === undefined ? { fd: -1, v1Procs: [] } : openCgroups(record, []);
  try {
    const program = compileUnattendedExec({
      process: command,
      namespaces,
      pidLast: false,
      intoCgroup: cgroup >= 0,
      stdin: true,
      target: 'inherited',
      sync: true,
      seccomp: profile === undefined ? undefined : container.filter(),
      lenientRlimit: () => confinedBy === undefined,
      unattended: {
        console: false,
        preserved: 0,
        v1Procs,
        seccompFlags: profile === undefined ? 0 : seccompFlags(profile),
        labels: labelsOf(command),
        stays: true,
        executable: hook.path,
      },
    });
    const machine = new Machine(program, { target, cgroup, preserved: 0, stdio, stays: true });
    try {
      let pid = 0;
      for (;;) {
        const message = machine.next();
        if (message.kind === 'failed') throw failureOf(program, message.operation, message.errno, command.args ?? []);
        if (message.kind === 'created') pid = message.pid;
        if (message.kind === 'listener') {
          handListener(container, pid, 0, profile);
          machine.proceed();
        }
        if (message.kind !== 'end') continue;
        const status = machine.wait(hook.timeout === undefined ? undefined : hook.timeout * 1000);
        if (status === undefined) return `hook ran past specified timeout of ${hook.timeout}s`;
        if (status === badSystemCall && profile !== undefined) {
          return `exit status ${status}: bad system call, which the seccomp filter of the container forbids`;
        }
        return status === 0 ? undefined : `exit status ${status}`;
      }
    } finally {
      machine.close();
    }
  } finally {
    close(target);
    close(cgroup);
  }
}

/** The status of what SIGSYS ended. */
const badSystemCall = 128 + (signals.SIGSYS ?? 0);

function commandOf(hook: Hook, { cwd, env, confinedBy }: Surroundings, inUserNamespace: boolean): Process {
  const own = {
    cwd,
    args: [hook.args?.[0] ?? hook.path, ...(hook.args ?? []).slice(1)],
    env: hook.env ?? [...env],
  };
  if (confinedBy?.process !== undefined) return { ...confinedBy.process, ...own, terminal: false };
  // Who enters a user namespace has all of them there.
  const all = inUserNamespace ? capabilityNames : availableCapabilities();
  return {
    ...own,
    user: { uid: 0, gid: 0 },
    capabilities: { bounding: [...all], effective: [...all], permitted: [...all] },
  };
}
