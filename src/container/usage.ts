/**
 * What a container uses, in docker's terms: two readings of its cgroup make the share of the processors. What no
 * controller measures here is absent, never zero.
 */
import { readFileSync } from 'node:fs';
import { type CgroupStats, readCpu, readStats } from '../cgroup/stats.ts';
import { processesOf } from './processes.ts';
import type { Container } from './record.ts';

/** One reading. Bytes, microseconds. */
export interface Reading {
  /** Microseconds of some clock that only goes forward. */
  time: number;
  /** Processor time so far. */
  cpu: number | undefined;
  memory: { used: number; limit: number } | undefined;
  /** Of all interfaces but the loopback. */
  network: { received: number; sent: number } | undefined;
  block: { read: number; written: number } | undefined;
  processes: number;
  /** Percent of the last ten seconds that some task waited. */
  pressure: { cpu?: number; memory?: number; io?: number };
}

/** A span between two readings: the later one with the share of the processors, 100 for one of them all the time. */
export interface Usage extends Reading {
  cpuPercent: number | undefined;
  memoryPercent: number | undefined;
}

/** What a reading needs of the one before it. */
export type Beginning = Pick<Reading, 'time' | 'cpu'>;

function microseconds(): number {
  return Number(process.hrtime.bigint() / 1000n);
}

/** Reads of a container that runs what a later reading is compared with. */
export function beginUsage({ state }: Container): Beginning {
  const cgroup = state.start?.cgroup ?? '';
  return { time: microseconds(), cpu: cgroup === '' ? undefined : readCpu(cgroup).usage };
}

/** Reads a container that runs. */
export function readUsage(container: Container): Reading {
  const { record, state } = container;
  const cgroup = state.start?.cgroup ?? '';
  const time = microseconds();
  const stats = cgroup === '' ? undefined : readStats(cgroup);
  return {
    time,
    cpu: stats?.cpu.usage,
    memory: stats?.memory === undefined ? undefined : memoryOf(stats.memory),
    // The host's own traffic is not the container's.
    network: record.options.network === 'host' ? { received: 0, sent: 0 } : readTraffic(state.pid),
    block: stats?.io === undefined ? undefined : sumBlocks(stats.io),
    processes: stats?.pids?.current ?? processesOf(container).length,
    pressure: {
      ...optional('cpu', stats?.pressure.cpu?.some.avg10),
      ...optional('memory', stats?.pressure.memory?.some.avg10),
      ...optional('io', stats?.pressure.io?.some.avg10),
    },
  };
}

function optional<Name extends string>(name: Name, value: number | undefined): { [P in Name]?: number } {
  return value === undefined ? {} : ({ [name]: value } as { [P in Name]: number });
}

/** Pages of files that can be dropped at once are not counted, as docker has it. Without a limit it is the machine's. */
export function memoryOf(memory: NonNullable<CgroupStats['memory']>): { used: number; limit: number } {
  const inactive = memory.stat.inactive_file ?? 0;
  const used = inactive < memory.current ? memory.current - inactive : memory.current;
  return {
    used,
    limit: Math.min(memory.limit ?? Number.POSITIVE_INFINITY, process.getBuiltinModule('node:os').totalmem()),
  };
}

function sumBlocks(disks: NonNullable<CgroupStats['io']>): { read: number; written: number } {
  return disks.reduce((sum, disk) => ({ read: sum.read + disk.readBytes, written: sum.written + disk.writtenBytes }), {
    read: 0,
    written: 0,
  });
}

function readTraffic(pid: number): Reading['network'] {
  try {
    return parseTraffic(readFileSync(`/proc/${pid}/net/dev`, 'latin1'));
  } catch {
    return undefined;
  }
}

/** Sums /proc/PID/net/dev (man 5 proc): bytes received are the first number of a line, bytes sent the ninth. */
export function parseTraffic(text: string): { received: number; sent: number } {
  const sum = { received: 0, sent: 0 };
  for (const line of text.split('\n')) {
    const match = /^\s*([^:\s]+):\s*(.*)$/.exec(line);
    if (match === null || match[1] === 'lo') continue;
    const numbers = (match[2] ?? '').trim().split(/\s+/).map(Number);
    sum.received += numbers[0] ?? 0;
    sum.sent += numbers[8] ?? 0;
  }
  return sum;
}

/** What was used between two readings. A container that was restarted in between begins at zero. */
export function usageBetween(before: Beginning, after: Reading): Usage {
  const span = after.time - before.time;
  const cpuPercent =
    after.cpu === undefined || before.cpu === undefined || span <= 0
      ? undefined
      : (Math.max(0, after.cpu - before.cpu) / span) * 100;
  const { memory } = after;
  const memoryPercent = memory === undefined || memory.limit === 0 ? undefined : (memory.used / memory.limit) * 100;
  return { ...after, cpuPercent, memoryPercent };
}
