/**
 * What a filter answers to each system call, found by running it: a branch on what is not known, the arguments of a call,
 * is taken both ways. So it tells the truth of any filter, not what a profile meant.
 */
import {
  BPF_ALU_AND_K,
  BPF_JMP_JA,
  BPF_JMP_JEQ_K,
  BPF_JMP_JGE_K,
  BPF_JMP_JGT_K,
  BPF_LD_W_ABS,
  BPF_RET_K,
} from '../../linux/bpf.ts';
import { errnoName } from '../../linux/errno.ts';
import type { Architecture } from '../../linux/syscalls.ts';
import { filterArchitecture } from './numbers.ts';

export interface DecodedFilter {
  instructions: number;
  allowed: string[];
  /** By answer (`EPERM`, `kill`, `notify`, …): the calls that always get it. */
  refused: Record<string, string[]>;
  /** Calls whose arguments decide, with the answers that there are. */
  depends: { call: string; answers: string[] }[];
}

interface Instruction {
  code: number;
  jt: number;
  jf: number;
  k: number;
}

const natives = { x64: 'SCMP_ARCH_X86_64', arm64: 'SCMP_ARCH_AARCH64' } as const;
const allow = 'allowed';

/** Decodes a filter for the calls of the machine's own architecture. */
export function decodeFilter(filter: Uint8Array, architecture: Architecture): DecodedFilter {
  const program = instructionsOf(filter);
  const { auditArch, table } = filterArchitecture(natives[architecture]);
  const decoded: DecodedFilter = { instructions: program.length, allowed: [], refused: {}, depends: [] };
  for (const [call, number] of [...table].sort(([a], [b]) => (a < b ? -1 : 1))) {
    const answers = [...answersTo(program, number, auditArch)].sort();
    const [only = allow] = answers;
    if (answers.length > 1) decoded.depends.push({ call, answers });
    else if (only === allow) decoded.allowed.push(call);
    else {
      decoded.refused[only] ??= [];
      decoded.refused[only].push(call);
    }
  }
  return decoded;
}

function instructionsOf(filter: Uint8Array): Instruction[] {
  const view = new DataView(filter.buffer, filter.byteOffset, filter.byteLength);
  return Array.from({ length: Math.floor(filter.byteLength / 8) }, (_, index) => ({
    code: view.getUint16(index * 8, true),
    jt: view.getUint8(index * 8 + 2),
    jf: view.getUint8(index * 8 + 3),
    k: view.getUint32(index * 8 + 4, true),
  }));
}

const OFFSET_NR = 0;
const OFFSET_ARCH = 4;

/** Jumps lead forward only, so that every way ends; one that was gone with the same value is not gone again. */
function answersTo(program: readonly Instruction[], number: number, arch: number): Set<string> {
  const answers = new Set<string>();
  const seen = new Set<string>();
  const walk = (start: number, from: number | undefined): void => {
    let at = start;
    let value = from;
    for (;;) {
      const key = `${at} ${value}`;
      const instruction = program[at];
      if (instruction === undefined || seen.has(key)) return;
      seen.add(key);
      const { code, jt, jf, k } = instruction;
      at++;
      if (code === BPF_RET_K) {
        answers.add(answerText(k));
        return;
      }
      if (code === BPF_LD_W_ABS) value = k === OFFSET_NR ? number : k === OFFSET_ARCH ? arch : undefined;
      else if (code === BPF_ALU_AND_K) value = value === undefined ? undefined : (value & k) >>> 0;
      else if (code === BPF_JMP_JA) at += k;
      else if (value === undefined) {
        walk(at + jt, value);
        at += jf;
      } else at += holds(code, value, k) ? jt : jf;
    }
  };
  walk(0, undefined);
  return answers;
}

function holds(code: number, value: number, k: number): boolean {
  switch (code) {
    case BPF_JMP_JEQ_K:
      return value === k;
    case BPF_JMP_JGT_K:
      return value > k;
    case BPF_JMP_JGE_K:
      return value >= k;
    default: // BPF_JSET, which foreign filters may have
      return (value & k) !== 0;
  }
}

/** The upper half of an answer says what happens (linux/seccomp.h). */
function answerText(answer: number): string {
  switch (answer >>> 16) {
    case 0x7fff:
      return allow;
    case 0x5:
      return errnoName(answer & 0xffff);
    case 0x7ffc:
      return 'log';
    case 0x7ff0:
      return 'trace';
    case 0x7fc0:
      return 'notify';
    case 0x3:
      return 'trap';
    case 0x8000:
      return 'kill process';
    default:
      return 'kill thread';
  }
}
