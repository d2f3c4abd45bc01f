/** The program of an exec: what of the container the command joins, and its monitor's configuration (native/monitor.h). */
import { join } from 'node:path';
import { birthCgroup } from '../cgroup/birth.ts';
import { codeOf } from '../error.ts';
import { O_DIRECTORY, O_RDONLY } from '../linux/constants.ts';
import { SyscallError } from '../linux/errno.ts';
import { AT_FDCWD, openat } from '../linux/fs.ts';
import type { Program } from '../program/program.ts';
import { compileExec } from '../runtime/compile/exec.ts';
import { foreignNamespaces } from '../runtime/namespaces.ts';
import type { Process } from '../runtime/spec.ts';
import { step } from '../trace.ts';
import { notRunning } from './active.ts';
import { readKeptFilter } from './kept-filter.ts';
import { encodeMonitorConfig } from './monitor.ts';
import { ownCommand } from './own-command.ts';
import { buildProcess, isLenient } from './process.ts';
import type { Container } from './record.ts';
import type { Foreground } from './start.ts';
import { compileCommand as compileStep } from './steps.ts';
import type { ContainerStore } from './store.ts';
import { isTraced, isTracedByOthers } from './tracing.ts';
import { mappingsOf } from './userns.ts';

/** The cgroup to be born in, open; -1 where the container has none. */
export function openCgroup(container: Container): number {
  const { state } = container;
  const path = state.start?.cgroup ?? '';
  if (path === '') return -1;
  try {
    return openat(AT_FDCWD, birthCgroup(path, state.pid), O_RDONLY | O_DIRECTORY);
  } catch (error) {
    // It went away with the container.
    if (error instanceof SyscallError || codeOf(error) === 'ENOENT') throw notRunning(container);
    throw error;
  }
}

/** Compiles the command's program, with the configuration of its monitor. */
export function compileCommand(
  store: ContainerStore,
  { record, state }: Container,
  process: Process,
  setup: {
    seccomp: Uint8Array | undefined;
    intoCgroup: boolean;
    stdin: boolean;
    foreground: Foreground;
    execId: string;
  },
): Program {
  return step(compileStep(), () => {
    const { foreground } = setup;
    const userns = mappingsOf(state.pid, record.options);
    const pidLast = isTraced(record, userns !== undefined) || isTracedByOthers(store, record);
    const started = compileExec({
      process: pidLast ? { ...process, consoleSize: { height: foreground.rows, width: foreground.columns } } : process,
      namespaces: foreignNamespaces(state.pid),
      pidLast,
      intoCgroup: setup.intoCgroup,
      stdin: setup.stdin,
      target: 'inherited',
      sync: true,
      userns,
      seccomp: setup.seccomp,
      lenientRlimit: isLenient(record.options),
    });
    const { builder: b, stdio } = started;
    const reap = ownCommand(store, ['reap-exec', record.id, setup.execId]);
    const strings = (list: readonly string[], label: string) =>
      b.pointers(
        list.map((text) => b.text(text)),
        label,
      );
    const streams =
      stdio.kind === 'terminal'
        ? { stdinFd: stdio.master, stdoutFd: stdio.master }
        : { stdinFd: stdio.stdin?.monitor, stdoutFd: stdio.stdout.monitor, stderrFd: stdio.stderr.monitor };
    const keys = foreground.detachKeys;
    const config = encodeMonitorConfig({
      tty: stdio.kind === 'terminal',
      stdin: setup.stdin ? 'once' : 'none',
      foreground,
      log: undefined,
      record: true,
      pid: started.pid,
      ...streams,
      reap: { argv: strings(reap.argv, 'argv of reap'), envp: strings(reap.envp, 'envp of reap') },
      portCount: 0,
      detachKeys: keys.length === 0 ? undefined : b.bytes(keys, 'detach keys'),
      size: foreground.rows === 0 ? undefined : foreground,
    });
    return started.build(b.bytes(config, 'struct monitor_config'));
  });
}

/** The container's filter, also where the command has more capabilities: as docker has it. */
export async function filterOf(
  store: ContainerStore,
  { record, directory }: Container,
): Promise<Uint8Array | undefined> {
  const kept = readKeptFilter(directory);
  if (kept !== undefined) return kept === 'none' ? undefined : kept;
  // Started by a version that did not keep it.
  const { loadSeccomp } = await import('./security.ts');
  const root = { uid: 0, gid: 0, additionalGids: [], home: '/' };
  const { capabilities } = buildProcess(record, root, { terminal: false, term: undefined });
  return loadSeccomp(record.options, capabilities?.bounding ?? [], join(store.root, 'cache', 'seccomp'));
}
