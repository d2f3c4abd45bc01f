/** Starting a process in the small engine: a child that shares this one's memory until it has called execve (man 2 vfork). */
import { answerOf, layCalls, sizeOfCalls } from './child.ts';
import {
  AT_FDCWD,
  CLONE_VFORK,
  CLONE_VM,
  F_DUPFD_CLOEXEC,
  O_CLOEXEC,
  O_RDWR,
  POLLIN,
  SIG_SETMASK,
  WNOHANG,
} from './constants.ts';
import { addressOf, keepAlive, rawChild, syscall } from './ffi.ts';
import { signals } from './signals.ts';
import type { SmallEngine } from './small-engine.ts';
import type { CommonSyscall } from './syscalls.ts';

export interface ProcessOptions {
  argv: readonly string[];
  environment: readonly string[];
  /** Descriptors for 0, 1, … of the new process; undefined for none. */
  stdio: readonly (number | undefined)[];
  /** A session of its own. */
  isDetached: boolean;
  cwd?: string | undefined;
}

/** Pointers to texts, ending with a null, and what they point to. */
function textArray(texts: readonly string[]): { pointers: Buffer; kept: Buffer[] } {
  const kept = texts.map((text) => Buffer.from(`${text}\0`));
  const pointers = Buffer.alloc((texts.length + 1) * 8);
  kept.forEach((text, index) => {
    pointers.writeBigUInt64LE(addressOf(text), index * 8);
  });
  return { pointers, kept };
}

/** Runs a file. Returns its pid, or a negative errno where there is no process, or none that could execute it. */
export function startProcess(file: string, { argv, environment, stdio, isDetached, cwd }: ProcessOptions): number {
  const args = textArray(argv);
  const variables = textArray(environment);
  const path = Buffer.from(`${file}\0`);
  const directory = Buffer.from(`${cwd ?? ''}\0`);
  const noSignals = Buffer.alloc(8);
  const byDefault = Buffer.alloc(32);
  const copies: number[] = [];
  const calls: [name: CommonSyscall, ...args: (number | bigint)[]][] = [];
  const call = (...of: (typeof calls)[number]): number => calls.push(of);
  // What lies where another shall be is moved out of the way first: in this process, where its new number is known.
  const sources = stdio.map((fd) => {
    if (fd === undefined || fd >= stdio.length) return fd;
    const copy = syscall('fcntl', fd, F_DUPFD_CLOEXEC, stdio.length);
    copies.push(copy);
    return copy;
  });
  const refused = copies.find((copy) => copy < 0);
  if (refused !== undefined) {
    for (const copy of copies) if (copy >= 0) syscall('close', copy);
    return refused;
  }
  call('rt_sigaction', signals.SIGPIPE, addressOf(byDefault), 0, 8);
  call('rt_sigprocmask', SIG_SETMASK, addressOf(noSignals), 0, 8);
  if (isDetached) call('setsid');
  if (cwd !== undefined) call('chdir', addressOf(directory));
  sources.forEach((fd, target) => {
    if (fd === undefined) call('close', target);
    else call('dup3', fd, target, 0);
  });
  call('execve', addressOf(path), addressOf(args.pointers), addressOf(variables.pointers));
  const executed = calls.length - 1;
  call('exit_group', 127);
  const memory = Buffer.alloc(sizeOfCalls(calls.length));
  layCalls(memory, calls);
  const pid = rawChild(CLONE_VM | CLONE_VFORK | signals.SIGCHLD, memory);
  keepAlive(path, directory, noSignals, byDefault, args.pointers, ...args.kept, variables.pointers, ...variables.kept);
  for (const copy of copies) syscall('close', copy);
  const result = answerOf(memory, executed);
  if (pid > 0 && result < 0) {
    syscall('wait4', pid, 0, 0, 0);
    return result;
  }
  return pid;
}

/** The end of a process that this one has started: its wait status (man 2 wait4), undefined while it runs. */
export function statusOf(pid: number, wait: boolean): number | undefined {
  const status = Buffer.alloc(4);
  return syscall('wait4', pid, status, wait ? 0 : WNOHANG, 0) === pid ? status.readInt32LE(0) : undefined;
}

/** As `spawnDetached` of spawn.ts. */
export function spawnBySmall(
  engine: SmallEngine,
  file: string,
  args: readonly string[],
  { argv0, stdio }: { argv0: string; stdio: readonly (number | 'ignore')[] },
  onExit: () => void,
): { pid: number; kill(signal: 'SIGKILL'): void; ref(): void } | undefined {
  const unused = stdio.slice(0, 3).includes('ignore')
    ? syscall('openat', AT_FDCWD, '/dev/null', O_RDWR | O_CLOEXEC)
    : -1;
  const pid = startProcess(file, {
    argv: [argv0, ...args],
    environment: [],
    stdio: stdio.map((fd, target) => (fd === 'ignore' ? (target < 3 ? unused : undefined) : fd)),
    isDetached: true,
    cwd: '/',
  });
  if (unused >= 0) syscall('close', unused);
  if (pid <= 0) return undefined;
  // It cannot have been waited for, so that the number is still its own.
  let pidfd = syscall('pidfd_open', pid, 0);
  if (pidfd < 0) {
    syscall('kill', pid, signals.SIGKILL);
    statusOf(pid, true);
    return undefined;
  }
  const watch = engine.watch(pidfd, POLLIN, () => {
    watch.end();
    statusOf(pid, true);
    syscall('close', pidfd);
    pidfd = -1;
    onExit();
  });
  watch.isHolding = false;
  return {
    pid,
    kill: () => void syscall('pidfd_send_signal', pidfd, signals.SIGKILL, 0, 0),
    ref: () => {
      watch.isHolding = true;
    },
  };
}
