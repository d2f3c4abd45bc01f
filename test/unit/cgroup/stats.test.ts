import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { oomKilled, readStats } from '../../../src/cgroup/stats.ts';

let directory = '';
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'tsrun-stats-'));
});
afterEach(() => {
  rmSync(directory, { recursive: true });
});

function write(files: Record<string, string>): void {
  for (const [name, text] of Object.entries(files)) writeFileSync(join(directory, name), text);
}

test('the numbers of all controllers', () => {
  write({
    'memory.current': '1048576\n',
    'memory.peak': '2097152\n',
    'memory.max': '67108864\n',
    'memory.swap.current': '0\n',
    'memory.swap.max': 'max\n',
    'memory.stat': 'anon 4096\nfile 8192\ninactive_file 512\n',
    'memory.events': 'low 0\nhigh 0\nmax 3\noom 1\noom_kill 1\n',
    'cpu.stat': 'usage_usec 1500\nuser_usec 1000\nsystem_usec 500\nnr_periods 10\nnr_throttled 2\nthrottled_usec 30\n',
    'pids.current': '7\n',
    'pids.max': '100\n',
    'io.stat':
      '8:0 rbytes=4096 wbytes=8192 rios=1 wios=2 dbytes=0 dios=0\n253:1 \n259:0 rbytes=1 wbytes=0 rios=1 wios=0 dbytes=3 dios=4\n',
    'cpu.pressure':
      'some avg10=1.50 avg60=0.20 avg300=0.00 total=4711\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=0\n',
    'memory.pressure': 'some avg10=0.00 avg60=0.00 avg300=0.00 total=12\n',
  });
  expect(readStats(directory)).toEqual({
    memory: {
      current: 1048576,
      peak: 2097152,
      limit: 67108864,
      swap: 0,
      swapLimit: undefined,
      stat: { anon: 4096, file: 8192, inactive_file: 512 },
      events: { low: 0, high: 0, max: 3, oom: 1, oom_kill: 1 },
    },
    cpu: { usage: 1500, user: 1000, system: 500, periods: 10, throttledPeriods: 2, throttled: 30 },
    pids: { current: 7, limit: 100 },
    io: [
      { major: 8, minor: 0, readBytes: 4096, writtenBytes: 8192, reads: 1, writes: 2, discardedBytes: 0, discards: 0 },
      { major: 259, minor: 0, readBytes: 1, writtenBytes: 0, reads: 1, writes: 0, discardedBytes: 3, discards: 4 },
    ],
    pressure: {
      cpu: {
        some: { avg10: 1.5, avg60: 0.2, avg300: 0, total: 4711 },
        full: { avg10: 0, avg60: 0, avg300: 0, total: 0 },
      },
      memory: { some: { avg10: 0, avg60: 0, avg300: 0, total: 12 } },
    },
  });
  expect(oomKilled(directory)).toBe(true);
});

test('controllers that are not there leave gaps', () => {
  write({ 'cpu.stat': 'usage_usec 5\nuser_usec 5\nsystem_usec 0\n' });
  expect(readStats(directory)).toEqual({
    cpu: { usage: 5, user: 5, system: 0, periods: 0, throttledPeriods: 0, throttled: 0 },
    pressure: {},
  });
  expect(oomKilled(directory)).toBe(false);
  expect(readStats(join(directory, 'gone')).cpu.usage).toBe(0);
});
