/** A Program as the bytes that native/program.h describes. A test reads the same layout out of the C header. */
import { errno } from '../linux/errno.ts';
import { numberOf } from '../linux/syscalls.ts';
import type { Phase } from '../trace.ts';
import type { Argument, Operation, Program } from './program.ts';

export const magic = 0x4e525354;
export const version = 1;
export const headerSize = 64;
export const operationSize = 96;
export const relocationSize = 8;
export const none = 0xffffffff;
const numberEnd = 0xffffffff;
const numberFail = 0xfffffffe;
const flagRemember = 1;
export const traceUntimedFilter = 1;
/** Bytes that are noted of an operation: its result, and when it ended. */
export const traceSize = 16;

/** Phases by the number that stands for them in a program. */
export const phases: readonly Phase[] = [
  'image',
  'rootfs',
  'cgroup',
  'network',
  'monitor',
  'namespaces',
  'mounts',
  'devices',
  'console',
  'identity',
  'security',
  'exec',
  'teardown',
];

/** Encodes a program; the result is written to a sealed memfd. Throws on labels that were never marked. */
export function encodeProgram(program: Program): Buffer {
  const { operations, relocations, memory } = program;
  const operationOffset = headerSize;
  const relocationOffset = operationOffset + operations.length * operationSize;
  const memoryOffset = Math.ceil((relocationOffset + relocations.length * relocationSize) / 64) * 64;
  const size = memoryOffset + memory.length;
  const out = Buffer.alloc(size);
  out.writeUInt32LE(magic, 0);
  out.writeUInt32LE(version, 4);
  out.writeUInt32LE(operations.length, 8);
  out.writeUInt32LE(relocations.length, 12);
  out.writeUInt32LE(operationOffset, 16);
  out.writeUInt32LE(relocationOffset, 20);
  out.writeUInt32LE(memoryOffset, 24);
  out.writeInt32LE(program.errorFd, 28);
  out.writeBigUInt64LE(BigInt(size), 32);
  out.writeUInt32LE(program.configOffset ?? none, 40);
  if (program.trace !== undefined) {
    out.writeInt32LE(program.trace.fd, 44);
    out.writeUInt32LE(program.trace.untimedFilter ? traceUntimedFilter : 0, 48);
  }
  operations.forEach((operation, index) => {
    encodeOperation(out, operationOffset + index * operationSize, operation);
  });
  relocations.forEach((relocation, index) => {
    out.writeUInt32LE(relocation.at, relocationOffset + index * relocationSize);
    out.writeUInt32LE(relocation.target, relocationOffset + index * relocationSize + 4);
  });
  out.set(memory, memoryOffset);
  return out;
}

function encodeOperation(out: Buffer, at: number, operation: Operation): void {
  const number =
    operation.call === 'end' ? numberEnd : operation.call === 'fail' ? numberFail : numberOf(operation.call);
  out.writeUInt32LE(number, at);
  operation.args.forEach((argument, index) => {
    out[at + 4 + index] = kindOf(argument);
    out.writeBigUInt64LE(bitsOf(argument), at + 40 + index * 8);
  });
  const { expect } = operation;
  out[at + 10] = expect === 'any' ? 0 : expect === 'not-negative' ? 1 : 2;
  if (typeof expect === 'object') out.writeBigInt64LE(BigInt(expect.equals), at + 32);
  out[at + 11] = operation.store?.width ?? 0;
  operation.tolerate.forEach((name, index) => {
    if (index > 1) throw new RangeError(`"${operation.title}" tolerates more than two errnos`);
    out.writeUInt16LE(errno[name], at + 12 + index * 2);
  });
  if (operation.retry !== undefined) {
    out.writeUInt16LE(errno[operation.retry.errno], at + 16);
    out.writeUInt16LE(operation.retry.times, at + 18);
  }
  out.writeUInt16LE(phases.indexOf(operation.phase), at + 20);
  out.writeUInt16LE(operation.remember ? flagRemember : 0, at + 22);
  out.writeUInt32LE(operation.store?.offset ?? 0, at + 24);
  if (operation.branch !== undefined && operation.branch.at === undefined) {
    throw new RangeError(`"${operation.title}" branches to a label that is nowhere`);
  }
  out.writeUInt32LE(operation.branch?.at ?? none, at + 28);
}

function kindOf(argument: Argument): number {
  if (typeof argument === 'number' || typeof argument === 'bigint') return 0;
  if (argument.kind === 'place') return 1;
  return argument.width === 4 ? 2 : 3;
}

function bitsOf(argument: Argument): bigint {
  if (typeof argument === 'number' || typeof argument === 'bigint') return BigInt.asUintN(64, BigInt(argument));
  return BigInt(argument.offset);
}
