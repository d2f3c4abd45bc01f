/** Hooks that run in the namespaces of the container: createContainer, before its root changes, and startContainer. */
import { closeSync, openSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { TsrunError } from '../error.ts';
import { availableCapabilities, capabilityNames } from '../linux/capabilities.ts';
import { syscall } from '../linux/ffi.ts';
import { close, sealedMemfd } from '../linux/fs.ts';
import { openPidfd } from '../linux/process.ts';
import { compileUnattendedExec } from '../runtime/compile/exec.ts';
import { foreignNamespaces } from '../runtime/namespaces.ts';
import type { Hook, Process, State } from '../runtime/spec.ts';
import { hookFailed } from './hooks.ts';
import { failureOf, Machine } from './machine.ts';
import type { OciContainer } from './store.ts';

/** Where a hook runs, and the environment of hooks without their own. */
interface Surroundings {
  cwd: string;
  env: readonly string[];
}

/** As `runHooks`, as root with all capabilities where the container's first process is; `cwd` is a path there. */
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
  { cwd, env }: Surroundings,
  stdio: [number, number, number],
): string | undefined {
  const { record } = container;
  const target = openPidfd(record.pid, record.startTime);
  if (target === undefined) throw new TsrunError('PROGRAM', 'the container has ended');
  const namespaces = foreignNamespaces(record.pid);
  // Who enters a user namespace has all of them there.
  const all = namespaces.includes('user') ? capabilityNames : availableCapabilities();
  const command: Process = {
    cwd,
    user: { uid: 0, gid: 0 },
    args: [hook.args?.[0] ?? hook.path, ...(hook.args ?? []).slice(1)],
    env: hook.env ?? [...env],
    capabilities: { bounding: [...all], effective: [...all], permitted: [...all] },
  };
  try {
    const program = compileUnattendedExec({
      process: command,
      namespaces,
      pidLast: false,
      intoCgroup: false,
      stdin: true,
      target: 'inherited',
      sync: true,
      seccomp: undefined,
      lenientRlimit: () => true,
      unattended: { console: false, preserved: 0, seccompFlags: 0, labels: {}, stays: true, executable: hook.path },
    });
    const machine = new Machine(program, { target, preserved: 0, stdio, stays: true });
    try {
      for (;;) {
        const message = machine.next();
        if (message.kind === 'failed') throw failureOf(program, message.operation, message.errno, command.args ?? []);
        if (message.kind !== 'end') continue;
        const status = machine.wait(hook.timeout === undefined ? undefined : hook.timeout * 1000);
        if (status === undefined) return `hook ran past specified timeout of ${hook.timeout}s`;
        return status === 0 ? undefined : `exit status ${status}`;
      }
    } finally {
      machine.close();
    }
  } finally {
    close(target);
  }
}
