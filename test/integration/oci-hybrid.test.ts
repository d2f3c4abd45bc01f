/**
 * Limits on a hybrid host, whose controllers are bound to cgroup v1. On a host with cgroup v2 alone they are tested in the guest
 * (test/vm), and there is nothing to do here.
 */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { boundControllers, findHierarchies } from '../../src/cgroup/index.ts';
import { type FullSpec, type OciWorld, useOciWorld } from './oci-fixture.ts';

const hierarchies = findHierarchies();
const bound = boundControllers(hierarchies);
const hybrid = ['memory', 'cpu', 'cpuset', 'pids', 'devices'].every((name) => bound.has(name));

let world: OciWorld;
useOciWorld((made) => {
  world = made;
}, hybrid);

/** A file of a container's directory in the hierarchy of `controller`. */
function file(controller: string, id: string, name: string): string {
  const found = hierarchies.find(({ controllers }) => controllers.includes(controller));
  return join(found?.mountPoint ?? '', 'tsrun-oci-test', id, name);
}

function limited(spec: FullSpec): void {
  spec.mounts.push({
    destination: '/sys/fs/cgroup',
    type: 'cgroup',
    source: 'cgroup',
    options: ['nosuid', 'noexec', 'nodev', 'relatime', 'ro'],
  });
  spec.linux.resources = {
    devices: [{ allow: false, access: 'rwm' }],
    memory: { limit: 64 << 20, swap: 128 << 20, reservation: 32 << 20, swappiness: 10 },
    cpu: { shares: 512, quota: 50_000, period: 100_000, cpus: '0', mems: '0' },
    pids: { limit: 20 },
  };
}

test.runIf(hybrid)('limits are held by cgroup v1, and shown to the container', async () => {
  const names = [
    'memory/memory.limit_in_bytes',
    'memory/memory.memsw.limit_in_bytes',
    'memory/memory.soft_limit_in_bytes',
    'memory/memory.swappiness',
    'cpu/cpu.shares',
    'cpu/cpu.cfs_quota_us',
    'cpuset/cpuset.cpus',
    'pids/pids.max',
    'pids/cgroup.procs',
  ];
  const { stdout, stderr } = await world.run(
    'limits',
    [
      'cd /sys/fs/cgroup',
      `for name in ${names.join(' ')}; do head -n1 $name; done`,
      'mkdir */x 2>/dev/null || echo read-only',
      "grep -v ':/$' /proc/self/cgroup || echo all of its own",
      'grep -c . devices/devices.list',
    ].join('\n'),
    limited,
  );
  const bytes = [64 << 20, 128 << 20, 32 << 20].map(String);
  expect([stdout.split('\n').slice(0, -2), stderr]).toEqual([
    [...bytes, '10', '512', '50000', '0', '20', '1', 'read-only', 'all of its own'],
    '',
  ]);
  expect(existsSync(file('memory', 'limits', ''))).toBe(false);
});

test.runIf(hybrid)('exec joins, update changes, statistics tell, and delete takes all of it away', async () => {
  await world.createOk('life', 'sleep 60', limited);
  await world.ok(['start', 'life']);
  expect(await world.ok(['exec', 'life', 'grep', '-c', ':/$', '/proc/self/cgroup'])).toBe(
    `${hierarchies.length + 1}\n`,
  );
  await world.ok(['update', '--memory', '33554432', '--pids-limit', '-1', '--cpu-quota', '-1', 'life']);
  const read = (controller: string, name: string): string => readFileSync(file(controller, 'life', name), 'utf8');
  expect(read('memory', 'memory.limit_in_bytes')).toBe('33554432\n');
  expect(read('pids', 'pids.max')).toBe('max\n');
  expect(read('cpu', 'cpu.cfs_quota_us')).toBe('-1\n');
  const { data } = JSON.parse(await world.ok(['events', '--stats', 'life']));
  expect(data.memory.usage.limit).toBe(33_554_432);
  expect(data.pids.current).toBeGreaterThan(0);
  await world.delete('life');
  for (const { mountPoint } of hierarchies) expect(existsSync(join(mountPoint, 'tsrun-oci-test/life'))).toBe(false);
});

test.runIf(hybrid && bound.has('freezer'))(
  'a frozen directory of the v1 freezer is not entered, and delete --force ends what sits in one',
  async () => {
    await world.createOk('frozen', 'sleep 60', limited);
    await world.ok(['start', 'frozen']);
    const { pid } = await world.state('frozen');
    const elsewhere = file('freezer', 'elsewhere', '');
    mkdirSync(elsewhere);
    writeFileSync(join(elsewhere, 'cgroup.procs'), String(pid));
    writeFileSync(join(elsewhere, 'freezer.state'), 'FROZEN');
    const { code, stderr } = await world.create('waits', 'true', (spec) => {
      spec.linux.cgroupsPath = '/tsrun-oci-test/elsewhere';
    });
    expect(code, stderr).toBe(1);
    expect(stderr).toMatch(/container's cgroup unexpectedly frozen .*echo THAWED/);
    await world.delete('frozen');
    expect(readFileSync(join(elsewhere, 'cgroup.procs'), 'utf8')).toBe('');
  },
);

test.runIf(hybrid)('a limit that v1 refuses ends the creation and leaves nothing', async () => {
  const { code, stderr } = await world.create('refused', 'true', (spec) => {
    spec.linux.resources = { cpu: { cpus: '4000' } };
  });
  expect(code).toBe(1);
  expect(stderr).toMatch(/linux\.resources\.cpu\.cpus: cannot write .*4000/);
  for (const { mountPoint } of hierarchies) expect(existsSync(join(mountPoint, 'tsrun-oci-test/refused'))).toBe(false);
});

test.runIf(hybrid)(
  'update takes back what was given, and changes a period that is too long for the parent with the quota',
  async () => {
    await world.createOk('zero', 'sleep 1000', (spec) => {
      spec.linux.cgroupsPath = '/tsrun-oci-test/zero/inner';
      spec.linux.resources = { cpu: { idle: 1 } };
    });
    const read = (name: string): string => readFileSync(file('cpu', 'zero/inner', name), 'utf8').trim();
    expect(read('cpu.idle')).toBe('1');
    await world.ok(['update', '--cpu-idle', '0', 'zero']);
    expect(read('cpu.idle')).toBe('0');
    writeFileSync(file('cpu', 'zero', 'cpu.cfs_quota_us'), '50000');
    await world.ok(['update', '--cpu-quota', '40000', 'zero']);
    await world.ok(['update', '--cpu-period', '10000', '--cpu-quota', '3000', 'zero']);
    expect([read('cpu.cfs_period_us'), read('cpu.cfs_quota_us')]).toEqual(['10000', '3000']);
  },
);
