/** The process, as Node has it: its environment, its signals (man 2 signalfd), its end. */
import { AT_FDCWD, POLLIN, SFD_CLOEXEC, SFD_NONBLOCK, SIG_BLOCK, SIG_UNBLOCK, TIOCGWINSZ } from '../linux/constants.ts';
import { errno, errnoName } from '../linux/errno.ts';
import { syscall } from '../linux/ffi.ts';
import { pause } from '../linux/pause.ts';
import { signals } from '../linux/signals.ts';
import type { Watch } from '../linux/small-engine.ts';
import { engine } from './engine.ts';
import { now } from './loop.ts';

/** Put in by the build: what process.arch of Node says, and the version of the large engine. */
declare const TSRUN_ARCHITECTURE: string;
declare const TSRUN_BUN_VERSION: string;

type Listener = (...args: unknown[]) => void;

/** struct signalfd_siginfo. */
const signalSize = 128;

const listeners = new Map<string, Listener[]>();
/** Of signals that somebody listens to: they are blocked, and read from a descriptor. */
let heard = 0n;
let descriptor = -1;
let watched: Watch | undefined;

const isSignal = (name: string): name is keyof typeof signals => Object.hasOwn(signals, name);

function hear(name: keyof typeof signals, isHeard: boolean): void {
  const bit = 1n << BigInt(signals[name] - 1);
  heard = isHeard ? heard | bit : heard & ~bit;
  const mask = Buffer.alloc(8);
  mask.writeBigUInt64LE(heard);
  const result = syscall('signalfd4', descriptor, mask, 8, SFD_CLOEXEC | SFD_NONBLOCK);
  if (result < 0) {
    // It does what it did before: what is blocked and never read would be lost.
    heard ^= bit;
    throw failure(result, 'signalfd4');
  }
  descriptor = result;
  mask.writeBigUInt64LE(bit);
  syscall('rt_sigprocmask', isHeard ? SIG_BLOCK : SIG_UNBLOCK, mask, 0, 8);
  if (watched !== undefined) return;
  watched = engine.watch(descriptor, POLLIN, takeSignals);
  watched.isHolding = false;
}

function takeSignals(): void {
  const signal = Buffer.alloc(signalSize);
  while (syscall('read', descriptor, signal, signalSize) === signalSize) {
    const number = signal.readUInt32LE(0);
    for (const name of [...listeners.keys()]) {
      if (isSignal(name) && signals[name] === number) emit(name, name, number);
    }
  }
}

function on(name: string, listener: Listener): typeof process {
  const others = listeners.get(name);
  if (others !== undefined) others.push(listener);
  else {
    if (isSignal(name)) hear(name, true);
    listeners.set(name, [listener]);
  }
  return process;
}

function once(name: string, listener: Listener): typeof process {
  const first = (...args: unknown[]): void => {
    off(name, first);
    listener(...args);
  };
  return on(name, Object.assign(first, { listener }));
}

function off(name: string, listener: Listener): typeof process {
  const all = listeners.get(name) ?? [];
  const at = all.findIndex((other) => other === listener || (other as { listener?: Listener }).listener === listener);
  if (at < 0) return process;
  if (all.length > 1) all.splice(at, 1);
  else {
    listeners.delete(name);
    if (isSignal(name)) hear(name, false);
  }
  return process;
}

function emit(name: string, ...args: unknown[]): boolean {
  const all = [...(listeners.get(name) ?? [])];
  for (const listener of all) listener(...args);
  return all.length > 0;
}

let isExiting = false;

function exit(code = 0): never {
  if (!isExiting) {
    isExiting = true;
    emit('exit', code);
  }
  for (;;) syscall('exit_group', code & 0xff);
}

/** So that the host ends a program as the program does. */
engine.exit = exit;

function kill(pid: number, signal: string | number = 'SIGTERM'): true {
  const number = typeof signal === 'number' ? signal : (signals as Record<string, number>)[signal];
  if (number === undefined) throw new TypeError(`Unknown signal: ${signal}`);
  const result = syscall('kill', pid, number);
  if (result < 0) throw failure(result, 'kill');
  return true;
}

function failure(result: number, syscall: string): Error {
  const code = errnoName(-result);
  return Object.assign(new Error(`${syscall} ${code}`), { errno: result, code, syscall });
}

function environment(): Record<string, string> {
  // Without a prototype: a variable may be called "constructor".
  const variables: Record<string, string> = Object.create(null);
  for (const variable of engine.environment) {
    const end = variable.indexOf('=');
    // The first of a name counts, as for getenv(3).
    if (end > 0) variables[variable.slice(0, end)] ??= variable.slice(end + 1);
  }
  return variables;
}

/** A standard output: its size where it is a terminal, and writing to it. */
const output = (fd: 1 | 2) => {
  const size = (place: 0 | 2): number | undefined => {
    const bytes = Buffer.alloc(8);
    return syscall('ioctl', fd, TIOCGWINSZ, bytes) < 0 ? undefined : bytes.readUInt16LE(place);
  };
  return {
    fd,
    get rows() {
      return size(0);
    },
    get columns() {
      return size(2);
    },
    get isTTY() {
      return size(0) !== undefined;
    },
    write(data: string | Uint8Array): boolean {
      const bytes = typeof data === 'string' ? Buffer.from(data) : data;
      for (let offset = 0; offset < bytes.length; ) {
        const written = syscall('write', fd, bytes.subarray(offset), bytes.length - offset);
        if (written === -errno.EAGAIN) pause(1);
        else if (written < 0) return false;
        else offset += written;
      }
      return true;
    },
  };
};

function linkTarget(path: string): string {
  const target = Buffer.alloc(4096);
  return target.toString('utf8', 0, Math.max(0, syscall('readlinkat', AT_FDCWD, path, target, target.length)));
}

function cwd(): string {
  const path = Buffer.alloc(4096);
  const length = syscall('getcwd', path, path.length);
  if (length < 0) {
    const code = errnoName(-length);
    throw Object.assign(new Error(`${code}: process.cwd failed with error ${code}, uv_cwd`), {
      errno: length,
      code,
      syscall: 'uv_cwd',
    });
  }
  return path.toString('utf8', 0, length - 1);
}

function umask(mask?: number): number {
  const before = syscall('umask', mask ?? 0);
  if (mask === undefined) syscall('umask', before);
  return before;
}

/** Modules that are loaded by name where something rare needs them (globals.ts). */
export const builtinModules: Record<string, unknown> = {};

let begun = 0;

export const process = {
  platform: 'linux',
  arch: TSRUN_ARCHITECTURE,
  versions: { bun: TSRUN_BUN_VERSION, quickjs: '2021-03-27' } as Record<string, string | undefined>,
  env: {} as Record<string, string | undefined>,
  get argv() {
    return [process.execPath, process.execPath, ...engine.argv.slice(1)];
  },
  get execPath() {
    return linkTarget('/proc/self/exe');
  },
  get pid() {
    return syscall('getpid');
  },
  get ppid() {
    return syscall('getppid');
  },
  stdout: output(1),
  stderr: output(2),
  getuid: () => syscall('getuid'),
  geteuid: () => syscall('geteuid'),
  getgid: () => syscall('getgid'),
  getegid: () => syscall('getegid'),
  uptime: () => (now() - begun) / 1000,
  hrtime: { bigint: () => BigInt(Math.round(now() * 1e6)) },
  cwd,
  umask,
  kill,
  exit,
  on,
  once,
  off,
  emit,
  listenerCount: (name: string) => listeners.get(name)?.length ?? 0,
  getBuiltinModule(name: string): unknown {
    const found = builtinModules[name];
    // What the small engine has not is the large one's, from the beginning on.
    return found ?? engine.handOver();
  },
};

/** What is of this process, and not of the program, which was loaded when tsrun was built. */
export function beginProcess(): void {
  begun = now();
  process.env = environment();
}
