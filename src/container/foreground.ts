/**
 * A client of a monitor: terminal in raw mode, window size, signals. The data itself goes between the caller's descriptors
 * and the monitor, and never through this process.
 */
import { signals } from '../linux/signals.ts';
import { isTty, makeRaw, windowSize } from '../linux/tty.ts';
import type { Foreground } from './start.ts';

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

/** A client's connection to a monitor: of a start, an exec or an attach. */
export interface ClientControl {
  resize(rows: number, columns: number): void;
  holdStdin(hold: boolean): void;
}

/** How a client ends: with an exit status, or before: the detach keys were typed, or nobody reads what it prints. */
export type ClientEnd = number | 'detached' | 'unread';

export interface ClientOptions {
  /** The other side has a terminal. */
  terminal: boolean;
  /** This client types into it. */
  stdin: boolean;
  /** Takes the signals that tsrun gets; absent: they do to tsrun what they always do. */
  proxy?: ((signal: number) => void) | undefined;
  /** The terminal is raw already, and this puts it back. */
  restore?: (() => void) | undefined;
}

/**
 * Makes the terminal raw where a client types into another one; returns what puts it back. To be done before the other side
 * can print: an answer of the terminal, to a question where its cursor is, would be echoed.
 */
export function rawTerminal({ terminal, stdin }: Pick<ClientOptions, 'terminal' | 'stdin'>): (() => void) | undefined {
  return terminal && stdin && isTty(0) ? makeRaw(0) : undefined;
}

/** Runs `finish` as the client of a monitor: with its terminal in raw mode, following its size, passing on its signals. */
export async function asClient<T>(
  control: ClientControl,
  options: ClientOptions,
  finish: () => Promise<T>,
): Promise<T> {
  let { restore } = options;
  const resize = (): void => {
    const { rows, columns } = windowSize(1);
    if (rows > 0) control.resize(rows, columns);
  };
  const handlers = new Map<NodeJS.Signals, () => void>();
  if (options.terminal && isTty(1)) {
    resize();
    handlers.set('SIGWINCH', resize);
  }
  if (!options.terminal && options.stdin && isTty(0)) {
    // Ctrl-Z: while this process is stopped its terminal belongs to the shell, and the monitor must not read from it.
    handlers.set('SIGTSTP', () => {
      control.holdStdin(true);
      process.kill(process.pid, 'SIGSTOP');
    });
    handlers.set('SIGCONT', () => control.holdStdin(false));
  }
  const { proxy } = options;
  if (proxy !== undefined) {
    for (const [name, number] of Object.entries(signals)) {
      if (!notProxied.has(name)) handlers.set(name as NodeJS.Signals, () => proxy(number));
    }
  }
  for (const [name, handler] of handlers) process.on(name, handler);
  try {
    restore ??= rawTerminal(options);
    return await finish();
  } finally {
    for (const [name, handler] of handlers) process.off(name, handler);
    restore?.();
  }
}
