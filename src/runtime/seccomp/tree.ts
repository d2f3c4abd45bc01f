/** A function from system call numbers to answers, as a binary tree of BPF comparisons. */
import { BPF_MAX_CONDITIONAL_JUMP, type BpfInstruction, jump, jumpGreaterOrEqual } from '../../linux/bpf.ts';

/** Numbers from `from` on, to the next range's. `code` ends in a return whatever happens, and expects the number in A. */
export interface NumberRange {
  readonly from: number;
  readonly code: readonly BpfInstruction[];
}

/** The tree over ranges that are sorted by `from`, the first from 0; neighbours that share their code become one. */
export function rangeTree(ranges: readonly NumberRange[]): BpfInstruction[] {
  const leaves = ranges.filter((range, index) => range.code !== ranges[index - 1]?.code);
  return subtree(leaves, 0, leaves.length);
}

/** Code never runs past its end, so that the left half can stand right behind the comparison, and the right behind it. */
function subtree(leaves: readonly NumberRange[], start: number, end: number): BpfInstruction[] {
  const middle = (start + end) >> 1;
  const split = leaves[middle];
  if (split === undefined) return [];
  if (end - start === 1) return [...split.code];
  const left = subtree(leaves, start, middle);
  const code =
    left.length <= BPF_MAX_CONDITIONAL_JUMP
      ? [jumpGreaterOrEqual(split.from, left.length, 0)]
      : [jumpGreaterOrEqual(split.from, 0, 1), jump(left.length)];
  for (const instruction of left) code.push(instruction);
  for (const instruction of subtree(leaves, middle, end)) code.push(instruction);
  return code;
}
