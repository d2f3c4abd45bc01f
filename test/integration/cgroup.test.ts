/**
 * Real cgroups with real processes. What limits do is tested where the machine offers the controllers; a hybrid host
 * offers few or none, and then it is tested that this is said.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { killOneByOne } from '../../src/cgroup/control.ts';
import {
  allDevices,
  createCgroup,
  createCgroupAt,
  defaultDeviceRules,
  findCgroup2,
  freezeCgroup,
  isFrozen,
  isPopulated,
  killCgroup,
  offeredControllers,
  oomKilled,
  processesBelow,
  readStats,
  removeCgroup,
  updateCgroup,
} from '../../src/cgroup/index.ts';
import { TsrunError } from '../../src/error.ts';
import { close } from '../../src/linux/fs.ts';
import { closeCgroup, makeCgroup } from '../../src/oci/cgroup.ts';
import type { LinuxResources } from '../../src/runtime/spec.ts';

const mount = findCgroup2()?.mountPoint ?? '';
const offered = mount === '' ? [] : offeredControllers(mount);
const id = `test-${process.pid}`;
const path = join(mount, 'tsrun', id);
let children: ChildProcess[] = [];
let enabledBefore = '';

beforeEach(() => {
  enabledBefore = readFileSync(join(mount, 'cgroup.subtree_control'), 'utf8');
});

afterEach(async () => {
  killCgroup(path);
  removeCgroup(path);
  await Promise.all(
    children.map(
      (child) => child.exitCode ?? child.signalCode ?? new Promise((resolve) => child.once('exit', resolve)),
    ),
  );
  children = [];
  // A controller that a test switched on for everybody is switched off again where nothing else wants it.
  for (const directory of [join(mount, 'tsrun'), mount]) {
    for (const controller of readFileSync(join(directory, 'cgroup.subtree_control'), 'utf8').split(/\s+/)) {
      if (controller === '' || enabledBefore.includes(controller)) continue;
      try {
        writeFileSync(join(directory, 'cgroup.subtree_control'), `-${controller}`, { flag: 'r+' });
      } catch {
        // another container uses it
      }
    }
  }
});

function make(resources: LinuxResources = {}): string {
  const cgroup = createCgroup(id, resources);
  expect(cgroup.path).toBe(path);
  expect(cgroup.fd).toBeGreaterThan(2);
  close(cgroup.fd);
  return cgroup.path;
}

/** Starts a shell script inside the cgroup. */
function start(script: string, at = path): ChildProcess {
  const child = spawn('sh', ['-c', `echo $$ > ${at}/cgroup.procs && ${script}`], { stdio: ['ignore', 'pipe', 'pipe'] });
  children.push(child);
  return child;
}

async function until(condition: () => boolean): Promise<void> {
  for (let i = 0; i < 200 && !condition(); i++) await delay(25);
  expect(condition()).toBe(true);
}

/** Runs a script inside the cgroup and returns what it printed and how it ended. */
function run(script: string): { stdout: string; status: number | null; signal: string | null } {
  const { stdout, status, signal } = spawnSync('sh', ['-c', `echo $$ > ${path}/cgroup.procs && ${script}`], {
    encoding: 'utf8',
  });
  return { stdout: stdout.trim(), status, signal };
}

function errorOf(action: () => unknown): TsrunError {
  try {
    action();
  } catch (error) {
    if (error instanceof TsrunError) return error;
    throw error;
  }
  throw new Error('nothing was thrown');
}

test('a cgroup without limits is made and removed, and needs no controller', () => {
  make();
  expect(readFileSync(join(path, 'cgroup.procs'), 'utf8')).toBe('');
  expect(isPopulated(path)).toBe(false);
  removeCgroup(path);
  expect(existsSync(path)).toBe(false);
  expect(() => removeCgroup(path)).not.toThrow();
});

test('killing ends everything, also what is being forked and what is below', async () => {
  make();
  mkdirSync(join(path, 'inner/deeper'), { recursive: true });
  start('while :; do sleep 100 & sleep 0.02; done');
  start('setsid sleep 100', join(path, 'inner/deeper'));
  await until(() => processesBelow(path).length > 6);
  expect(killCgroup(path)).toBe(true);
  expect(processesBelow(path)).toEqual([]);
  removeCgroup(path);
  expect(existsSync(path)).toBe(false);
  expect(killCgroup(path)).toBe(true);
});

test('kernels without cgroup.kill get the same, one process after the other', async () => {
  make();
  start('trap "" TERM; while :; do sleep 100 & sleep 0.02; done');
  await until(() => processesBelow(path).length > 4);
  expect(killOneByOne(path, 5000)).toBe(true);
  expect(processesBelow(path)).toEqual([]);
});

test('freezing stops everything until it is thawed', async () => {
  make();
  const directory = mkdtempSync(join(tmpdir(), 'tsrun-freeze-'));
  const file = join(directory, 'count');
  try {
    start(`while :; do echo x >> ${file}; sleep 0.01; done`);
    const size = (): number => (existsSync(file) ? readFileSync(file).length : 0);
    await until(() => size() > 6);
    freezeCgroup(path, true);
    expect(isFrozen(path)).toBe(true);
    const frozenAt = size();
    await delay(200);
    expect(size()).toBe(frozenAt);
    freezeCgroup(path, false);
    expect(isFrozen(path)).toBe(false);
    await until(() => size() > frozenAt + 6);
    freezeCgroup(path, true);
    expect(killCgroup(path)).toBe(true);
  } finally {
    rmSync(directory, { recursive: true });
  }
  removeCgroup(path);
  expect(errorOf(() => freezeCgroup(path, true)).code).toBe('NOT_FOUND');
});

test('a cgroup in use is not removed, and the processes are named', async () => {
  make();
  const child = start('sleep 100');
  await until(() => processesBelow(path).length > 0);
  const error = errorOf(() => removeCgroup(path, 100));
  expect(error.code).toBe('IN_USE');
  expect(error.message).toContain(`processes in it: ${child.pid}`);
  expect(errorOf(() => createCgroup(id, {})).code).toBe('CONFLICT');
});

test('an empty one that a crash left is made anew', () => {
  make();
  mkdirSync(join(path, 'left'));
  make();
  expect(existsSync(join(path, 'left'))).toBe(false);
});

test.each(['', '.', '..', 'a/b', '../x'])('%j is no name of a cgroup', (name) => {
  expect(errorOf(() => createCgroup(name, {})).code).toBe('USAGE');
});

test('statistics count what runs', async () => {
  make();
  run('i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done');
  const stats = readStats(path);
  expect(stats.cpu.usage).toBeGreaterThan(1000);
  expect(stats.cpu.usage).toBeGreaterThanOrEqual(stats.cpu.user);
});

describe('devices', () => {
  const directory = mkdtempSync(join(tmpdir(), 'tsrun-devices-'));
  const node = join(directory, 'node');
  /** Whether each device can be read inside the cgroup; /dev/kmsg and /dev/mem stand for the host's. */
  const script =
    `for f in /dev/null /dev/zero /dev/urandom; do head -c 1 $f > /dev/null && echo ok || echo refused; done 2>/dev/null;` +
    `rm -f ${node}; mknod ${node} c 1 11 && echo made; dd if=${node} of=/dev/null bs=8192 count=1 iflag=nonblock 2>&1 | grep -o -m1 "Operation not permitted";` +
    `rm -f ${node}; exit 0`;

  afterEach(() => {
    rmSync(node, { force: true });
  });

  test('the default rules let nodes be made but only the harmless ones be opened', () => {
    make({ devices: [...defaultDeviceRules] });
    expect(run(script).stdout.split('\n')).toEqual(['ok', 'ok', 'ok', 'made', 'Operation not permitted']);
  });

  test('a rule more opens one device', () => {
    make({ devices: [...defaultDeviceRules, { allow: true, type: 'c', major: 1, minor: 11, access: 'r' }] });
    expect(run(script).stdout.split('\n')).toEqual(['ok', 'ok', 'ok', 'made']);
  });

  test('making nodes can be refused', () => {
    make({ devices: [{ allow: false }, { allow: true, type: 'c', major: 1, minor: 3 }] });
    expect(
      run(`mknod ${node} c 1 3 && echo null; rm -f ${node}; mknod ${node} c 1 5 || echo refused`).stdout.split('\n'),
    ).toEqual(['null', 'refused']);
  });

  test('without rules, and with all allowed, nothing is refused', () => {
    make({ devices: [...allDevices] });
    expect(run(script).stdout).not.toContain('not permitted');
  });

  test('rules hold below the cgroup too', () => {
    make({ devices: [...defaultDeviceRules] });
    mkdirSync(join(path, 'inner'));
    const inner = spawnSync('sh', ['-c', `echo $$ > ${path}/inner/cgroup.procs && ${script}`], { encoding: 'utf8' });
    expect(inner.stdout).toContain('Operation not permitted');
  });

  test('contradicting rules leave no cgroup behind', () => {
    const error = errorOf(() =>
      createCgroup(id, {
        devices: [{ allow: false }, { allow: true, type: 'c' }, { allow: false, type: 'c', major: 1, minor: 3 }],
      }),
    );
    expect(error.message).toMatch(/contradicts the wider c \*:\*/);
    expect(existsSync(path)).toBe(false);
  });

  test('the directory of the tests goes', () => {
    expect(readdirSync(directory)).toEqual([]);
    rmSync(directory, { recursive: true });
  });
});

const wanted: [string, LinuxResources][] = [
  ['memory', { memory: { limit: 1 << 26 } }],
  ['cpu', { cpu: { quota: 50_000, period: 100_000 } }],
  ['cpuset', { cpu: { cpus: '0' } }],
  ['pids', { pids: { limit: 10 } }],
  ['io', { blockIO: { throttleReadBpsDevice: [{ major: 8, minor: 0, rate: 1 }] } }],
];

test.each(wanted.filter(([controller]) => !offered.includes(controller)))(
  'a limit of %s, which this machine does not offer, is refused before anything is made',
  (controller, resources) => {
    const error = errorOf(() => createCgroup(id, resources));
    expect(error.code).toBe('UNSUPPORTED');
    expect(error.message).toContain(
      `needs the controller "${controller}" of cgroup v2, which is not offered at "${mount}"`,
    );
    expect(error.hint).toBeTruthy();
    expect(existsSync(path)).toBe(false);
  },
);

describe.runIf(offered.includes('hugetlb'))('huge pages', () => {
  test('are limited, with the controller enabled all the way down', () => {
    make({ hugepageLimits: [{ pageSize: '2MB', limit: 4 << 20 }] });
    expect(readFileSync(join(path, 'hugetlb.2MB.max'), 'utf8')).toBe('4194304\n');
    expect(readFileSync(join(mount, 'tsrun/cgroup.subtree_control'), 'utf8')).toContain('hugetlb');
  });

  test('of a size that does not exist leave nothing behind', () => {
    const error = errorOf(() => createCgroup(id, { hugepageLimits: [{ pageSize: '3MB', limit: 0 }] }));
    expect(error.code).toBe('UNSUPPORTED');
    expect(error.message).toContain('no file hugetlb.3MB.max');
    expect(existsSync(path)).toBe(false);
  });

  test('can be changed later', () => {
    make({ hugepageLimits: [{ pageSize: '2MB', limit: 4 << 20 }] });
    updateCgroup(path, { hugepageLimits: [{ pageSize: '2MB', limit: 2 << 20 }] });
    expect(readFileSync(join(path, 'hugetlb.2MB.max'), 'utf8')).toBe('2097152\n');
  });

  test('below a cgroup with processes in it are refused, with the way out', async () => {
    make();
    start('sleep 100');
    await until(() => processesBelow(path).length > 0);
    const inner = `tsrun/${id}/inner`;
    const error = errorOf(() => createCgroupAt(inner, { hugepageLimits: [{ pageSize: '2MB', limit: 0 }] }));
    expect(error.code).toBe('UNSUPPORTED');
    expect(error.message).toContain(`cannot be enabled in "${path}": processes are in it`);
    expect(error.hint).toContain(`${path}/cgroup.procs`);
    expect(existsSync(join(mount, inner))).toBe(false);
    const cgroup = createCgroupAt(inner, {});
    close(cgroup.fd);
    expect(readFileSync(join(path, 'cgroup.type'), 'utf8')).toBe('domain\n');
  });

  test('that the kernel does not take are refused with its answer', () => {
    const error = errorOf(() => createCgroup(id, { unified: { 'hugetlb.2MB.max': 'much' } }));
    expect(error.code).toBe('USAGE');
    expect(error.message).toMatch(/cannot write "much" to ".*hugetlb.2MB.max": EINVAL/);
    expect(existsSync(path)).toBe(false);
  });
});

describe('unified: files that a configuration names itself', () => {
  /** As the OCI runtime makes it. */
  const makeUnified = (unified: Record<string, string>): void => {
    const spec = { ociVersion: '1.2.0', linux: { cgroupsPath: `/tsrun/${id}`, resources: { unified } } };
    const made = makeCgroup(id, spec, 'cgroupfs', () => {});
    closeCgroup(made);
    expect(made.path).toBe(path);
  };
  const files: Readonly<Record<string, readonly (readonly [file: string, value: string])[]>> = {
    cgroup: [
      ['cgroup.max.depth', '3'],
      ['cgroup.max.descendants', '5'],
    ],
    memory: [
      ['memory.high', '33554432'],
      ['memory.oom.group', '1'],
    ],
    pids: [['pids.max', '8']],
    cpu: [['cpu.max.burst', '0']],
    hugetlb: [['hugetlb.2MB.max', '2097152']],
  };

  test('are written, with their controllers enabled all the way down', () => {
    const wanted = ['cgroup', ...offered].flatMap((controller) => files[controller] ?? []);
    makeUnified(Object.fromEntries(wanted));
    expect(wanted.map(([file]) => [file, readFileSync(join(path, file), 'utf8').trim()])).toEqual(wanted);
    mkdirSync(join(path, 'a/b/c'), { recursive: true });
    expect(() => mkdirSync(join(path, 'a/b/c/d'))).toThrow('EAGAIN');
  });

  test.runIf(offered.includes('pids'))('hold', () => {
    makeUnified({ 'pids.max': '8' });
    expect(run('for i in 1 2 3 4 5 6 7 8 9; do sleep 5 & done 2>/dev/null; echo never').stdout).not.toContain('never');
  });

  test.each([
    [{ 'memory.no_such_file': '1' }, /memory/],
    [{ 'cgroup.max.depth': 'deep' }, /cannot write "deep" to ".*cgroup.max.depth": EINVAL/],
    [{ '../cgroup.procs': '1' }, /must be the name of a file of a cgroup/],
  ])('that cannot be are named, and leave nothing behind: %j', (unified, message) => {
    expect(errorOf(() => makeUnified(unified)).message).toMatch(message);
    expect(existsSync(path)).toBe(false);
  });
});

describe.runIf(offered.includes('memory'))('memory', () => {
  test('is limited, and the kill for want of it is seen', () => {
    make({ memory: { limit: 32 << 20, swap: 32 << 20, reservation: 16 << 20 } });
    expect(readFileSync(join(path, 'memory.max'), 'utf8')).toBe('33554432\n');
    expect(readFileSync(join(path, 'memory.low'), 'utf8')).toBe('16777216\n');
    expect(oomKilled(path)).toBe(false);
    const { status } = run(
      `${process.execPath} -e 'for (const all = [];;) all.push(Buffer.alloc(1 << 20, 1))'; exit $?`,
    );
    expect(status).toBe(137);
    expect(oomKilled(path)).toBe(true);
    expect(readStats(path).memory?.peak).toBeGreaterThan(30 << 20);
  });

  test('can be raised, but not below what is used when asked to look', () => {
    make({ memory: { limit: 64 << 20 } });
    updateCgroup(path, { memory: { limit: -1, swap: -1 } });
    expect(readStats(path).memory?.limit).toBeUndefined();
    run('cat /proc/self/status > /dev/null');
    const error = errorOf(() => updateCgroup(path, { memory: { limit: 1, checkBeforeUpdate: true } }));
    expect(error.message).toContain('are in use');
  });
});

describe.runIf(offered.includes('cpu'))('processors', () => {
  test('a busy loop gets its quota', () => {
    make({ cpu: { quota: 20_000, period: 100_000, shares: 512 } });
    expect(readFileSync(join(path, 'cpu.max'), 'utf8')).toBe('20000 100000\n');
    expect(readFileSync(join(path, 'cpu.weight'), 'utf8')).toBe('59\n');
    const start = performance.now();
    run('timeout 2 sh -c "while :; do :; done"');
    const share = readStats(path).cpu.usage / 1000 / (performance.now() - start);
    expect(share).toBeGreaterThan(0.1);
    expect(share).toBeLessThan(0.35);
    const { cpu } = readStats(path);
    expect(cpu.throttledPeriods).toBeGreaterThan(5);
  });
});

describe.runIf(offered.includes('cpuset'))('lists of processors', () => {
  test('bind what runs', () => {
    make({ cpu: { cpus: '0', mems: '0' } });
    expect(run('grep Cpus_allowed_list /proc/self/status').stdout).toMatch(/:\s0$/);
  });

  test('with processors that the machine does not have are refused', () => {
    const error = errorOf(() => createCgroup(id, { cpu: { cpus: String(availableParallelism() + 500) } }));
    expect(error.message).toMatch(/^Requested CPUs are not available - requested \d+, available: 0/);
    expect(existsSync(path)).toBe(false);
  });
});

describe.runIf(offered.includes('pids'))('processes', () => {
  test('a fork bomb is contained', () => {
    make({ pids: { limit: 8 } });
    const { stdout } = run('for i in 1 2 3 4 5 6 7 8 9 10 11 12; do sleep 5 & done 2>/dev/null; echo never');
    expect(stdout).not.toContain('never');
    expect(readStats(path).pids?.limit).toBe(8);
    expect(readStats(path).pids?.current).toBeLessThanOrEqual(8);
    killCgroup(path);
  });
});

describe.runIf(offered.includes('io'))('disks', () => {
  const disk = /^\s*(\d+)\s+(\d+)\s+\d+\s+[sv]d[a-z]$/m.exec(readFileSync('/proc/partitions', 'utf8'));

  test.runIf(disk !== null)('limits are written for a device', () => {
    const [major, minor] = [Number(disk?.[1]), Number(disk?.[2])];
    make({
      blockIO: {
        throttleReadBpsDevice: [{ major, minor, rate: 1 << 20 }],
        throttleWriteIOPSDevice: [{ major, minor, rate: 100 }],
      },
    });
    expect(readFileSync(join(path, 'io.max'), 'utf8')).toBe(
      `${major}:${minor} rbps=1048576 wbps=max riops=max wiops=100\n`,
    );
  });

  test('for a device that does not exist are refused with a hint', () => {
    const error = errorOf(() =>
      createCgroup(id, { blockIO: { throttleReadBpsDevice: [{ major: 999, minor: 9, rate: 1 }] } }),
    );
    expect(error.message).toContain('io.max": ENODEV');
    expect(error.hint).toContain('lsblk');
  });
});
