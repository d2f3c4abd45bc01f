/** What a profile means, read straight from the specification and slowly: the compiler is held against it. */
import type { LinuxSeccomp, LinuxSeccompArg, LinuxSyscall } from '../../../../src/runtime/spec.ts';

const answers: Record<string, number> = {
  SCMP_ACT_KILL: 0x00000000,
  SCMP_ACT_KILL_THREAD: 0x00000000,
  SCMP_ACT_KILL_PROCESS: 0x80000000,
  SCMP_ACT_TRAP: 0x00030000,
  SCMP_ACT_ERRNO: 0x00050000,
  SCMP_ACT_NOTIFY: 0x7fc00000,
  SCMP_ACT_TRACE: 0x7ff00000,
  SCMP_ACT_LOG: 0x7ffc0000,
  SCMP_ACT_ALLOW: 0x7fff0000,
};

function answerOf(action: string, errno: number | undefined): number {
  const base = answers[action] ?? Number.NaN;
  return action === 'SCMP_ACT_ERRNO' || action === 'SCMP_ACT_TRACE' ? base + (errno ?? 1) : base;
}

function holds(arg: LinuxSeccompArg, args: readonly bigint[], bits: number): boolean {
  const width = (value: number | bigint): bigint => BigInt.asUintN(bits, BigInt(value));
  const actual = width(args[arg.index] ?? 0n);
  const value = width(arg.value);
  if (arg.op === 'SCMP_CMP_EQ') return actual === value;
  if (arg.op === 'SCMP_CMP_NE') return actual !== value;
  if (arg.op === 'SCMP_CMP_LT') return actual < value;
  if (arg.op === 'SCMP_CMP_LE') return actual <= value;
  if (arg.op === 'SCMP_CMP_GT') return actual > value;
  if (arg.op === 'SCMP_CMP_GE') return actual >= value;
  return (actual & value) === (width(arg.valueTwo ?? 0) & value);
}

/** The answers of one architecture, whose names are in `table`. */
export function evaluator(
  profile: LinuxSeccomp,
  architecture: { table: ReadonlyMap<string, number>; bits: number; isX64: boolean },
): (number: number, args: readonly bigint[]) => number {
  const fallback = answerOf(profile.defaultAction, profile.defaultErrnoRet);
  const ENOSYS = 0x00050000 + 38;
  const passes = ['SCMP_ACT_ALLOW', 'SCMP_ACT_LOG', 'SCMP_ACT_TRACE'].includes(profile.defaultAction);
  const entries = (profile.syscalls ?? []).flatMap((entry) =>
    entry.names.map((name) => ({ number: architecture.table.get(name), entry })),
  );
  const numbers = entries.map(({ number }) => number);
  const highest = Math.max(-1, ...numbers.filter((n): n is number => n !== undefined && n < 0xf0000));
  return (number, args) => {
    if (number === 0xffffffff) return 0x7fff0000;
    if (architecture.isX64 && number >= 0x40000000) return ENOSYS;
    const mine: LinuxSyscall[] = entries
      .filter((candidate) => candidate.number === number)
      .map(({ entry }) => entry)
      .filter((entry) => answerOf(entry.action, entry.errnoRet) !== fallback);
    const plain = mine.find((entry) => (entry.args ?? []).length === 0);
    if (plain !== undefined) return answerOf(plain.action, plain.errnoRet);
    for (const entry of mine) {
      const conditions = entry.args ?? [];
      const repeated = new Set(conditions.map((arg) => arg.index)).size < conditions.length;
      const results = conditions.map((arg) => holds(arg, args, architecture.bits));
      if (repeated ? results.includes(true) : !results.includes(false)) return answerOf(entry.action, entry.errnoRet);
    }
    const armPrivate = architecture.table.has('breakpoint') && number >= 0xf0001 && number <= 0xf0006;
    if (mine.length === 0 && number > highest && highest >= 0 && !armPrivate && !passes) return ENOSYS;
    return fallback;
  };
}
