import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { checkCpuset, parseList } from '../../../src/cgroup/cpu-list.ts';

test('lists of processors', () => {
  expect([...(parseList('0-2,7') ?? [])]).toEqual([0, 1, 2, 7]);
  expect([...(parseList('3\n') ?? [])]).toEqual([3]);
  for (const text of ['', 'a', '2-1', '0-', '-1', '0-99999999999', '1;2']) expect(parseList(text)).toBeUndefined();
});

test('processors that the machine does not have are refused with the words of docker', () => {
  const directory = mkdtempSync(join(tmpdir(), 'tsrun-cpus-'));
  try {
    writeFileSync(join(directory, 'cpuset.cpus.effective'), '0-1\n');
    writeFileSync(join(directory, 'cpuset.mems.effective'), '0\n');
    expect(() => checkCpuset(directory, { cpu: { cpus: '0-1', mems: '0' } })).not.toThrow();
    expect(() => checkCpuset(directory, { cpu: { cpus: '0,9' } })).toThrow(
      'Requested CPUs are not available - requested 0,9, available: 0-1',
    );
    expect(() => checkCpuset(directory, { cpu: { mems: '1' } })).toThrow(
      'Requested memory nodes are not available - requested 1, available: 0',
    );
    expect(() => checkCpuset(directory, { cpu: { cpus: 'all' } })).toThrow('Invalid value all for cpuset cpus');
  } finally {
    rmSync(directory, { recursive: true });
  }
});
