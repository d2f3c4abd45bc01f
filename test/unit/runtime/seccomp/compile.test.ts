import { expect, test } from 'vitest';
import { compileSeccomp } from '../../../../src/runtime/seccomp/compile.ts';
import { type FilteredArchitectureName, filterArchitecture } from '../../../../src/runtime/seccomp/numbers.ts';
import type { LinuxSeccomp, LinuxSeccompArg, SeccompAction, SeccompOperator } from '../../../../src/runtime/spec.ts';
import {
  ALLOW,
  ARM,
  ARM64,
  checkFilter,
  decode,
  errnoAnswer,
  I386,
  KILL_PROCESS,
  runFilter,
  X64,
} from './interpreter.ts';
import { evaluator } from './naive.ts';

const EPERM = errnoAnswer(1);
const ENOSYS = errnoAnswer(38);
const none = [0n, 0n, 0n, 0n, 0n, 0n];

function compile(profile: LinuxSeccomp, architecture: 'x64' | 'arm64' = 'x64') {
  const program = decode(compileSeccomp(profile, architecture));
  checkFilter(program);
  return (number: number, args: bigint[] = [], arch = architecture === 'x64' ? X64 : ARM64): number =>
    runFilter(program, { arch, number, args: [...args, ...none].slice(0, 6) }).answer;
}

function errnoProfile(syscalls: LinuxSeccomp['syscalls'], architectures?: string[]): LinuxSeccomp {
  return { defaultAction: 'SCMP_ACT_ERRNO', syscalls: syscalls ?? [], ...(architectures && { architectures }) };
}

test('named calls are allowed, others refused with EPERM, newer ones look unknown', () => {
  const answer = compile(errnoProfile([{ names: ['read', 'openat2', 'no_such_call'], action: 'SCMP_ACT_ALLOW' }]));
  expect(answer(0)).toBe(ALLOW);
  expect(answer(437)).toBe(ALLOW);
  expect(answer(1)).toBe(EPERM);
  expect(answer(436)).toBe(EPERM);
  expect(answer(438)).toBe(ENOSYS);
  expect(answer(0x3fffffff)).toBe(ENOSYS);
});

test('a profile that allows by default does not answer ENOSYS for what is newer', () => {
  const answer = compile({
    defaultAction: 'SCMP_ACT_ALLOW',
    syscalls: [{ names: ['mount'], action: 'SCMP_ACT_ERRNO', errnoRet: 13 }],
  });
  expect(answer(165)).toBe(errnoAnswer(13));
  expect(answer(164)).toBe(ALLOW);
  expect(answer(500)).toBe(ALLOW);
});

test('x32 numbers get ENOSYS even where the default allows; a skipped call (-1) passes', () => {
  const answer = compile({ defaultAction: 'SCMP_ACT_ALLOW' });
  expect(answer(0x40000000)).toBe(ENOSYS);
  expect(answer(0x40000000 + 165)).toBe(ENOSYS);
  expect(answer(0xfffffffe)).toBe(ENOSYS);
  expect(answer(0xffffffff)).toBe(ALLOW);
});

test('another architecture is killed, the 32-bit sister has her own numbers where she is listed', () => {
  const entries = [{ names: ['getpid', 'waitpid'], action: 'SCMP_ACT_ALLOW' as const }];
  const alone = compile(errnoProfile(entries));
  expect(alone(20, [], I386)).toBe(KILL_PROCESS);
  expect(alone(39)).toBe(ALLOW);
  const both = compile(errnoProfile(entries, ['SCMP_ARCH_X86_64', 'SCMP_ARCH_X86', 'SCMP_ARCH_X32']));
  expect(both(39)).toBe(ALLOW);
  expect(both(20)).toBe(EPERM);
  expect(both(20, [], I386)).toBe(ALLOW);
  expect(both(7, [], I386)).toBe(ALLOW);
  expect(both(19, [], I386)).toBe(EPERM);
  expect(both(39, [], ARM64)).toBe(KILL_PROCESS);
});

test('private calls of ARM are filtered, and do not make everything below them known', () => {
  const answer = compile(
    errnoProfile([{ names: ['read', 'cacheflush'], action: 'SCMP_ACT_ALLOW' }], ['SCMP_ARCH_ARM']),
    'arm64',
  );
  expect(answer(0xf0002, [], ARM)).toBe(ALLOW);
  expect(answer(0xf0001, [], ARM)).toBe(EPERM);
  expect(answer(3, [], ARM)).toBe(ALLOW);
  expect(answer(4, [], ARM)).toBe(ENOSYS);
  expect(answer(0xf0007, [], ARM)).toBe(ENOSYS);
});

const big = 0x1_0000_0028n;
const comparisons: [SeccompOperator, bigint, bigint[], bigint[]][] = [
  ['SCMP_CMP_EQ', big, [big], [0x28n, 0x1_0000_0027n, 0x2_0000_0028n]],
  ['SCMP_CMP_NE', big, [0x28n, 0x1_0000_0027n, 0x2_0000_0028n], [big]],
  ['SCMP_CMP_LT', big, [0n, 0xffffffffn, 0x1_0000_0027n], [big, 0x1_0000_0029n, 0x2_0000_0000n, 0xffffffffffffffffn]],
  ['SCMP_CMP_LE', big, [0n, 0xffffffffn, big], [0x1_0000_0029n, 0x2_0000_0000n]],
  ['SCMP_CMP_GT', big, [0x1_0000_0029n, 0x2_0000_0000n, 0xffffffffffffffffn], [big, 0x29n, 0xffffffffn]],
  ['SCMP_CMP_GE', big, [big, 0x1_0000_0029n, 0x2_0000_0000n], [0x1_0000_0027n, 0xffffffffn]],
];

test.each(comparisons)('%s compares all 64 bits', (op, value, held, failed) => {
  const answer = compile(
    errnoProfile([{ names: ['read'], action: 'SCMP_ACT_ALLOW', args: [{ index: 3, value, op }] }]),
  );
  for (const arg of held) expect(answer(0, [0n, 0n, 0n, arg])).toBe(ALLOW);
  for (const arg of failed) expect(answer(0, [0n, 0n, 0n, arg])).toBe(EPERM);
});

test('a masked comparison looks at the bits of the mask only', () => {
  const arg: LinuxSeccompArg = {
    index: 0,
    op: 'SCMP_CMP_MASKED_EQ',
    value: 0xf0_0000_000fn,
    valueTwo: 0x30_0000_0005n,
  };
  const answer = compile(errnoProfile([{ names: ['read'], action: 'SCMP_ACT_ALLOW', args: [arg] }]));
  expect(answer(0, [0x30_0000_0005n])).toBe(ALLOW);
  expect(answer(0, [0xfff3f_fffffff5n])).toBe(ALLOW);
  expect(answer(0, [0x31_0000_0004n])).toBe(EPERM);
  expect(answer(0, [0x5n])).toBe(EPERM);
});

test('conditions of one entry must all hold, entries are alternatives', () => {
  const answer = compile(
    errnoProfile([
      {
        names: ['socket'],
        action: 'SCMP_ACT_ALLOW',
        args: [
          { index: 0, value: 16, op: 'SCMP_CMP_EQ' },
          { index: 2, value: 9, op: 'SCMP_CMP_NE' },
        ],
      },
      { names: ['socket'], action: 'SCMP_ACT_ERRNO', errnoRet: 22, args: [{ index: 0, value: 16, op: 'SCMP_CMP_EQ' }] },
      { names: ['socket'], action: 'SCMP_ACT_ALLOW', args: [{ index: 0, value: 2, op: 'SCMP_CMP_LE' }] },
    ]),
  );
  expect(answer(41, [16n, 0n, 0n])).toBe(ALLOW);
  expect(answer(41, [16n, 0n, 9n])).toBe(errnoAnswer(22));
  expect(answer(41, [2n, 0n, 9n])).toBe(ALLOW);
  expect(answer(41, [3n])).toBe(EPERM);
});

test('two conditions on one argument are alternatives, as runc and crun have it', () => {
  const answer = compile(
    errnoProfile([
      {
        names: ['personality'],
        action: 'SCMP_ACT_ALLOW',
        args: [
          { index: 0, value: 0, op: 'SCMP_CMP_EQ' },
          { index: 0, value: 8, op: 'SCMP_CMP_EQ' },
        ],
      },
    ]),
  );
  expect(answer(135, [0n])).toBe(ALLOW);
  expect(answer(135, [8n])).toBe(ALLOW);
  expect(answer(135, [9n])).toBe(EPERM);
});

test('an entry without conditions beats those with, and what repeats the default says nothing', () => {
  const arg: LinuxSeccompArg = { index: 0, value: 1, op: 'SCMP_CMP_EQ' };
  const answer = compile(
    errnoProfile([
      { names: ['kill', 'tkill'], action: 'SCMP_ACT_TRAP', args: [arg] },
      { names: ['kill'], action: 'SCMP_ACT_ALLOW' },
      { names: ['tkill'], action: 'SCMP_ACT_ERRNO' },
    ]),
  );
  expect(answer(62, [1n])).toBe(ALLOW);
  expect(answer(200, [1n])).toBe(0x00030000);
  expect(answer(200, [2n])).toBe(EPERM);
});

test.each<[SeccompAction, number]>([
  ['SCMP_ACT_KILL', 0],
  ['SCMP_ACT_KILL_THREAD', 0],
  ['SCMP_ACT_KILL_PROCESS', 0x80000000],
  ['SCMP_ACT_TRAP', 0x00030000],
  ['SCMP_ACT_ERRNO', 0x00050007],
  ['SCMP_ACT_NOTIFY', 0x7fc00000],
  ['SCMP_ACT_TRACE', 0x7ff00007],
  ['SCMP_ACT_LOG', 0x7ffc0000],
])('%s becomes the answer of linux/seccomp.h', (action, value) => {
  const answer = compile({ defaultAction: 'SCMP_ACT_ALLOW', syscalls: [{ names: ['read'], action, errnoRet: 7 }] });
  expect(answer(0)).toBe(value);
});

test('notifications that would lock the runtime up are refused', () => {
  expect(() => compile({ defaultAction: 'SCMP_ACT_NOTIFY' })).toThrow(/default action/);
  expect(() =>
    compile({ defaultAction: 'SCMP_ACT_ALLOW', syscalls: [{ names: ['write'], action: 'SCMP_ACT_NOTIFY' }] }),
  ).toThrow(/write/);
});

test('a profile with too many rules is refused before the kernel would', () => {
  const args = (value: number): LinuxSeccompArg[] => [{ index: 0, value, op: 'SCMP_CMP_GT' }];
  const syscalls = Array.from({ length: 600 }, (_, value) => ({
    names: ['read', 'write'],
    action: 'SCMP_ACT_ALLOW' as const,
    args: args(value),
  }));
  expect(() => compile(errnoProfile(syscalls))).toThrow(/instructions; Linux takes 4096/);
});

test('hundreds of values for one argument keep every jump in reach', () => {
  const syscalls = Array.from({ length: 600 }, (_, i) => ({
    names: ['ioctl'],
    action: 'SCMP_ACT_ALLOW' as const,
    args: [{ index: 1, value: i * 3, op: 'SCMP_CMP_EQ' as const }],
  }));
  const answer = compile(errnoProfile([...syscalls, { names: ['read', 'close', 'openat'], action: 'SCMP_ACT_ALLOW' }]));
  expect(answer(16, [0n, 597n])).toBe(ALLOW);
  expect(answer(16, [0n, 599n * 3n])).toBe(ALLOW);
  expect(answer(16, [0n, 600n * 3n])).toBe(EPERM);
  expect(answer(16, [0n, 598n])).toBe(EPERM);
  expect(answer(257)).toBe(ALLOW);
  expect(answer(3)).toBe(ALLOW);
});

/** A generator with a fixed seed (mulberry32). */
function random(seed: number): (limit: number) => number {
  let state = seed;
  return (limit) => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) % limit;
  };
}

const interesting = [
  0n,
  1n,
  8n,
  40n,
  0x7fffffffn,
  0x80000000n,
  0xffffffffn,
  0x1_0000_0000n,
  0x1_0000_0028n,
  0x8000_0000_0000_0000n,
  0xffffffffffffffffn,
];

test.each<[FilteredArchitectureName, 'x64' | 'arm64', number]>([
  ['SCMP_ARCH_X86_64', 'x64', X64],
  ['SCMP_ARCH_AARCH64', 'arm64', ARM64],
  ['SCMP_ARCH_X86', 'x64', I386],
  ['SCMP_ARCH_ARM', 'arm64', ARM],
])('filters for %s answer as the profile reads, for random profiles and calls', (name, architecture, arch) => {
  const pick = random(20_240_229);
  const target = filterArchitecture(name);
  const names = [...target.table.keys(), 'no_such_call', 'constructor'];
  const actions: SeccompAction[] = [
    'SCMP_ACT_ALLOW',
    'SCMP_ACT_ERRNO',
    'SCMP_ACT_TRAP',
    'SCMP_ACT_LOG',
    'SCMP_ACT_KILL_PROCESS',
  ];
  const operators: SeccompOperator[] = [
    'SCMP_CMP_EQ',
    'SCMP_CMP_EQ',
    'SCMP_CMP_NE',
    'SCMP_CMP_LT',
    'SCMP_CMP_LE',
    'SCMP_CMP_GE',
    'SCMP_CMP_GT',
    'SCMP_CMP_MASKED_EQ',
  ];
  const value = (): bigint => interesting[pick(interesting.length)] ?? 0n;
  let compared = 0;
  for (let round = 0; round < 60; round++) {
    const profile: LinuxSeccomp = {
      defaultAction: actions[pick(actions.length)] ?? 'SCMP_ACT_ALLOW',
      architectures: [name],
      syscalls: Array.from({ length: 1 + pick(30) }, () => ({
        names: Array.from({ length: 1 + pick(12) }, () => names[pick(names.length)] ?? ''),
        action: actions[pick(actions.length)] ?? 'SCMP_ACT_ALLOW',
        errnoRet: 1 + pick(3),
        args: Array.from({ length: pick(4) }, () => ({
          index: pick(6),
          value: value(),
          valueTwo: value(),
          op: operators[pick(operators.length)] ?? 'SCMP_CMP_EQ',
        })),
      })),
    };
    const program = decode(compileSeccomp(profile, architecture));
    checkFilter(program);
    const expectedAnswer = evaluator(profile, { table: target.table, bits: target.bits, isX64: arch === X64 });
    const mentioned = (profile.syscalls ?? []).flatMap((entry) => entry.names).map((call) => target.table.get(call));
    for (let call = 0; call < 120; call++) {
      const near = mentioned[pick(mentioned.length)] ?? 0;
      const number =
        [near, near, near, near + 1, Math.max(0, near - 1), pick(600), 0xffffffff, 0x40000000 + pick(400)][pick(8)] ??
        0;
      const args = Array.from({ length: 6 }, () => (target.bits === 32 ? value() & 0xffffffffn : value()));
      const { answer } = runFilter(program, { arch, number, args });
      const expected = expectedAnswer(number, args);
      if (answer !== expected) {
        expect({ round, number, args, answer, profile }).toEqual({ round, number, args, answer: expected, profile });
      }
      compared += 1;
    }
  }
  expect(compared).toBe(7200);
});
