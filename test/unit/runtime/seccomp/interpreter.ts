/** The kernel's view of a seccomp filter: its checks before it takes one, and what it does with it. */

export interface Instruction {
  code: number;
  jt: number;
  jf: number;
  k: number;
}

export interface Call {
  arch: number;
  number: number;
  /** Six values of 64 bits. */
  args: readonly bigint[];
}

export const X64 = 0xc000003e;
export const ARM64 = 0xc00000b7;
export const I386 = 0x40000003;
export const ARM = 0x40000028;

export const ALLOW = 0x7fff0000;
export const KILL_PROCESS = 0x80000000;
export const errnoAnswer = (errno: number): number => 0x00050000 | errno;

export function decode(bytes: Uint8Array): Instruction[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const program: Instruction[] = [];
  for (let at = 0; at + 8 <= bytes.length; at += 8) {
    program.push({
      code: view.getUint16(at, true),
      jt: view.getUint8(at + 2),
      jf: view.getUint8(at + 3),
      k: view.getUint32(at + 4, true),
    });
  }
  return program;
}

/** bpf_check_classic() and seccomp_check_filter(): throws what the kernel would answer with EINVAL. */
export function checkFilter(program: readonly Instruction[]): void {
  if (program.length < 1 || program.length > 4096) throw new Error(`length ${program.length}`);
  program.forEach(({ code, jt, jf, k }, index) => {
    const farthest = program.length - index - 1;
    if (code === 0x20) {
      if (k >= 64 || k % 4 !== 0) throw new Error(`load of offset ${k} at ${index}`);
    } else if (code === 0x05) {
      if (k >= farthest) throw new Error(`jump out of the program at ${index}`);
    } else if (code === 0x15 || code === 0x25 || code === 0x35 || code === 0x45) {
      if (jt >= farthest || jf >= farthest) throw new Error(`conditional jump out of the program at ${index}`);
    } else if (code !== 0x54 && code !== 0x06) {
      throw new Error(`instruction 0x${code.toString(16)} at ${index}`);
    }
  });
  if (program.at(-1)?.code !== 0x06) throw new Error('the last instruction is no return');
}

/** Runs a filter on one call: its answer, and how many instructions it took. */
export function runFilter(program: readonly Instruction[], call: Call): { answer: number; steps: number } {
  const data = Buffer.alloc(64);
  data.writeUInt32LE(call.number, 0);
  data.writeUInt32LE(call.arch, 4);
  call.args.forEach((value, index) => {
    data.writeBigUInt64LE(value, 16 + index * 8);
  });
  let a = 0;
  for (let at = 0, steps = 1; ; at++, steps++) {
    const instruction = program[at];
    if (instruction === undefined) throw new Error(`ran out of the program at ${at}`);
    const { code, jt, jf, k } = instruction;
    if (code === 0x06) return { answer: k, steps };
    else if (code === 0x20) a = data.readUInt32LE(k);
    else if (code === 0x54) a = (a & k) >>> 0;
    else if (code === 0x05) at += k;
    else if (code === 0x15) at += a === k ? jt : jf;
    else if (code === 0x25) at += a > k ? jt : jf;
    else if (code === 0x35) at += a >= k ? jt : jf;
    else if (code === 0x45) at += (a & k) !== 0 ? jt : jf;
    else throw new Error(`instruction 0x${code.toString(16)} at ${at}`);
  }
}
