/**
 * `run` and `exec` that wait: this process is the subreaper of what it started (man 2 prctl), passes signals on, and copies
 * between its own terminal and that of the container.
 */
import { PR_SET_CHILD_SUBREAPER } from '../linux/constants.ts';
import { errno } from '../linux/errno.ts';
import { syscall } from '../linux/ffi.ts';
import { check } from '../linux/fs.ts';
import { signals } from '../linux/signals.ts';
import type { copyTerminal } from './copy-terminal.ts';

/** Orphans below become children of this process. */
export function becomeSubreaper(): void {
  check(syscall('prctl', PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0), 'prctl');
}

const WNOHANG = 1;

/** The exit status of `pid` when it has ended: 128+n for signal n. Undefined while it runs. */
function reap(pid: number): number | undefined {
  const status = Buffer.alloc(8);
  const result = syscall('wait4', pid, status, WNOHANG, 0);
  if (result === 0 || result === -errno.EINTR) return undefined;
  // It is not this process's child yet: who ran the program is about to end.
  if (result === -errno.ECHILD) return undefined;
  check(result, 'wait4');
  const word = status.readUInt32LE(0);
  return (word & 0x7f) === 0 ? (word >> 8) & 0xff : 128 + (word & 0x7f);
}

/** Signals that are this process's own matter, or cannot be passed on. */
const own = new Set([
  'SIGKILL',
  'SIGSTOP',
  'SIGCHLD',
  'SIGPIPE',
  'SIGURG',
  'SIGPROF',
  'SIGWINCH',
  'SIGTTIN',
  'SIGTTOU',
]);

/**
 * Waits for the end of a process and returns its exit status. `console` is the socket that gets the terminal's master, from and to
 * which `copy` copies.
 */
export async function waitForProcess(
  pid: number,
  console: number | undefined,
  copy: typeof copyTerminal,
): Promise<number> {
  const undo: (() => void)[] = [];
  const on = (name: NodeJS.Signals, listener: () => void): void => {
    process.on(name, listener);
    undo.push(() => process.off(name, listener));
  };
  const flush = console === undefined ? async () => {} : copy(console, on, undo);
  for (const name of Object.keys(signals) as NodeJS.Signals[]) {
    if (own.has(name) || /^SIG(ABRT|BUS|FPE|ILL|SEGV|IOT|STKFLT|UNUSED|POLL|PWR|SYS|TRAP|XCPU|XFSZ)$/.test(name))
      continue;
    on(name, () => {
      try {
        process.kill(pid, name);
      } catch {
        // it has ended
      }
    });
  }
  const status = await new Promise<number>((resolve) => {
    const look = (): void => {
      const found = reap(pid);
      if (found !== undefined) resolve(found);
    };
    on('SIGCHLD', look);
    // A child of somebody else that ends before it becomes ours makes no signal here.
    const timer = setInterval(look, 100);
    undo.push(() => clearInterval(timer));
    look();
  });
  await flush();
  for (const step of undo.reverse()) step();
  return status;
}
