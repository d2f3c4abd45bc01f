/**
 * Conditions on the arguments of a system call as BPF. Arguments have 64 bits, BPF compares 32: the upper word first,
 * the lower where that leaves it open.
 */
import { and, type BpfInstruction, jumpEqual, jumpGreater, jumpGreaterOrEqual, load, ret } from '../../linux/bpf.ts';
import type { LinuxSeccompArg, SeccompOperator } from '../spec.ts';

/** When all of `conditions` hold, the filter returns `action`. */
export interface ArgumentRule {
  readonly conditions: readonly Condition[];
  readonly action: number;
}

interface Condition {
  readonly index: number;
  readonly op: SeccompOperator;
  /** Compared with; for SCMP_CMP_EQ any of several. */
  readonly values: readonly bigint[];
  readonly mask: bigint;
}

const ALL_BITS = 0xffffffffffffffffn;
const LOW_WORD = 0xffffffffn;

// struct seccomp_data, little-endian
const OFFSET_ARGS = 16;

// Jump targets until a rule is put together. No distance within a test is that long.
const PASS = -1;
const FAIL = -2;
/** More alternatives than this would put the far end of a test out of a jump's reach. */
const MAX_ALTERNATIVES = 200;

/** The rules of one profile entry: one, or where an argument is named twice one for each condition. */
export function toRules(args: readonly LinuxSeccompArg[], action: number): ArgumentRule[] {
  if (args.length === 0) return [];
  const conditions = args.map(toCondition);
  if (new Set(args.map((arg) => arg.index)).size === args.length) return [{ conditions, action }];
  return conditions.map((condition) => ({ conditions: [condition], action }));
}

function toCondition(arg: LinuxSeccompArg): Condition {
  const masked = arg.op === 'SCMP_CMP_MASKED_EQ';
  const mask = masked ? unsigned64(arg.value) : ALL_BITS;
  const value = masked ? unsigned64(arg.valueTwo ?? 0) & mask : unsigned64(arg.value);
  return { index: arg.index, op: arg.op, values: [value], mask };
}

/** A number of JSON beyond 2^53 has lost its lower bits already, and the highest ones have become 2^64. */
function unsigned64(value: number | bigint): bigint {
  const exact = BigInt(value);
  return exact > ALL_BITS ? ALL_BITS : BigInt.asUintN(64, exact);
}

/** Tries the rules in order; returns `fallback` where none applies. `bits` is the width of the arguments. */
export function compileRules(rules: readonly ArgumentRule[], fallback: number, bits: 32 | 64): BpfInstruction[] {
  const program: BpfInstruction[] = [];
  for (const rule of joinAlternatives(rules)) {
    for (const instruction of compileRule(rule, bits)) program.push(instruction);
  }
  program.push(ret(fallback));
  return program;
}

/** Neighbours that ask the same argument for one value each become one rule with several values. */
function joinAlternatives(rules: readonly ArgumentRule[]): ArgumentRule[] {
  const joined: ArgumentRule[] = [];
  for (const rule of rules) {
    const previous = joined.at(-1);
    const condition = onlyEqual(rule);
    const before = previous?.action === rule.action ? onlyEqual(previous) : undefined;
    if (condition !== undefined && before !== undefined && sameUpperWord(before, condition)) {
      const values = [...before.values, ...condition.values];
      joined[joined.length - 1] = { action: rule.action, conditions: [{ ...before, values }] };
    } else {
      joined.push(rule);
    }
  }
  return joined;
}

/** The condition of a rule that has no other, and that one a comparison with values it must equal. */
function onlyEqual(rule: ArgumentRule | undefined): Condition | undefined {
  const condition = rule?.conditions[0];
  return rule?.conditions.length === 1 && condition?.op === 'SCMP_CMP_EQ' ? condition : undefined;
}

function sameUpperWord(a: Condition, b: Condition): boolean {
  const upper = (condition: Condition): bigint => (condition.values[0] ?? 0n) >> 32n;
  return a.index === b.index && a.values.length < MAX_ALTERNATIVES && upper(a) === upper(b);
}

/** The tests of a rule one behind the other, then its return; a test that fails jumps behind it. */
function compileRule(rule: ArgumentRule, bits: 32 | 64): BpfInstruction[] {
  const tests = rule.conditions.map((condition) => compileTest(condition, bits));
  const length = tests.reduce((sum, test) => sum + test.length, 1);
  const program: BpfInstruction[] = [];
  for (const test of tests) {
    const end = program.length + test.length;
    for (const instruction of test) {
      const here = program.length + 1;
      const resolve = (target: number): number =>
        target === PASS ? end - here : target === FAIL ? length - here : target;
      program.push({ ...instruction, jt: resolve(instruction.jt), jf: resolve(instruction.jf) });
    }
  }
  program.push(ret(rule.action));
  return program;
}

/** One condition; its jumps may lead to PASS and FAIL. */
function compileTest(condition: Condition, bits: 32 | 64): BpfInstruction[] {
  const offset = OFFSET_ARGS + condition.index * 8;
  const low = compareLow(condition);
  const lowMask = Number(condition.mask & LOW_WORD);
  const test = [load(offset), ...(lowMask === 0xffffffff ? [] : [and(lowMask)]), ...low];
  if (bits === 32) return test;
  const highMask = Number(condition.mask >> 32n);
  if (highMask === 0) return test;
  return [load(offset + 4), ...(highMask === 0xffffffff ? [] : [and(highMask)]), ...compareHigh(condition), ...test];
}

/** The upper words: decides, or goes on to the lower ones where they are equal. */
function compareHigh(condition: Condition): BpfInstruction[] {
  const value = Number((condition.values[0] ?? 0n) >> 32n);
  switch (condition.op) {
    case 'SCMP_CMP_EQ':
    case 'SCMP_CMP_MASKED_EQ':
      return [jumpEqual(value, 0, FAIL)];
    case 'SCMP_CMP_NE':
      return [jumpEqual(value, 0, PASS)];
    case 'SCMP_CMP_GT':
    case 'SCMP_CMP_GE':
      return [jumpGreater(value, PASS, 0), jumpEqual(value, 0, FAIL)];
    case 'SCMP_CMP_LT':
    case 'SCMP_CMP_LE':
      return [jumpGreater(value, FAIL, 0), jumpEqual(value, 0, PASS)];
  }
}

function compareLow(condition: Condition): BpfInstruction[] {
  const words = condition.values.map((value) => Number(value & LOW_WORD));
  const value = words[0] ?? 0;
  switch (condition.op) {
    case 'SCMP_CMP_EQ':
    case 'SCMP_CMP_MASKED_EQ':
      return words.map((word, index) => jumpEqual(word, PASS, index === words.length - 1 ? FAIL : 0));
    case 'SCMP_CMP_NE':
      return [jumpEqual(value, FAIL, PASS)];
    case 'SCMP_CMP_GT':
      return [jumpGreater(value, PASS, FAIL)];
    case 'SCMP_CMP_GE':
      return [jumpGreaterOrEqual(value, PASS, FAIL)];
    case 'SCMP_CMP_LT':
      return [jumpGreaterOrEqual(value, FAIL, PASS)];
    case 'SCMP_CMP_LE':
      return [jumpGreater(value, FAIL, PASS)];
  }
}
