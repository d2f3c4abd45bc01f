/** `spawnSync` of `node:child_process`, as far as tsrun runs programs of the host. */
import { F_SETFL, O_CLOEXEC, O_NONBLOCK, POLLIN, POLLOUT } from '../linux/constants.ts';
import { errno, errnoName } from '../linux/errno.ts';
import { syscall } from '../linux/ffi.ts';
import { type Polled, poll } from '../linux/poll.ts';
import { signalName, signals } from '../linux/signals.ts';
import { startProcess, statusOf } from '../linux/spawn-small.ts';
import { waitReadable } from '../linux/unix-socket.ts';
import { now } from './loop.ts';

export interface SpawnSyncOptions {
  argv0?: string;
  /** Without it what it writes comes as bytes. */
  encoding?: 'utf8';
  cwd?: string;
  env?: Readonly<Record<string, string | undefined>>;
  /** What it reads; without it there is nothing. */
  input?: string;
  /** Milliseconds until `killSignal`, SIGTERM unless told, ends it. */
  timeout?: number;
  killSignal?: keyof typeof signals;
  /** Here there is no limit. */
  maxBuffer?: number;
  /** For people: nothing else is known here. */
  stdio?: readonly ['ignore' | 'pipe', 'pipe', 'pipe'];
}

export interface SpawnSyncResult {
  pid: number;
  /** null where a signal has ended it, or nothing was run. */
  status: number | null;
  signal: string | null;
  stdout: string | Buffer | null;
  stderr: string | Buffer | null;
  error?: Error;
}

const pieceSize = 65536;

/** Both ends, or twice the negative errno. */
function pipe(): [number, number] {
  const ends = Buffer.alloc(8);
  const result = syscall('pipe2', ends, O_CLOEXEC);
  return result < 0 ? [result, result] : [ends.readInt32LE(0), ends.readInt32LE(4)];
}

/** What the pipes of a process are for. */
interface Pipes {
  input: number;
  outputs: readonly [number, number];
}

const closed = -1;

/**
 * Writes `data` and reads both outputs until they end, which need not be the end of the process. Returns what was read, and whether
 * there was time for it.
 */
function exchange(pipes: Pipes, data: Uint8Array, deadline: number): { parts: Buffer[]; inTime: boolean } {
  const pieces: Buffer[][] = [[], []];
  const [out, err] = pipes.outputs;
  const polled = [
    { fd: out, events: POLLIN },
    { fd: err, events: POLLIN },
    { fd: data.length > 0 ? pipes.input : closed, events: POLLOUT },
  ] satisfies [Polled, Polled, Polled];
  const [, , input] = polled;
  let rest = data;
  let inTime = true;
  while (polled[0].fd !== closed || polled[1].fd !== closed) {
    const happened = poll(polled, Math.max(0, deadline - now()));
    if (typeof happened === 'number') continue;
    if (happened.every((events) => events === 0)) {
      inTime = now() < deadline;
      if (inTime) continue;
      break;
    }
    if (happened[2] !== 0) {
      const sent = syscall('write', input.fd, rest, Math.min(rest.length, pieceSize));
      if (sent > 0) rest = rest.subarray(sent);
      // It need not read all.
      if ((sent < 0 && sent !== -errno.EINTR && sent !== -errno.EAGAIN) || rest.length === 0) {
        syscall('close', pipes.input);
        pipes.input = closed;
        input.fd = closed;
      }
    }
    for (const index of [0, 1] as const) {
      if (happened[index] === 0) continue;
      const bytes = Buffer.alloc(pieceSize);
      const length = syscall('read', polled[index].fd, bytes, bytes.length);
      if (length > 0) pieces[index]?.push(bytes.subarray(0, length));
      else if (length !== -errno.EINTR) polled[index].fd = closed;
    }
  }
  return { parts: pieces.map((list) => Buffer.concat(list)), inTime };
}

/** Waits for the end of a process that has no output any more; false where that takes too long. */
function endsBefore(pid: number, deadline: number): boolean {
  if (deadline === Number.POSITIVE_INFINITY) return true;
  const pidfd = syscall('pidfd_open', pid, 0);
  try {
    return pidfd < 0 || waitReadable(pidfd, Math.max(0, deadline - now()));
  } finally {
    if (pidfd >= 0) syscall('close', pidfd);
  }
}

/** Starts a program, which is looked for as execvp(3) does. Returns its pid, or a negative errno. */
function start(program: string, options: Parameters<typeof startProcess>[1], path: string): number {
  if (program.includes('/')) return startProcess(program, options);
  let found = -errno.ENOENT;
  for (const directory of path.split(':')) {
    const tried = startProcess(`${directory || '.'}/${program}`, options);
    if (tried > 0) return tried;
    // What may not be executed is told only where nothing else is found.
    if (tried !== -errno.ENOENT && tried !== -errno.ENOTDIR) found = tried;
  }
  return found;
}

/** Runs a program to its end. */
export function spawnSync(program: string, args: readonly string[], options: SpawnSyncOptions = {}): SpawnSyncResult {
  const variables = options.env ?? process.env;
  const environment = Object.entries(variables).flatMap(([name, value]) =>
    value === undefined ? [] : [`${name}=${value}`],
  );
  const data = Buffer.from(options.input ?? '');
  const [stdin, stdinEnd] = pipe();
  const [out, outEnd] = pipe();
  const [err, errEnd] = pipe();
  const pipes: Pipes = { input: stdinEnd, outputs: [out, err] };
  const refused = [stdin, out, err].find((fd) => fd < 0);
  try {
    if (refused !== undefined) {
      for (const fd of [stdin, outEnd, errEnd]) if (fd >= 0) syscall('close', fd);
      return failed(program, -refused);
    }
    const pid = start(
      program,
      {
        argv: [options.argv0 ?? program, ...args],
        environment,
        stdio: [stdin, outEnd, errEnd],
        isDetached: false,
        cwd: options.cwd,
      },
      variables.PATH ?? '/usr/bin:/bin',
    );
    for (const fd of [stdin, outEnd, errEnd]) syscall('close', fd);
    // Who waits until all of a piece is taken, waits for ever where the process does so too.
    syscall('fcntl', pipes.input, F_SETFL, O_NONBLOCK);
    if (pid < 0) return failed(program, -pid);
    if (data.length === 0) {
      syscall('close', pipes.input);
      pipes.input = closed;
    }
    const deadline = now() + (options.timeout ?? Number.POSITIVE_INFINITY);
    const { parts, inTime: areRead } = exchange(pipes, data, deadline);
    const inTime = areRead && endsBefore(pid, deadline);
    if (!inTime) syscall('kill', pid, signals[options.killSignal ?? 'SIGTERM']);
    const status = statusOf(pid, true) ?? 0;
    const [stdout = null, stderr = null] = options.encoding === undefined ? parts : parts.map(String);
    const number = status & 0x7f;
    return {
      pid,
      status: number === 0 ? (status >> 8) & 0xff : null,
      signal: number === 0 ? null : signalName(number),
      stdout,
      stderr,
      ...(inTime ? {} : { error: errorOf(program, errno.ETIMEDOUT) }),
    };
  } finally {
    for (const fd of [out, err, pipes.input]) if (fd >= 0) syscall('close', fd);
  }
}

function errorOf(program: string, number: number): Error {
  const code = errnoName(number);
  const call = `spawnSync ${program}`;
  return Object.assign(new Error(`${call} ${code}`), { errno: -number, code, syscall: call, path: program });
}

const failed = (program: string, number: number): SpawnSyncResult => ({
  pid: 0,
  status: null,
  signal: null,
  stdout: null,
  stderr: null,
  error: errorOf(program, number),
});
