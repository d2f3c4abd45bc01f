import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { addV1Stats, findHierarchies, makeV1, updateV1, v1Directories } from '../../../src/cgroup/v1.ts';
import { v1Settings, withoutV1 } from '../../../src/cgroup/v1-limits.ts';
import type { LinuxResources } from '../../../src/runtime/spec.ts';

const all = new Set(['memory', 'cpu', 'cpuset', 'pids', 'blkio', 'net_cls', 'net_prio']);

/** What is written, as `file=value`. */
function files(resources: LinuxResources, bound = all): string[] {
  return v1Settings(resources, bound).map((setting) => `${setting.files[0]}=${setting.value}`);
}

test('memory is as the specification counts it: swap is both together', () => {
  expect(files({ memory: { limit: 64, swap: 128, reservation: 32, swappiness: 0, disableOOMKiller: true } })).toEqual([
    'memory.limit_in_bytes=64',
    'memory.memsw.limit_in_bytes=128',
    'memory.soft_limit_in_bytes=32',
    'memory.swappiness=0',
    'memory.oom_control=1',
  ]);
  expect(files({ memory: { limit: -1 } })).toEqual(['memory.limit_in_bytes=-1', 'memory.memsw.limit_in_bytes=-1']);
  expect(files({ memory: { limit: 0, swap: 0 } })).toEqual([]);
});

test('processors, processes, disks and networks', () => {
  const cpu = { shares: 512, quota: -1, period: 1000, realtimeRuntime: 9, cpus: '0', mems: '0' };
  expect(files({ cpu })).toEqual([
    'cpu.shares=512',
    'cpu.cfs_period_us=1000',
    'cpu.cfs_quota_us=-1',
    'cpu.rt_runtime_us=9',
    'cpuset.cpus=0',
    'cpuset.mems=0',
  ]);
  expect(files({ pids: { limit: -1 } })).toEqual(['pids.max=max']);
  expect(files({ pids: { limit: 7 } })).toEqual(['pids.max=7']);
  expect(files({ blockIO: { weight: 500, throttleReadBpsDevice: [{ major: 8, minor: 0, rate: 1000 }] } })).toEqual([
    'blkio.weight=500',
    'blkio.throttle.read_bps_device=8:0 1000',
  ]);
  expect(files({ network: { classID: 5, priorities: [{ name: 'lo', priority: 2 }] } })).toEqual([
    'net_cls.classid=5',
    'net_prio.ifpriomap=lo 2',
  ]);
});

test('what is not bound to v1 stays for v2, and only that', () => {
  const resources: LinuxResources = {
    memory: { limit: 64 },
    cpu: { shares: 2, cpus: '0' },
    pids: { limit: 7 },
    unified: { 'hugetlb.2MB.max': '0' },
  };
  const bound = new Set(['memory', 'cpu']);
  expect(files(resources, bound)).toEqual(['memory.limit_in_bytes=64', 'cpu.shares=2']);
  expect(withoutV1(resources, bound)).toEqual({
    cpu: { cpus: '0' },
    pids: { limit: 7 },
    unified: { 'hugetlb.2MB.max': '0' },
  });
  expect(withoutV1(resources, new Set())).toEqual(resources);
});

let root = '';
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'tsrun-v1-'));
});
afterEach(() => rmSync(root, { recursive: true }));

test('hierarchies are found once each, at the usual place where there are several', () => {
  mkdirSync(join(root, 'self'));
  const line = (mountPoint: string, options: string): string =>
    `35 31 0:31 / ${mountPoint} rw - cgroup cgroup rw,${options}\n`;
  writeFileSync(
    join(root, 'self/mountinfo'),
    line('/mnt/memory', 'memory') +
      line('/sys/fs/cgroup/cpu,cpuacct', 'cpu,cpuacct') +
      line('/sys/fs/cgroup/memory', 'memory') +
      line('/sys/fs/cgroup/systemd', 'xattr,release_agent=/bin/x,name=systemd') +
      '41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n',
  );
  expect(findHierarchies(join(root, 'self'))).toEqual([
    { mountPoint: '/sys/fs/cgroup/cpu,cpuacct', controllers: ['cpu', 'cpuacct'] },
    { mountPoint: '/sys/fs/cgroup/memory', controllers: ['memory'] },
    { mountPoint: '/sys/fs/cgroup/systemd', controllers: ['name=systemd'] },
  ]);
});

test('a file that the kernel has not is an error with the field, and nothing is left', () => {
  const hierarchies = ['memory', 'pids'].map((name) => ({ mountPoint: join(root, name), controllers: [name] }));
  for (const { mountPoint } of hierarchies) mkdirSync(mountPoint);
  expect(() => makeV1('/a/b', { pids: { limit: 5 } }, hierarchies)).toThrow(
    /linux\.resources\.pids\.limit: this kernel has no file pids\.max/,
  );
  expect(v1Directories('/a', hierarchies)).toEqual([]);
});

test('a limit of memory that rises above that of swap makes room first', () => {
  const directory = { path: root, name: 'memory', controllers: ['memory'] };
  writeFileSync(join(root, 'memory.limit_in_bytes'), '10');
  writeFileSync(join(root, 'memory.memsw.limit_in_bytes'), '20');
  updateV1([directory], { memory: { limit: 30 } });
  expect(readFileSync(join(root, 'memory.memsw.limit_in_bytes'), 'utf8')).toBe('30');
  expect(readFileSync(join(root, 'memory.limit_in_bytes'), 'utf8')).toBe('30');
});

test('statistics come from where the controllers are', () => {
  writeFileSync(join(root, 'memory.usage_in_bytes'), '4096\n');
  writeFileSync(join(root, 'memory.limit_in_bytes'), '9223372036854771712\n');
  writeFileSync(join(root, 'memory.stat'), 'cache 1\nrss 2\n');
  const stats = addV1Stats(
    { cpu: { usage: 0, user: 0, system: 0, periods: 0, throttledPeriods: 0, throttled: 0 }, pressure: {} },
    [{ path: root, name: 'memory', controllers: ['memory'] }],
  );
  expect(stats.memory).toMatchObject({ current: 4096, limit: undefined, stat: { file: 1, rss: 2 } });
});
