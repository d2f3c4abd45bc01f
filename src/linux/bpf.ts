/**
 * Classic BPF, the language of seccomp filters: instructions, and `struct sock_filter[]` as the kernel takes it
 * (linux/filter.h, linux/seccomp.h; Documentation/userspace-api/seccomp_filter.rst).
 */
import { TsrunError } from '../error.ts';

/** One `struct sock_filter`. A conditional jump skips `jt` instructions when it holds, else `jf`: 0 to 255. */
export interface BpfInstruction {
  readonly code: number;
  readonly jt: number;
  readonly jf: number;
  readonly k: number;
}

// Class, size and mode of the instructions that seccomp filters need.
export const BPF_LD_W_ABS = 0x20;
export const BPF_ALU_AND_K = 0x54;
export const BPF_JMP_JA = 0x05;
export const BPF_JMP_JEQ_K = 0x15;
export const BPF_JMP_JGT_K = 0x25;
export const BPF_JMP_JGE_K = 0x35;
export const BPF_RET_K = 0x06;

/** The kernel takes no longer program (BPF_MAXINSNS). */
export const BPF_MAXINSNS = 4096;
/** The farthest that a conditional jump reaches; `ja` reaches everything. */
export const BPF_MAX_CONDITIONAL_JUMP = 255;
const SOCK_FILTER_SIZE = 8;

/** A = the 32-bit word at `offset` of struct seccomp_data. */
export function load(offset: number): BpfInstruction {
  return { code: BPF_LD_W_ABS, jt: 0, jf: 0, k: offset };
}

/** A &= mask. */
export function and(mask: number): BpfInstruction {
  return { code: BPF_ALU_AND_K, jt: 0, jf: 0, k: mask };
}

/** Skips `distance` instructions. */
export function jump(distance: number): BpfInstruction {
  return { code: BPF_JMP_JA, jt: 0, jf: 0, k: distance };
}

/** A == value (unsigned). */
export function jumpEqual(value: number, jt: number, jf: number): BpfInstruction {
  return { code: BPF_JMP_JEQ_K, jt, jf, k: value };
}

/** A > value. */
export function jumpGreater(value: number, jt: number, jf: number): BpfInstruction {
  return { code: BPF_JMP_JGT_K, jt, jf, k: value };
}

/** A >= value. */
export function jumpGreaterOrEqual(value: number, jt: number, jf: number): BpfInstruction {
  return { code: BPF_JMP_JGE_K, jt, jf, k: value };
}

/** Ends the program with an answer. */
export function ret(value: number): BpfInstruction {
  return { code: BPF_RET_K, jt: 0, jf: 0, k: value };
}

/**
 * Encodes a program as `struct sock_filter[]` in the byte order of x86-64 and arm64.
 * Throws `UNSUPPORTED` where it is longer than the kernel takes.
 */
export function encodeFilter(program: readonly BpfInstruction[]): Uint8Array {
  if (program.length > BPF_MAXINSNS) {
    throw new TsrunError('UNSUPPORTED', `the filter has ${program.length} instructions; Linux takes ${BPF_MAXINSNS}`, {
      hint: 'give the seccomp profile fewer rules with arguments',
    });
  }
  const bytes = new Uint8Array(program.length * SOCK_FILTER_SIZE);
  const view = new DataView(bytes.buffer);
  program.forEach((instruction, index) => {
    const at = index * SOCK_FILTER_SIZE;
    view.setUint16(at, instruction.code, true);
    view.setUint8(at + 2, instruction.jt);
    view.setUint8(at + 3, instruction.jf);
    view.setUint32(at + 4, instruction.k, true);
  });
  return bytes;
}
