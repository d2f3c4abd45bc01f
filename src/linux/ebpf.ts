/**
 * eBPF as far as cgroup programs need it: instructions, loading and attaching (man 2 bpf, linux/bpf.h;
 * Documentation/bpf/standardization/instruction-set.rst).
 */
import { errno, SyscallError } from './errno.ts';
import { addressOf, keepAlive, syscall } from './ffi.ts';
import { uninterrupted } from './fs.ts';

/** One `struct bpf_insn`; jumps skip `offset` instructions. */
export interface EbpfInstruction {
  readonly opcode: number;
  readonly destination: number;
  readonly source: number;
  readonly offset: number;
  readonly immediate: number;
}

// Class, size, operation and source of the instructions.
const LDX_MEM_W = 0x61;
const ALU64_MOV_K = 0xb7;
const ALU64_MOV_X = 0xbf;
const ALU64_AND_K = 0x57;
const ALU64_RSH_K = 0x77;
const JMP_JNE_K = 0x55;
const JMP_JEQ_K = 0x15;
const EXIT = 0x95;

function instruction(opcode: number, destination = 0, source = 0, offset = 0, immediate = 0): EbpfInstruction {
  return { opcode, destination, source, offset, immediate };
}

/** r[destination] = the 32-bit word at r[source] + offset. */
export const loadWord = (destination: number, source: number, offset: number): EbpfInstruction =>
  instruction(LDX_MEM_W, destination, source, offset);
/** r[destination] = value. */
export const move = (destination: number, value: number): EbpfInstruction =>
  instruction(ALU64_MOV_K, destination, 0, 0, value);
/** r[destination] = r[source]. */
export const copy = (destination: number, source: number): EbpfInstruction =>
  instruction(ALU64_MOV_X, destination, source);
/** r[destination] &= mask. */
export const andWith = (destination: number, mask: number): EbpfInstruction =>
  instruction(ALU64_AND_K, destination, 0, 0, mask);
/** r[destination] >>= bits. */
export const shiftRight = (destination: number, bits: number): EbpfInstruction =>
  instruction(ALU64_RSH_K, destination, 0, 0, bits);
/** Skips `offset` instructions when r[destination] differs from value. */
export const skipUnless = (destination: number, value: number, offset: number): EbpfInstruction =>
  instruction(JMP_JNE_K, destination, 0, offset, value);
/** Skips `offset` instructions when r[destination] is value. */
export const skipIf = (destination: number, value: number, offset: number): EbpfInstruction =>
  instruction(JMP_JEQ_K, destination, 0, offset, value);
/** Ends the program; r0 is its answer. */
export const exit = (): EbpfInstruction => instruction(EXIT);

/** `struct bpf_insn[]`. */
export function encodeEbpf(program: readonly EbpfInstruction[]): Buffer {
  const bytes = Buffer.alloc(program.length * 8);
  program.forEach(({ opcode, destination, source, offset, immediate }, index) => {
    const at = index * 8;
    bytes.writeUInt8(opcode, at);
    bytes.writeUInt8((source << 4) | destination, at + 1);
    bytes.writeInt16LE(offset, at + 2);
    bytes.writeInt32LE(immediate | 0, at + 4);
  });
  return bytes;
}

// linux/bpf.h
const BPF_PROG_LOAD = 5;
const BPF_PROG_ATTACH = 8;
export const BPF_PROG_TYPE_CGROUP_DEVICE = 15;
export const BPF_CGROUP_DEVICE = 6;
export const BPF_F_ALLOW_MULTI = 2;

/** Large enough for the kernel's words about a program that it refuses. */
const LOG_SIZE = 64 * 1024;

const hints: ReadonlyMap<number, string> = new Map([
  [errno.ENOSYS, 'the kernel was built without CONFIG_BPF_SYSCALL'],
  [errno.EINVAL, 'the kernel was built without CONFIG_CGROUP_BPF'],
  [
    errno.EPERM,
    'it needs root (CAP_SYS_ADMIN, or CAP_BPF and CAP_NET_ADMIN); before Linux 5.11 also enough locked memory (ulimit -l)',
  ],
]);

/**
 * Loads a program and returns its descriptor, which is close-on-exec. Throws `SyscallError`: with the verifier's words
 * where it refused the program.
 */
export function loadProgram(type: number, program: readonly EbpfInstruction[], name: string): number {
  const instructions = encodeEbpf(program);
  const license = Buffer.from('Apache-2.0\0');
  const attributes = Buffer.alloc(72);
  attributes.writeUInt32LE(type, 0);
  attributes.writeUInt32LE(program.length, 4);
  attributes.writeBigUInt64LE(addressOf(instructions), 8);
  attributes.writeBigUInt64LE(addressOf(license), 16);
  attributes.write(name.slice(0, 15), 48, 'latin1');
  const load = (): number => uninterrupted(() => syscall('bpf', BPF_PROG_LOAD, attributes, attributes.length));
  let result = load();
  // The verifier asks to be called again when a signal interrupted it.
  for (let attempt = 0; result === -errno.EAGAIN && attempt < 10; attempt++) result = load();
  if (result >= 0) {
    keepAlive(instructions, license);
    return result;
  }
  const log = Buffer.alloc(LOG_SIZE);
  attributes.writeUInt32LE(1, 24);
  attributes.writeUInt32LE(log.length, 28);
  attributes.writeBigUInt64LE(addressOf(log), 32);
  load();
  keepAlive(instructions, license, log);
  const words = log.toString('latin1', 0, log.indexOf(0)).trim();
  throw bpfError(-result, words === '' ? `load ${name}` : `load ${name}: ${words}`);
}

/** Attaches a program to the cgroup that `cgroup` is open on. */
export function attachProgram(cgroup: number, program: number, attachType: number, flags: number): void {
  const attributes = Buffer.alloc(20);
  attributes.writeInt32LE(cgroup, 0);
  attributes.writeInt32LE(program, 4);
  attributes.writeUInt32LE(attachType, 8);
  attributes.writeUInt32LE(flags, 12);
  const result = syscall('bpf', BPF_PROG_ATTACH, attributes, attributes.length);
  if (result < 0) throw bpfError(-result, 'attach to cgroup');
}

function bpfError(number: number, subject: string): SyscallError {
  return new SyscallError('bpf', number, subject, { hint: hints.get(number) });
}
