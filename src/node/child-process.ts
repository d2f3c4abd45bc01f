/** `spawnSync` of `node:child_process`, as far as tsrun runs programs of the host. */
import { POLLIN } from '../linux/constants.ts';
import { errno, errnoName } from '../linux/errno.ts';
import { syscall } from '../linux/ffi.ts';
import { signals } from '../linux/signals.ts';
import { startProcess, statusOf } from '../linux/spawn-small.ts';
import { now } from './loop.ts';

export interface SpawnSyncOptions {
  encoding: 'utf8';
  /** Milliseconds. */
  timeout: number;
  stdio: readonly ['ignore', 'pipe', 'pipe'];
  env: Readonly<Record<string, string | undefined>>;
}

export interface SpawnSyncResult {
  /** null where a signal has ended it. */
  status: number | null;
  stdout: string;
  stderr: string;
  error?: Error;
}

const O_CLOEXEC = 0o2000000;
const pieceSize = 65536;

/** Both ends, or twice the negative errno. */
function pipe(): [number, number] {
  const ends = Buffer.alloc(8);
  const result = syscall('pipe2', ends, O_CLOEXEC);
  return result < 0 ? [result, result] : [ends.readInt32LE(0), ends.readInt32LE(4)];
}

/** Reads both until they end. Returns what was read, and whether there was time for it. */
function readBoth(fds: readonly number[], milliseconds: number): { texts: string[]; inTime: boolean } {
  const parts: Buffer[][] = fds.map(() => []);
  const open = new Set(fds.keys());
  const poll = Buffer.alloc(fds.length * 8);
  const timeout = Buffer.alloc(16);
  const deadline = now() + milliseconds;
  while (open.size > 0) {
    const left = Math.max(0, deadline - now());
    timeout.writeUInt32LE(Math.floor(left / 1000), 0);
    timeout.writeUInt32LE(Math.floor((left % 1000) * 1e6), 8);
    fds.forEach((fd, index) => {
      poll.writeInt32LE(open.has(index) ? fd : -1, index * 8);
      poll.writeUInt32LE(POLLIN, index * 8 + 4);
    });
    const ready = syscall('ppoll', poll, fds.length, timeout, 0, 8);
    if (ready === 0) break;
    for (const index of ready > 0 ? [...open] : []) {
      if (poll.readUInt16LE(index * 8 + 6) === 0) continue;
      const bytes = Buffer.alloc(pieceSize);
      const length = syscall('read', fds[index] as number, bytes, bytes.length);
      if (length > 0) parts[index]?.push(bytes.subarray(0, length));
      else if (length !== -errno.EINTR) open.delete(index);
    }
  }
  return { texts: parts.map((pieces) => Buffer.concat(pieces).toString()), inTime: open.size === 0 };
}

/** Runs a program, which is looked for as execvp(3) does, to its end. */
export function spawnSync(program: string, args: readonly string[], options: SpawnSyncOptions): SpawnSyncResult {
  const environment = Object.entries(options.env).flatMap(([name, value]) =>
    value === undefined ? [] : [`${name}=${value}`],
  );
  const directories = program.includes('/')
    ? ['']
    : (options.env.PATH ?? '/usr/bin:/bin').split(':').map((directory) => `${directory || '.'}/`);
  const [out, outEnd] = pipe();
  const [err, errEnd] = pipe();
  const input = syscall('openat', -100, '/dev/null', O_CLOEXEC);
  const refused = [out, err, input].find((fd) => fd < 0);
  let pid: number = refused ?? -errno.ENOENT;
  for (const directory of refused === undefined ? directories : []) {
    const tried = startProcess(`${directory}${program}`, {
      argv: [program, ...args],
      environment,
      stdio: [input, outEnd, errEnd],
      isDetached: false,
    });
    // What may not be executed is told only where nothing else is found.
    if (tried !== -errno.ENOENT && tried !== -errno.ENOTDIR) pid = tried;
    if (tried > 0) break;
  }
  for (const fd of [input, outEnd, errEnd]) if (fd >= 0) syscall('close', fd);
  try {
    if (pid < 0) return failed(program, errnoName(-pid));
    const { texts, inTime } = readBoth([out, err], options.timeout);
    if (!inTime) syscall('kill', pid, signals.SIGTERM);
    const status = statusOf(pid, true) ?? 0;
    const [stdout = '', stderr = ''] = texts;
    if (!inTime) return { ...failed(program, 'ETIMEDOUT'), stdout, stderr };
    return { status: (status & 0x7f) === 0 ? (status >> 8) & 0xff : null, stdout, stderr };
  } finally {
    for (const fd of [out, err]) if (fd >= 0) syscall('close', fd);
  }
}

function failed(program: string, code: string): SpawnSyncResult {
  const error = Object.assign(new Error(`spawnSync ${program} ${code}`), { code, syscall: `spawnSync ${program}` });
  return { status: null, stdout: '', stderr: '', error };
}
