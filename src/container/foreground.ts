/**
 * The foreground client of a container: terminal in raw mode, window size, signals, exit status. The data itself goes
 * between the caller's descriptors and the monitor, and never through this process.
 */
import { constants } from 'node:os';
import { isTty, makeRaw, windowSize } from '../linux/tty.ts';
import { finishForeground } from './launch.ts';
import type { Container } from './record.ts';
import { signalProcess } from './signal.ts';
import type { Foreground, StartedContainer } from './start.ts';
import type { ContainerStore } from './store.ts';

/** Signals that are for tsrun itself, or that the kernel sends for reasons of its own. */
const notProxied = new Set([
  'SIGCHLD',
  'SIGPIPE',
  'SIGKILL',
  'SIGSTOP',
  'SIGWINCH',
  'SIGURG',
  'SIGPROF',
  'SIGTTIN',
  'SIGTTOU',
  'SIGCONT',
  'SIGTSTP',
  'SIGSEGV',
  'SIGBUS',
  'SIGFPE',
  'SIGILL',
  'SIGABRT',
  'SIGIOT',
  'SIGTRAP',
  'SIGSYS',
  'SIGSTKFLT',
  'SIGIO',
  'SIGPOLL',
  'SIGPWR',
  'SIGVTALRM',
  'SIGUNUSED',
  'SIGINFO',
  'SIGLOST',
  'SIGBREAK',
]);

/** What of the caller's terminal a container gets. */
export function foregroundOf(
  streams: { stdin: boolean; stdout: boolean; stderr: boolean },
  terminal: boolean,
  detachKeys: Uint8Array,
): Foreground {
  const size = terminal ? windowSize(1) : { rows: 0, columns: 0 };
  return { ...streams, ...size, detachKeys: terminal || streams.stdin ? detachKeys : new Uint8Array() };
}

/**
 * Stays with a started container until it ends. Signals that tsrun gets go to the container's first process when
 * `sigProxy`. Returns the exit status, or 'detached'.
 */
export async function followForeground(
  store: ContainerStore,
  container: Container,
  started: StartedContainer,
  options: { terminal: boolean; stdin: boolean; sigProxy: boolean },
  onNotice: (line: string) => void,
): Promise<number | 'detached'> {
  const running = {
    ...container,
    state: { ...container.state, status: 'running' as const, pid: started.pid, start: started.start },
  };
  let restore: (() => void) | undefined;
  const resize = (): void => {
    const { rows, columns } = windowSize(1);
    if (rows > 0) started.monitor.resize(rows, columns);
  };
  const handlers = new Map<NodeJS.Signals, () => void>();
  if (options.terminal && isTty(1)) {
    resize();
    handlers.set('SIGWINCH', resize);
  }
  if (!options.terminal && options.stdin && isTty(0)) {
    // Ctrl-Z: while this process is stopped its terminal belongs to the shell, and the monitor must not read from it.
    handlers.set('SIGTSTP', () => {
      started.monitor.holdStdin(true);
      process.kill(process.pid, 'SIGSTOP');
    });
    handlers.set('SIGCONT', () => started.monitor.holdStdin(false));
  }
  if (options.sigProxy) {
    for (const [name, number] of Object.entries(constants.signals)) {
      if (!notProxied.has(name)) handlers.set(name as NodeJS.Signals, () => void signalProcess(running, number));
    }
  }
  for (const [name, handler] of handlers) process.on(name, handler);
  try {
    if (options.terminal && options.stdin && isTty(0)) restore = makeRaw(0);
    return await finishForeground(store, container, started, onNotice);
  } finally {
    for (const [name, handler] of handlers) process.off(name, handler);
    restore?.();
  }
}
