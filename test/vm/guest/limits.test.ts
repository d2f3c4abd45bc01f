/** What each limit does on a machine where cgroup v2 has all controllers. */
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { tsrun, tsrunOk } from '../../integration/tsrun.ts';
import {
  bytesOf,
  cgroupOf,
  count,
  hierarchy,
  ioDisk,
  ioNumber,
  isNear,
  measured,
  processes,
  read,
  remove,
  shares,
  start,
  until,
} from './containers.ts';

const MiB = 1 << 20;

beforeAll(async () => {
  await tsrunOk(['pull', '-q', 'busybox']);
});

describe('a container with every limit', () => {
  let id = '';
  beforeAll(async () => {
    id = await start(
      [
        ...['--memory=64m', '--memory-swap=96m', '--memory-reservation=32m'],
        ...['--cpus=0.5', '--cpu-shares=512', '--cpuset-cpus=1', '--cpuset-mems=0', '--pids-limit=20'],
        ...['--blkio-weight=200', `--device-read-bps=${ioDisk}:2mb`, `--device-write-iops=${ioDisk}:50`],
      ],
      'cat /proc/self/cgroup /sys/fs/cgroup/memory.max; nproc; while :; do :; done',
    );
  });
  afterAll(async () => {
    await remove(id);
  });

  test('has each in its file', () => {
    const expected = {
      'memory.max': String(64 * MiB),
      'memory.swap.max': String(32 * MiB),
      'memory.low': String(32 * MiB),
      'cpu.max': '50000 100000',
      'cpu.weight': '59',
      'cpuset.cpus': '1',
      'cpuset.mems': '0',
      'pids.max': '20',
      'io.max': `${ioNumber} rbps=${2 * MiB} wbps=max riops=max wiops=50`,
    };
    expect(Object.fromEntries(Object.keys(expected).map((file) => [file, read(id, file)]))).toEqual(expected);
  });

  test('sees its own part of the hierarchy as the whole, and the limits in it', async () => {
    const pid = processes(id)[0] ?? 0;
    expect(readFileSync(`/proc/${pid}/cgroup`, 'utf8')).toBe(`0::/tsrun/${id}\n`);
    const log = await tsrunOk(['logs', id]);
    expect(log.split('\n')).toEqual(['0::/', String(64 * MiB), '1']);
  });

  test('runs where the list of processors says', () => {
    const pid = processes(id)[0] ?? 0;
    expect(readFileSync(`/proc/${pid}/status`, 'utf8')).toMatch(/^Cpus_allowed_list:\t1$/m);
  });

  test('gets its share of a processor within a tenth', async () => {
    await measured(
      'share of a processor',
      async () => (await shares([id], 4))[0] ?? 0,
      (share) => isNear(share, 0.5),
    );
    expect(count(id, 'cpu.stat', 'nr_throttled')).toBeGreaterThan(10);
  });

  test('is seen by stats as the files of the cgroup have it', async () => {
    const pressureOf = (): number => Number(/^some avg10=([\d.]+)/m.exec(read(id, 'cpu.pressure'))?.[1]);
    // It is throttled half of the time: the kernel says so too.
    await until('it waits', () => pressureOf() > 20);
    const format = '{{.CPUPerc}} {{.MemUsage}} {{.PIDs}} {{.CPUPressure}}';
    const shown = await measured(
      'processor time in stats',
      async () => {
        const line = await tsrunOk(['stats', '--no-stream', '--format', format, id]);
        const [, cpu, used = '', limit = '', pids, pressure] =
          /^([\d.]+)% ([\d.]+\w+) \/ ([\d.]+\w+) (\d+) ([\d.]+)%$/.exec(line) ?? [];
        return { cpu: Number(cpu), used, limit, pids: Number(pids), pressure: Number(pressure) };
      },
      ({ cpu, pressure }) => isNear(cpu, 50) && Math.abs(pressure - pressureOf()) < 10,
    );
    const used = Number(read(id, 'memory.current')) - count(id, 'memory.stat', 'inactive_file');
    expect(Math.abs(bytesOf(shown.used) - used)).toBeLessThan(MiB / 2);
    expect(shown.limit).toBe('64MiB');
    expect(shown.pids).toBe(Number(read(id, 'pids.current')));
  });

  test('is frozen by pause and goes on after unpause', async () => {
    await tsrunOk(['pause', id]);
    expect(read(id, 'cgroup.freeze')).toBe('1');
    expect(count(id, 'cgroup.events', 'frozen')).toBe(1);
    const used = count(id, 'cpu.stat', 'usage_usec');
    await delay(1000);
    expect(count(id, 'cpu.stat', 'usage_usec')).toBe(used);
    await tsrunOk(['unpause', id]);
    expect(count(id, 'cgroup.events', 'frozen')).toBe(0);
    await until('it runs', () => count(id, 'cpu.stat', 'usage_usec') > used + 100_000);
  });

  test('has them changed while it runs', async () => {
    await tsrunOk([
      ...['update', '--memory=48m', '--memory-swap=48m', '--memory-reservation=16m', '--cpus=0.2'],
      ...['--cpu-shares=2048', '--cpuset-cpus=0', '--pids-limit=7', '--blkio-weight=300', id],
    ]);
    const files = ['memory.max', 'memory.swap.max', 'memory.low', 'cpu.max', 'cpu.weight', 'cpuset.cpus', 'pids.max'];
    expect(files.map((file) => read(id, file))).toEqual([
      ...[String(48 * MiB), '0', String(16 * MiB)],
      ...['20000 100000', '174', '0', '7'],
    ]);
    expect(read(id, 'io.weight')).toContain('default 2930');
    await measured(
      'share of a processor',
      async () => (await shares([id], 4))[0] ?? 0,
      (share) => isNear(share, 0.2),
    );
  });

  test('shows its pressure in inspect', async () => {
    const [document] = JSON.parse(await tsrunOk(['inspect', id]));
    expect(document.State.Pressure.CPU.Some.Total).toBeGreaterThan(1_000_000);
    expect(Object.keys(document.State.Pressure).sort()).toEqual(['CPU', 'IO', 'Memory']);
    expect(document.HostConfig).toMatchObject({
      BlkioWeight: 300,
      BlkioDeviceReadBps: [{ Path: ioDisk, Rate: 2 * MiB }],
      BlkioDeviceWriteIOps: [{ Path: ioDisk, Rate: 50 }],
      PidsLimit: 7,
    });
  });
});

describe('memory', () => {
  /** Fills so much of a tmpfs: memory that can only be swapped out, not dropped. */
  const fill = (megabytes: number): string => `dd if=/dev/zero of=/dev/shm/file bs=1M count=${megabytes} 2>/dev/null`;

  // There is swap: without the second limit it would go there, as the next test does.
  test('beyond the limit and swap off ends the container with 137, and inspect knows why', async () => {
    const limit = ['--memory=24m', '--memory-swap=24m', '--shm-size=64m', '--network=none'];
    const result = await tsrun(['run', '--name=greedy', ...limit, 'busybox', 'sh', '-c', `exec ${fill(60)}`]);
    expect(result.code).toBe(137);
    const state = await tsrunOk(['inspect', '--format', '{{.State.OOMKilled}} {{.State.ExitCode}}', 'greedy']);
    expect(state).toBe('true 137');
    await remove('greedy');
  });

  test('goes to swap as far as --memory-swap lets it', async () => {
    const id = await start(['--memory=24m', '--memory-swap=80m'], `${fill(48)}; echo $? >/dev/shm/done; sleep 1000`);
    const swapped = (): number => Number(read(id, 'memory.swap.current'));
    await until('it is swapped out', () => swapped() > 20 * MiB);
    expect(Number(read(id, 'memory.current'))).toBeLessThanOrEqual(24 * MiB);
    await tsrunOk(['update', '--memory=16m', '--memory-swap=80m', id]);
    await until('more of it is', () => Number(read(id, 'memory.current')) <= 16 * MiB);
    expect(read(id, 'memory.swap.max')).toBe(String(64 * MiB));
    expect(count(id, 'memory.events', 'oom_kill')).toBe(0);
    await remove(id);
  });

  test('that is reserved stays, when others must give theirs away', async () => {
    const parent = join(hierarchy, 'tsrun');
    const ids: string[] = [];
    try {
      ids.push(await start(['--memory-reservation=48m'], `${fill(32)}; touch /full; sleep 1000`));
      await until('the first is full', () => Number(read(ids[0] ?? '', 'memory.current')) > 32 * MiB);
      // Both together get less than they want.
      writeFileSync(join(parent, 'memory.max'), String(64 * MiB));
      ids.push(await start([], `${fill(50)}; sleep 1000`));
      const swapped = (at: number): number => Number(read(ids[at] ?? '', 'memory.swap.current'));
      await until('the second is swapped out', () => swapped(1) > 10 * MiB);
      expect(swapped(0)).toBeLessThan(2 * MiB);
    } finally {
      writeFileSync(join(parent, 'memory.max'), 'max');
      await remove(...ids);
    }
  });
});

test('shares: two busy containers on one processor divide it as their weights say', async () => {
  const busy = 'while :; do :; done';
  const ids = [
    await start(['--cpuset-cpus=1', '--cpu-shares=2048'], busy),
    await start(['--cpuset-cpus=1', '--cpu-shares=256'], busy),
  ];
  const weights = ids.map((id) => Number(read(id, 'cpu.weight')));
  expect(weights).toEqual([174, 35]);
  await measured(
    'ratio of two containers',
    async () => {
      const [large = 0, small = 1] = await shares(ids, 6);
      return large / small;
    },
    (ratio) => isNear(ratio, 174 / 35),
  );
  await remove(...ids);
});

/** Milliseconds in which this machine starts a process: the median of some. */
function startTime(): number {
  const times = Array.from({ length: 9 }, () => {
    const before = performance.now();
    spawnSync('/bin/true');
    return performance.now() - before;
  });
  return times.sort((a, b) => a - b)[4] ?? 0;
}

test('a fork bomb stays below its limit, the machine goes on, and it ends at once with all it made', async () => {
  // A shell gives up when it cannot fork; perl, of the guest, never does.
  const libraries = '/usr/lib/x86_64-linux-gnu';
  const perl = `${libraries}/ld-linux-x86-64.so.2 --library-path ${libraries} /usr/bin/perl`;
  const id = await start(['--pids-limit=40', '-v', '/usr:/usr:ro'], `${perl} -e 'fork while 1' & exec sleep 1000`);
  const pids = (): number => Number(read(id, 'pids.current'));
  try {
    await until('the limit is met', () => count(id, 'pids.events', 'max') > 20);
    expect(pids()).toBeLessThanOrEqual(40);
    // Compared with the same moment without it: frozen, it takes nothing.
    const freeze = async (frozen: 0 | 1): Promise<void> => {
      writeFileSync(join(cgroupOf(id), 'cgroup.freeze'), String(frozen));
      await until('frozen or not', () => count(id, 'cgroup.events', 'frozen') === frozen);
    };
    await measured(
      'starts of a process beside a fork bomb, compared with those without it',
      async () => {
        await freeze(1);
        const quiet = startTime();
        await freeze(0);
        return startTime() / quiet;
      },
      (ratio) => ratio < 8,
    );
    // What a command needs on an emulated processor is much: it is spared the bomb.
    await freeze(1);
    await tsrunOk(['update', '--pids-limit=60', id]);
    await freeze(0);
    await until('it takes what it is given', () => pids() > 40);
    expect(pids()).toBeLessThanOrEqual(60);
  } finally {
    await remove(id);
  }
  expect(existsSync(cgroupOf(id))).toBe(false);
});
