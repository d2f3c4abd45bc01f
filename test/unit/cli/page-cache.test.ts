import { expect, test } from 'vitest';
import { compileReading, smallFilePages } from '../../../src/cli/page-cache.ts';
import { encodeProgram } from '../../../src/program/encode.ts';

const rollup = `00200000-7ffeccdc5000 ---p 00000000 00:00 0                              [rollup]
Rss:               60908 kB
Pss:               59282 kB
Anonymous:         19280 kB
AnonHugePages:     18432 kB
ShmemPmdMapped:        0 kB
FilePmdMapped:     22528 kB
`;

test('what is neither anonymous nor mapped in huge pages counts as small', () => {
  expect(smallFilePages(rollup)).toBe(60908 - 19280 - 22528);
});

test('a kernel that does not tell huge pages of files has none', () => {
  expect(smallFilePages('Rss: 5000 kB\nAnonymous: 1000 kB\n')).toBe(4000);
});

test('the file is thrown out before it is mapped, and mapped before it is read', () => {
  const program = compileReading(5_000_000);
  expect(program.operations.map(({ call }) => call)).toEqual([
    'ppoll',
    'fdatasync',
    'fadvise64',
    'mmap',
    'madvise',
    'madvise',
    'end',
  ]);
  expect(encodeProgram(program).length).toBeGreaterThan(0);
});
