import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import type { Container, ContainerState } from '../../../../src/container/record.ts';
import { english } from '../../../../src/container/sentence.ts';
import { whyExit } from '../../../../src/container/why/exit.ts';
import { whyLimit } from '../../../../src/container/why/limit.ts';
import { mountOf } from '../../../../src/container/why/path.ts';
import { containerRecord } from '../../../fixtures/container-record.ts';

const directory = mkdtempSync(join(tmpdir(), 'tsrun-why.'));
afterAll(() => rmSync(directory, { recursive: true }));

const ended: ContainerState = {
  ...{ status: 'exited', unsupervised: false, pid: 0, exitCode: 0, oomKilled: false, error: '' },
  ...{ startedAt: 'then', finishedAt: 'now', start: undefined, restartCount: 0, health: undefined },
};

function container(state: Partial<ContainerState>, options: Partial<Container['record']['options']> = {}): Container {
  const record = containerRecord('box');
  return {
    record: { ...record, options: { ...record.options, ...options } },
    state: { ...ended, ...state },
    directory,
  };
}

test('an end for want of memory names the limit', () => {
  expect(whyExit(container({ exitCode: 137, oomKilled: true }, { memory: 1024 })).map(english)).toEqual([
    'the kernel killed a process of it: there was no memory left to take',
    'its limit is 1024 bytes (--memory)',
    'its command ended with 137: 128 and the number of SIGKILL',
  ]);
});

test.each([
  [0, /0 is success/],
  [126, /cannot be executed/],
  [127, /was not found/],
  [137, /another process with the rights for it sent it/],
  [139, /SIGSEGV/],
  [200, /up to the program/],
])('%i has its meaning', (exitCode, meaning) => {
  expect(whyExit(container({ exitCode })).map(english).join('\n')).toMatch(meaning);
});

test('a limit says what it met, from the counters of the cgroup', () => {
  const cgroup = join(directory, 'cgroup');
  mkdirSync(cgroup);
  writeFileSync(join(cgroup, 'memory.events'), 'low 0\nhigh 0\nmax 12\noom 1\noom_kill 1\n');
  const start = { ...ended, pid: 5, start: { cgroup } as ContainerState['start'] };
  const options = { memory: 67108864, memorySwap: -1, pidsLimit: 100 };
  expect(whyLimit(container(start, options)).map(english)).toEqual([
    expect.stringMatching(
      /^--memory: memory\.max = 67108864 \(.*\): 12 times it was reached.*, 1 processes were killed for it$/,
    ),
    expect.stringMatching(/^--pids-limit: pids\.max = 100 \(.*\): not met$/),
  ]);
  expect(whyLimit(container({}, options)).map(english)[0]).toMatch(/its cgroup is gone/);
});

test('a path belongs to the longest mount, and to the last where one hides another', () => {
  const mountinfo = `1 0 0:1 / / rw - overlay overlay rw
2 1 0:2 / /proc rw - proc proc rw
3 2 0:3 /null /proc/keys rw - devtmpfs devtmpfs rw
4 1 8:1 /a\\040b /mnt rw - ext4 /dev/sda rw
5 1 0:4 / /mnt rw - tmpfs tmpfs rw
`;
  expect(mountOf(mountinfo, '/proc/keys')).toEqual({ path: '/proc/keys', root: '/null', type: 'devtmpfs' });
  expect(mountOf(mountinfo, '/proc/keys2')?.path).toBe('/proc');
  expect(mountOf(mountinfo, '/mnt/x')?.type).toBe('tmpfs');
  expect(mountOf(mountinfo, '/mntx')?.path).toBe('/');
});
