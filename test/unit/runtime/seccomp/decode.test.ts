import { expect, test } from 'vitest';
import { encodeFilter, jumpEqual, load, ret } from '../../../../src/linux/bpf.ts';
import { syscallTable } from '../../../../src/linux/syscalls.ts';
import { compileSeccomp } from '../../../../src/runtime/seccomp/compile.ts';
import { decodeFilter } from '../../../../src/runtime/seccomp/decode.ts';
import { defaultSeccompProfile } from '../../../../src/runtime/seccomp/default-profile.ts';

test.each(['x64', 'arm64'] as const)('the default filter of %s is decoded to what its profile says', (architecture) => {
  const profile = defaultSeccompProfile(['CAP_CHOWN'], { architecture });
  const decoded = decodeFilter(compileSeccomp(profile, architecture), architecture);
  const always = (profile.syscalls ?? []).filter(({ args }) => args === undefined);
  const named = new Set(always.filter(({ action }) => action === 'SCMP_ACT_ALLOW').flatMap(({ names }) => names));
  const table = [...syscallTable(architecture).keys()];
  expect(decoded.allowed).toEqual(table.filter((name) => named.has(name)).sort());
  expect(decoded.refused.EPERM).toEqual(expect.arrayContaining(['mount', 'bpf', 'setns']));
  expect(decoded.refused.ENOSYS).toContain('clone3');
  expect(decoded.depends.map(({ call }) => call)).toEqual(['clone', 'personality', 'socket']);
  const counted = decoded.allowed.length + decoded.depends.length + Object.values(decoded.refused).flat().length;
  expect(counted).toBe(table.length);
});

test('a filter of somebody else is run as it is', () => {
  const filter = encodeFilter([
    load(0),
    jumpEqual(syscallTable('x64').get('kill') ?? 0, 3, 0),
    jumpEqual(syscallTable('x64').get('read') ?? 0, 0, 4),
    load(16),
    jumpEqual(7, 0, 1),
    ret(0x00030000),
    ret(0x80000000),
    ret(0x7fff0000),
  ]);
  const { refused, depends, instructions } = decodeFilter(filter, 'x64');
  expect(instructions).toBe(8);
  expect(refused).toEqual({ trap: ['kill'] });
  expect(depends).toEqual([{ call: 'read', answers: ['kill process', 'trap'] }]);
});
