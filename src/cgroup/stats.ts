/** What a cgroup uses (cgroup-v2.rst; Documentation/accounting/psi.rst). Controllers that are not there leave gaps. */
import { join } from 'node:path';
import { parseKeyed, readControl } from './files.ts';

export interface CgroupStats {
  memory?: MemoryStats;
  cpu: CpuStats;
  pids?: { current: number; limit: number | undefined };
  /** By disk. */
  io?: IoStats[];
  /** Since Linux 5.2, unless it was switched off at boot. */
  pressure: { cpu?: Pressure; memory?: Pressure; io?: Pressure };
}

/** Bytes; a limit of undefined is none. */
export interface MemoryStats {
  current: number;
  /** Highest so far (Linux 5.19). */
  peak: number | undefined;
  limit: number | undefined;
  swap: number | undefined;
  swapLimit: number | undefined;
  /** memory.stat: anon, file, inactive_file, … */
  stat: Record<string, number>;
  /** memory.events: max, oom, oom_kill, … */
  events: Record<string, number>;
}

/** Microseconds, and numbers of periods. */
export interface CpuStats {
  usage: number;
  user: number;
  system: number;
  periods: number;
  throttledPeriods: number;
  throttled: number;
}

/** Bytes and operations; discards are trims of SSDs. */
export interface IoStats {
  major: number;
  minor: number;
  readBytes: number;
  writtenBytes: number;
  reads: number;
  writes: number;
  discardedBytes: number;
  discards: number;
}

/** Time that tasks waited: some of them, or all at once (`full`). */
export interface Pressure {
  some: PressureLine;
  full?: PressureLine;
}

/** Percent over the last 10, 60 and 300 seconds; microseconds altogether. */
export interface PressureLine {
  avg10: number;
  avg60: number;
  avg300: number;
  total: number;
}

/** The numbers of the cgroup at `path` and everything below it; zeros for a cgroup that is gone. */
export function readStats(path: string): CgroupStats {
  const read = (file: string): string | undefined => readControl(join(path, file));
  const stats: CgroupStats = { cpu: readCpu(path), pressure: readPressure(path) };
  const memory = parseNumber(read('memory.current'));
  if (memory !== undefined) {
    stats.memory = {
      current: memory,
      peak: parseNumber(read('memory.peak')),
      limit: parseNumber(read('memory.max')),
      swap: parseNumber(read('memory.swap.current')),
      swapLimit: parseNumber(read('memory.swap.max')),
      stat: parseKeyed(read('memory.stat')),
      events: parseKeyed(read('memory.events')),
    };
  }
  const pids = parseNumber(read('pids.current'));
  if (pids !== undefined) stats.pids = { current: pids, limit: parseNumber(read('pids.max')) };
  const io = read('io.stat');
  if (io !== undefined) stats.io = parseIo(io);
  return stats;
}

/** What of `readStats` is about processors: one file, where the others are ten and more. */
export function readCpu(path: string): CgroupStats['cpu'] {
  return parseCpu(readControl(join(path, 'cpu.stat')));
}

/** How long tasks of the cgroup waited for each resource; what the kernel does not tell is absent. */
export function readPressure(path: string): CgroupStats['pressure'] {
  const all: CgroupStats['pressure'] = {};
  for (const resource of ['cpu', 'memory', 'io'] as const) {
    const pressure = parsePressure(readControl(join(path, `${resource}.pressure`)));
    if (pressure !== undefined) all[resource] = pressure;
  }
  return all;
}

/** Whether the kernel killed a process of the cgroup, or below it, for want of memory. */
export function oomKilled(path: string): boolean {
  return (parseKeyed(readControl(join(path, 'memory.events'))).oom_kill ?? 0) > 0;
}

/** `max` is no number. */
function parseNumber(text: string | undefined): number | undefined {
  return text !== undefined && /^\d+$/.test(text) ? Number(text) : undefined;
}

function parseCpu(text: string | undefined): CpuStats {
  const values = parseKeyed(text);
  return {
    usage: values.usage_usec ?? 0,
    user: values.user_usec ?? 0,
    system: values.system_usec ?? 0,
    periods: values.nr_periods ?? 0,
    throttledPeriods: values.nr_throttled ?? 0,
    throttled: values.throttled_usec ?? 0,
  };
}

/** `key=value` pairs of a line. */
function parsePairs(words: readonly string[]): Record<string, number> {
  return Object.fromEntries(
    words.map((word) => word.split('=')).map(([key = '', value = '']) => [key, Number(value)] as const),
  );
}

function parseIo(text: string): IoStats[] {
  return text.split('\n').flatMap((line) => {
    const match = /^(\d+):(\d+) (.+)$/.exec(line);
    if (match === null) return [];
    const values = parsePairs((match[3] ?? '').split(' '));
    return [
      {
        major: Number(match[1]),
        minor: Number(match[2]),
        readBytes: values.rbytes ?? 0,
        writtenBytes: values.wbytes ?? 0,
        reads: values.rios ?? 0,
        writes: values.wios ?? 0,
        discardedBytes: values.dbytes ?? 0,
        discards: values.dios ?? 0,
      },
    ];
  });
}

function parsePressure(text: string | undefined): Pressure | undefined {
  const lines = new Map<string, PressureLine>();
  for (const line of (text ?? '').split('\n')) {
    const [name = '', ...words] = line.split(' ');
    const values = parsePairs(words);
    if (values.total === undefined) continue;
    lines.set(name, {
      avg10: values.avg10 ?? 0,
      avg60: values.avg60 ?? 0,
      avg300: values.avg300 ?? 0,
      total: values.total,
    });
  }
  const [some, full] = [lines.get('some'), lines.get('full')];
  if (some === undefined) return undefined;
  return full === undefined ? { some } : { some, full };
}
