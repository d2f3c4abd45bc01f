/**
 * The raw system call in the executable: bun:ffi, and the machine code of native/syscall.c in a page of its own. A library
 * could only be loaded from a file, which the executable would have to write first; libc's syscall(3) alone would leave its
 * result in errno, which the engine may overwrite before it is read.
 */
import { TsrunError } from '../error.ts';
import { artifactBytes } from './artifacts.ts';
import { MAP_ANONYMOUS, MAP_PRIVATE, PROT_EXEC, PROT_READ, PROT_WRITE } from './constants.ts';
import type { Native } from './ffi.ts';
import { numbersOf } from './syscalls.ts';

type Call = (...args: (number | bigint)[]) => number;

type Symbols<Name extends string> = { symbols: Record<Name, Call> };

/** What is used of bun:ffi (https://bun.sh/docs/api/ffi). */
interface BunFfi {
  dlopen<Name extends string>(library: string, symbols: Record<Name, object>): Symbols<Name>;
  linkSymbols<Name extends string>(symbols: Record<Name, object>): Symbols<Name>;
  ptr(bytes: Uint8Array): number;
  toArrayBuffer(address: number, offset: number, size: number): ArrayBuffer;
}

/** Seven longs to a long, which becomes a bigint only where a number cannot hold it. */
const signature = { args: Array.from({ length: 7 }, () => 'i64'), returns: 'i64_fast' };
const childSignature = { args: ['i64', 'i64'], returns: 'i64_fast' };
/** CHILD_PLACE of native/syscall.c. */
const childPlace = 256;

const pageSize = 4096;

declare const Bun: { FFI?: BunFfi };

/** The functions below the module, which is JavaScript that is compiled at each start: a millisecond, and nothing that is needed. */
function bunFfi(): BunFfi {
  const { getBuiltinModule } = process as unknown as { getBuiltinModule(name: string): BunFfi };
  return Bun.FFI ?? getBuiltinModule('bun:ffi');
}

/** Throws `UNSUPPORTED` where the kernel refuses memory that was written to be executed. */
export function loadWithBun(): Native {
  const NR = numbersOf('mmap', 'mprotect');
  const ffi = bunFfi();
  const libc = ffi.dlopen('libc.so.6', { syscall: signature }).symbols.syscall;
  const code = artifactBytes('tsrun-syscall.bin');
  const page = libc(NR.mmap, 0, pageSize, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (page > 0) new Uint8Array(ffi.toArrayBuffer(page, 0, pageSize)).set(code);
  if (page < 0 || libc(NR.mprotect, page, pageSize, PROT_READ | PROT_EXEC, 0, 0, 0) !== 0) {
    throw new TsrunError('UNSUPPORTED', 'this system does not let a program make code of its own executable', {
      hint: 'tsrun can run with Node from its checkout: TSRUN_RUNTIME=node bin/tsrun',
    });
  }
  const { symbols } = ffi.linkSymbols({
    syscall: { ...signature, ptr: page },
    child: { ...childSignature, ptr: page + childPlace },
  });
  return { ...symbols, address: ffi.ptr };
}
