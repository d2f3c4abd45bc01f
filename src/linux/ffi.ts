/**
 * The one adapter to native code: `syscall(number, ...arguments)` with the kernel's own result, and nothing else.
 * Everything above it is TypeScript. Behind it is native/syscall.c, called through koffi under Node, through bun:ffi in the large
 * engine of the executable, and by the host of the small one; each is loaded late, since commands without system calls need not pay for it.
 */
import { TsrunError } from '../error.ts';
import { loadWithBun } from './ffi-bun.ts';
import { loadWithKoffi } from './ffi-koffi.ts';
import { smallEngine } from './small-engine.ts';
import { type CommonSyscall, numberOf } from './syscalls.ts';

/** A number is passed as it is; text becomes a NUL-terminated string; bytes become their address. */
export type SyscallArgument = number | bigint | string | Uint8Array;

/** What the two ways have in common. */
export interface Native {
  syscall(nr: number, ...args: (number | bigint)[]): number | bigint;
  /** clone(2) with these flags; the child makes the calls at an address and nothing else. */
  child(flags: number, calls: number | bigint): number | bigint;
  address(bytes: Uint8Array): number | bigint;
}

let native: Native | undefined;

function load(): Native {
  if (process.platform !== 'linux') {
    throw new TsrunError('UNSUPPORTED', `tsrun needs Linux; this is ${process.platform}`, {
      hint: 'run it in a virtual machine: see Vagrantfile',
    });
  }
  if (smallEngine !== undefined) return smallEngine;
  return process.versions.bun === undefined ? loadWithKoffi() : loadWithBun();
}

/** Strings of one call are laid one behind the other here; a call never nests, so that one arena per thread is enough. */
const arenaSize = 64 * 1024;
let arena: Buffer | undefined;
let arenaAddress = 0;

/** Holds what a call points to until the kernel has answered: the collector must not move in between. */
const pinned: { arguments: readonly SyscallArgument[] } = { arguments: [] };

/**
 * Makes a system call and returns the kernel's answer: a result >= 0, or a negative errno.
 * Results beyond 2^53 (mapped addresses never are) lose precision.
 */
export function rawSyscall(nr: number, ...args: SyscallArgument[]): number {
  if (smallEngine !== undefined) {
    for (const arg of args) if (typeof arg === 'string') checkText(arg);
    return smallEngine.syscall(nr, ...args);
  }
  native ??= load();
  pinned.arguments = args;
  const values: (number | bigint)[] = [0, 0, 0, 0, 0, 0];
  let used = 0;
  for (let i = 0; i < args.length; i++) {
    const arg = args[i] as SyscallArgument;
    if (typeof arg === 'number' || typeof arg === 'bigint') {
      values[i] = arg;
    } else if (typeof arg === 'string') {
      if (arena === undefined) {
        arena = Buffer.alloc(arenaSize);
        arenaAddress = Number(native.address(arena));
      }
      const length = Buffer.byteLength(arg);
      if (used + length + 1 > arenaSize) {
        throw new TsrunError('SYSCALL', `a string of ${length} bytes is too long for a system call`);
      }
      checkText(arg);
      arena.write(arg, used);
      arena[used + length] = 0;
      values[i] = arenaAddress + used;
      used += length + 1;
    } else {
      values[i] = arg.byteLength === 0 ? 0 : native.address(arg);
    }
  }
  const result = Number(
    native.syscall(
      nr,
      values[0] as number,
      values[1] as number,
      values[2] as number,
      values[3] as number,
      values[4] as number,
      values[5] as number,
    ),
  );
  pinned.arguments = [];
  return result;
}

function checkText(text: string): void {
  if (text.includes('\0')) throw new TsrunError('SYSCALL', `${JSON.stringify(text)} has a NUL byte in it`);
}

/**
 * `rawSyscall` for who makes the same call by the hundred: numbers only, so that nothing is looked at or made on the way. Addresses
 * are those of `addressOf`, of buffers that the caller keeps.
 */
export function numericSyscall(nr: number, a: number, b: number, c: number, d: number, e: number): number {
  native ??= load();
  return Number(native.syscall(nr, a, b, c, d, e, 0));
}

/** `rawSyscall` by name. */
export function syscall(name: CommonSyscall, ...args: SyscallArgument[]): number {
  return rawSyscall(numberOf(name), ...args);
}

/**
 * A process that shares this one's memory, and makes system calls from a list and nothing else (native/syscall.c). Returns its
 * pid, or a negative errno. `calls` must stay referenced until the process has ended.
 */
export function rawChild(flags: number, calls: Uint8Array): number {
  native ??= load();
  return Number(native.child(flags, native.address(calls)));
}

/**
 * The address of a buffer in this process, for structures that hold pointers.
 * The caller keeps the buffer referenced until the call that uses the structure has returned (`keepAlive`).
 */
export function addressOf(bytes: Uint8Array): bigint {
  native ??= load();
  return BigInt(native.address(bytes));
}

/** A use of its arguments that the compiler cannot take away. */
export function keepAlive(...values: SyscallArgument[]): void {
  pinned.arguments = values;
  pinned.arguments = [];
}
