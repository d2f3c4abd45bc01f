/**
 * Runs a program that leaves its process behind (native/start.c, `leave`): who ran it ends at once, so that the process
 * becomes a child of the caller's subreaper, conmon or a shim.
 */
import { TsrunError } from '../error.ts';
import { SOCK_SEQPACKET } from '../linux/constants.ts';
import { errnoName } from '../linux/errno.ts';
import { syscall } from '../linux/ffi.ts';
import { check, close, sealedMemfd, uninterrupted } from '../linux/fs.ts';
import { monitorExecutable } from '../linux/monitor-executable.ts';
import { type Spawned, spawnDetached } from '../linux/spawn.ts';
import { receive, send, socketPair, waitReadable } from '../linux/unix-socket.ts';
import { encodeProgram } from '../program/encode.ts';
import type { Program } from '../program/program.ts';
import { describeFailure } from '../program/render.ts';
import {
  errorFdOf,
  fdCgroup,
  fdConsole,
  fdProgram,
  fdStart,
  fdSync,
  fdTarget,
  messageCreated,
  messageError,
  messageListener,
  messageMounted,
  messageReady,
} from '../runtime/compile/context.ts';

/** What is handed to the process, by what it is for. */
export interface Descriptors {
  console?: number | undefined;
  start?: number | undefined;
  cgroup?: number | undefined;
  target?: number | undefined;
  /** Instead of this process's own 0, 1 and 2. */
  stdio?: readonly [number, number, number];
  /** This process's 3, 4, …: how many of them. */
  preserved: number;
  /** Who runs the program waits for its child, and ends with the child's status. */
  stays?: boolean;
}

export type Message =
  | { kind: 'created'; pid: number }
  | { kind: 'mounted' | 'ready' | 'listener' }
  | { kind: 'failed'; operation: number; errno: number }
  /** The command runs; or nobody is left. */
  | { kind: 'end' };

/** Reads one message of the machine, waiting for it. */
export function readMessage(fd: number): Message {
  while (!waitReadable(fd, 3_600_000));
  const bytes = receive(fd, 16);
  if (bytes === undefined || bytes.length < 16) return { kind: 'end' };
  switch (bytes.readUInt32LE(0)) {
    case messageCreated:
      return { kind: 'created', pid: bytes.readInt32LE(4) };
    case messageMounted:
      return { kind: 'mounted' };
    case messageReady:
      return { kind: 'ready' };
    case messageListener:
      return { kind: 'listener' };
    case messageError:
      return { kind: 'failed', operation: bytes.readUInt32LE(4), errno: bytes.readInt32LE(12) };
    default:
      throw new TsrunError('PROGRAM', `the machine sent an unknown message: ${bytes.toString('hex')}`);
  }
}

const go = Uint8Array.of(1);

/** A program that runs, and the conversation with it. */
export class Machine {
  readonly #sync: number;
  readonly #child: Spawned;
  #pid = 0;

  constructor(program: Program, descriptors: Descriptors) {
    const errorFd = errorFdOf(descriptors.preserved);
    const [own, theirs] = socketPair(SOCK_SEQPACKET);
    const memfd = sealedMemfd('tsrun-program', encodeProgram(program));
    const [stdin, stdout, stderr] = descriptors.stdio ?? [0, 1, 2];
    const stdio: (number | 'ignore')[] = Array.from({ length: errorFd + 1 + descriptors.preserved }, () => 'ignore');
    stdio.splice(0, 3, stdin, stdout, stderr);
    stdio[fdProgram] = memfd;
    stdio[fdSync] = theirs;
    stdio[errorFd] = theirs;
    const lay = (number: number, fd: number | undefined): void => {
      if (fd !== undefined && fd >= 0) stdio[number] = fd;
    };
    lay(fdConsole, descriptors.console);
    lay(fdStart, descriptors.start);
    lay(fdCgroup, descriptors.cgroup);
    lay(fdTarget, descriptors.target);
    for (let index = 0; index < descriptors.preserved; index++) stdio[errorFd + 1 + index] = 3 + index;
    this.#sync = own;
    const file = `/proc/${process.pid}/fd/${monitorExecutable()}`;
    const child = spawnDetached(file, [descriptors.stays === true ? 'run' : 'leave'], {
      argv0: 'tsrun-monitor',
      stdio,
    });
    close(theirs);
    close(memfd);
    if (child === undefined) {
      close(own);
      throw new TsrunError('SYSCALL', 'cannot start a process', {
        hint: 'is a limit of processes (ulimit -u, pids.max) or descriptors (ulimit -n) reached?',
      });
    }
    this.#child = child;
  }

  next(): Message {
    const message = readMessage(this.#sync);
    if (message.kind === 'created') this.#pid = message.pid;
    return message;
  }

  /** Lets the process go on. */
  proceed(): void {
    send(this.#sync, go);
  }

  /**
   * With `stays`: waits for the end of the command, at most `milliseconds`, and returns its exit status. Undefined: it had
   * to be killed.
   */
  wait(milliseconds: number | undefined): number | undefined {
    const { pid } = this.#child;
    const pidfd = check(syscall('pidfd_open', pid, 0), 'pidfd_open');
    try {
      const inTime = waitReadable(pidfd, milliseconds ?? 2 ** 31 - 1);
      if (!inTime && this.#pid > 0) process.kill(this.#pid, 'SIGKILL');
      const status = Buffer.alloc(8);
      // Not by the event loop, which has no turn until this returns.
      const result = uninterrupted(() => syscall('wait4', pid, status, 0, 0));
      check(result, 'wait4');
      const word = status.readUInt32LE(0);
      if (!inTime) return undefined;
      return (word & 0x7f) === 0 ? (word >> 8) & 0xff : 128 + (word & 0x7f);
    } finally {
      close(pidfd);
    }
  }

  close(): void {
    close(this.#sync);
  }
}

/** What a failed step means. An execve that failed reads as runc says it, which callers look for. */
export function failureOf(program: Program, operation: number, errno: number, args: readonly string[]): TsrunError {
  const { message, hint } = describeFailure(program, operation, errno);
  return stepFailed(program.operations[operation]?.call, message, hint, errno, args);
}

/** `failureOf` with what was written down of the step. */
export function stepFailed(
  call: string | undefined,
  message: string,
  hint: string | undefined,
  errno: number,
  args: readonly string[],
): TsrunError {
  if (call === 'execve' || call === 'fail') return execFailed(args, errno);
  return new TsrunError('PROGRAM', message, { hint });
}

const execMessages: Readonly<Record<string, string>> = {
  ENOENT: 'no such file or directory',
  EACCES: 'permission denied',
  ENOEXEC: 'exec format error',
  ENOTDIR: 'not a directory',
  ELOOP: 'too many levels of symbolic links',
  E2BIG: 'argument list too long',
  EPERM: 'operation not permitted',
  ETXTBSY: 'text file busy',
  EISDIR: 'is a directory',
};

function execFailed(args: readonly string[], errno: number): TsrunError {
  const name = errnoName(errno);
  const isMissing = name === 'ENOENT' || name === 'ENOTDIR';
  return new TsrunError(
    isMissing ? 'COMMAND_NOT_FOUND' : 'COMMAND_NOT_EXECUTABLE',
    `exec ${args[0] ?? ''}: ${execMessages[name] ?? name}`,
  );
}
