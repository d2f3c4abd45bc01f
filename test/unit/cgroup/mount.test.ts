import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { findCgroup2, missingController } from '../../../src/cgroup/mount.ts';

let proc = '';
beforeEach(() => {
  proc = mkdtempSync(join(tmpdir(), 'tsrun-proc-'));
  mkdirSync(join(proc, 'self'));
});
afterEach(() => {
  rmSync(proc, { recursive: true });
});

/** Writes a /proc as a host shows it. */
function host(files: { mountinfo: string[]; cgroup?: string; cgroups?: string }): void {
  writeFileSync(join(proc, 'self/mountinfo'), `${files.mountinfo.join('\n')}\n`);
  writeFileSync(join(proc, 'self/cgroup'), files.cgroup ?? '0::/\n');
  if (files.cgroups !== undefined) writeFileSync(join(proc, 'cgroups'), files.cgroups);
}
const find = () => findCgroup2(join(proc, 'self'));

const root = '27 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw';
const unified = '30 24 0:26 / /sys/fs/cgroup rw,nosuid,nodev,noexec,relatime shared:9 - cgroup2 cgroup2 rw,nsdelegate';
const hybrid = [
  '31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755',
  '35 31 0:31 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory',
  '38 31 0:35 / /sys/fs/cgroup/cpu,cpuacct rw,relatime - cgroup cgroup rw,cpu,cpuacct',
  '39 31 0:36 / /sys/fs/cgroup/blkio rw,relatime - cgroup cgroup rw,blkio',
  '41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw',
];

test('a unified host, seen from a session of systemd', () => {
  host({ mountinfo: [root, unified], cgroup: '0::/user.slice/user-0.slice/session-3.scope\n' });
  expect(find()).toEqual({ mountPoint: '/sys/fs/cgroup', ownPath: '/user.slice/user-0.slice/session-3.scope' });
});

test('a hybrid host has a place of its own', () => {
  host({ mountinfo: [root, ...hybrid], cgroup: '9:memory:/x\n1:name=systemd:/\n0::/\n' });
  expect(find()).toEqual({ mountPoint: '/sys/fs/cgroup/unified', ownPath: '/' });
});

test('the usual places come before others, and odd ones are found too', () => {
  const odd = '50 27 0:40 / /mnt/a\\040b rw - cgroup2 none rw';
  host({ mountinfo: [root, odd, unified] });
  expect(find()?.mountPoint).toBe('/sys/fs/cgroup');
  host({ mountinfo: [root, odd] });
  expect(find()?.mountPoint).toBe('/mnt/a b');
});

test('inside a container without a cgroup namespace the own path is cut to what is mounted', () => {
  host({
    mountinfo: [root, '30 24 0:26 /docker/abc /sys/fs/cgroup ro - cgroup2 cgroup rw'],
    cgroup: '0::/docker/abc/init\n',
  });
  expect(find()?.ownPath).toBe('/init');
  host({
    mountinfo: [root, '30 24 0:26 /docker/abc /sys/fs/cgroup ro - cgroup2 cgroup rw'],
    cgroup: '0::/docker/abc\n',
  });
  expect(find()?.ownPath).toBe('/');
});

test('a host without cgroup v2', () => {
  host({ mountinfo: [root, ...hybrid.slice(0, 4)] });
  expect(find()).toBeUndefined();
});

const cgroups = (memory: string) =>
  `#subsys_name\thierarchy\tnum_cgroups\tenabled\n${memory}\nblkio\t7\t1\t1\npids\t0\t40\t1\n`;

test('a missing controller is explained: bound to cgroup v1, with its mount point and the way out', () => {
  host({ mountinfo: [root, ...hybrid], cgroups: cgroups('memory\t4\t13\t1') });
  mkdirSync(join(proc, 'mount'));
  writeFileSync(join(proc, 'mount/cgroup.controllers'), 'hugetlb\n');
  const error = missingController('memory', '--memory', join(proc, 'mount'), proc);
  expect(error.code).toBe('UNSUPPORTED');
  expect(error.message).toBe(
    `--memory needs the controller "memory" of cgroup v2, which is not offered at "${join(proc, 'mount')}" ` +
      '(cgroup.controllers there: hugetlb): it is bound to cgroup v1, mounted at "/sys/fs/cgroup/memory"',
  );
  expect(error.hint).toContain('systemd.unified_cgroup_hierarchy=1');
  expect(missingController('io', '--blkio-weight', '/none', proc).message).toContain(
    'mounted at "/sys/fs/cgroup/blkio"',
  );
});

test('a missing controller is explained: disabled at boot, not built, not handed down', () => {
  host({ mountinfo: [root, unified], cgroups: cgroups('memory\t0\t1\t0') });
  expect(missingController('memory', '-m', '/none', proc)).toMatchObject({
    message: expect.stringContaining('disabled when the kernel was booted'),
    hint: expect.stringContaining('cgroup_disable=memory'),
  });
  expect(missingController('rdma', 'x', '/none', proc)).toMatchObject({
    message: expect.stringContaining('(cgroup.controllers there: empty): this kernel does not have it'),
    hint: expect.stringContaining('CONFIG_CGROUP_RDMA'),
  });
  expect(missingController('pids', 'x', '/none', proc).message).toContain('not handed down');
});
