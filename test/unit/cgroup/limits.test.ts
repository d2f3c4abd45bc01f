import { expect, test } from 'vitest';
import { cpuWeight, ioWeight, limits, settingsFor } from '../../../src/cgroup/limits.ts';
import type { LinuxResources } from '../../../src/runtime/spec.ts';

/** What is written, as `file=value`. */
function files(resources: LinuxResources): string[] {
  return settingsFor(resources).map(({ file, value }) => `${file}=${value}`);
}

test('no limit asks for nothing', () => {
  expect(files({})).toEqual([]);
  expect(files({ memory: {}, cpu: {}, blockIO: {}, devices: [] })).toEqual([]);
});

test('memory: the limit, what of memory and swap is swap, the reservation', () => {
  expect(files({ memory: { limit: 64 << 20, swap: 128 << 20, reservation: 32 << 20 } })).toEqual([
    'memory.max=67108864',
    'memory.swap.max=67108864',
    'memory.low=33554432',
  ]);
  expect(files({ memory: { limit: 1000, swap: 1000 } })).toEqual(['memory.max=1000', 'memory.swap.max=0']);
  expect(files({ memory: { limit: 1000, swap: -1 } })).toEqual(['memory.max=1000', 'memory.swap.max=max']);
  expect(files({ memory: { limit: -1 } })).toEqual(['memory.max=max', 'memory.swap.max=max']);
});

test('swap without memory, and less swap than memory, are refused with the words of docker', () => {
  expect(() => settingsFor({ memory: { swap: 5 } })).toThrow(
    'You should always set the Memory limit when using Memoryswap limit',
  );
  expect(() => settingsFor({ memory: { limit: 6, swap: 5 } })).toThrow(
    'Minimum memoryswap limit should be larger than memory limit',
  );
});

test('processors: quota per period, weight, lists', () => {
  expect(files({ cpu: { quota: 150_000, period: 100_000 } })).toEqual(['cpu.max=150000 100000']);
  expect(files({ cpu: { quota: 50_000 } })).toEqual(['cpu.max=50000 100000']);
  expect(files({ cpu: { period: 20_000 } })).toEqual(['cpu.max=max 20000']);
  expect(files({ cpu: { quota: -1, period: 100_000 } })).toEqual(['cpu.max=max 100000']);
  expect(files({ cpu: { shares: 512, idle: 1, burst: 1000, cpus: '0-1', mems: '0' } })).toEqual([
    'cpu.weight=59',
    'cpu.idle=1',
    'cpu.max.burst=1000',
    'cpuset.cpus=0-1',
    'cpuset.mems=0',
  ]);
});

test.each([
  [2, 1],
  [1024, 100],
  [2000, 170],
  [262_144, 10_000],
  [1, 1],
  [1_000_000, 10_000],
])('%i shares are the weight %i', (shares, weight) => {
  expect(cpuWeight(shares)).toBe(weight);
});

test('more shares never weigh less', () => {
  let last = 0;
  for (let shares = 2; shares <= 262_144; shares = Math.ceil(shares * 1.01)) {
    expect(cpuWeight(shares)).toBeGreaterThanOrEqual(last);
    last = cpuWeight(shares);
  }
});

test('processes: a positive limit, anything else is none', () => {
  expect(files({ pids: { limit: 100 } })).toEqual(['pids.max=100']);
  expect(files({ pids: { limit: 0 } })).toEqual(['pids.max=max']);
  expect(files({ pids: { limit: -1 } })).toEqual(['pids.max=max']);
});

test('disks: weights for BFQ and for io.weight, limits per device', () => {
  const resources: LinuxResources = {
    blockIO: {
      weight: 500,
      weightDevice: [{ major: 8, minor: 0, weight: 10 }],
      throttleReadBpsDevice: [{ major: 8, minor: 0, rate: 1_048_576 }],
      throttleWriteBpsDevice: [{ major: 8, minor: 16, rate: 0 }],
      throttleReadIOPSDevice: [{ major: 8, minor: 0, rate: 100 }],
      throttleWriteIOPSDevice: [{ major: 8, minor: 0, rate: 200 }],
    },
  };
  expect(files(resources)).toEqual([
    'io.weight=default 4950',
    'io.weight=8:0 1',
    'io.max=8:0 rbps=1048576',
    'io.max=8:16 wbps=max',
    'io.max=8:0 riops=100',
    'io.max=8:0 wiops=200',
  ]);
  expect(
    settingsFor(resources).flatMap(({ preferred }) => (preferred ? [`${preferred.file}=${preferred.value}`] : [])),
  ).toEqual(['io.bfq.weight=500', 'io.bfq.weight=8:0 10']);
  expect([ioWeight(10), ioWeight(1000)]).toEqual([1, 10_000]);
});

test('huge pages, RDMA and files named by the configuration', () => {
  expect(
    files({
      hugepageLimits: [{ pageSize: '2MB', limit: 4_194_304 }],
      rdma: { mlx5_0: { hcaHandles: 3 } },
      unified: { 'memory.high': '1000', 'cgroup.max.depth': '2' },
    }),
  ).toEqual([
    'hugetlb.2MB.max=4194304',
    'hugetlb.2MB.rsvd.max=4194304',
    'rdma.max=mlx5_0 hca_handle=3 hca_object=max',
    'memory.high=1000',
    'cgroup.max.depth=2',
  ]);
  expect(
    settingsFor({ unified: { 'memory.high': '1', 'cgroup.max.depth': '2' } }).map(({ controller }) => controller),
  ).toEqual(['memory', '']);
});

test.each(['../memory.max', 'memory', 'memory.max/..', '/etc/passwd', 'a b.c', ''])(
  '%j is no file of a cgroup',
  (file) => {
    expect(() => settingsFor({ unified: { [file]: '1' } })).toThrow(/must be the name of a file/);
  },
);

test.each<[LinuxResources, string]>([
  [{ memory: { swappiness: 10 } }, 'memory.swappiness'],
  [{ memory: { disableOOMKiller: true } }, 'memory.disableOOMKiller'],
  [{ cpu: { realtimeRuntime: 100 } }, 'cpu.realtimeRuntime'],
  [{ network: { classID: 5 } }, 'network'],
])('what only cgroup v1 had is refused: %j', (resources, name) => {
  expect(() => settingsFor(resources)).toThrow(new RegExp(`${name}.*cgroup v1 only`));
});

test('what a new cgroup has anyway is told apart, so that it needs no controller', () => {
  const settings = settingsFor({ memory: { limit: -1 }, pids: { limit: -1 }, cpu: { quota: -1 } });
  expect(settings.map(({ file, isDefault }) => [file, isDefault])).toEqual([
    ['memory.max', true],
    ['memory.swap.max', true],
    ['cpu.max', true],
    ['pids.max', true],
  ]);
  expect(settingsFor({ pids: { limit: 5 } })[0]).toMatchObject({
    isDefault: false,
    wantedBy: '--pids-limit',
    controller: 'pids',
  });
});

test('each row of the table says why it is there', () => {
  for (const limit of limits) expect(limit.why.length).toBeGreaterThan(10);
  expect(new Set(limits.map(({ field }) => field)).size).toBe(limits.length);
});
