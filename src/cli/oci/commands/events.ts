/** `events`: statistics in the form that runc gives them. */
import { setTimeout as delay } from 'node:timers/promises';
import { addV1Stats, type CgroupStats, oomKilled, oomKilledV1, readStats } from '../../../cgroup/index.ts';
import { TsrunError } from '../../../error.ts';
import { directoriesOf } from '../../../oci/cgroup.ts';
import type { OciContainer } from '../../../oci/store.ts';
import { print } from '../../output.ts';
import { parseDuration } from '../../units.ts';
import type { OciCommand } from '../command.ts';

/** No limit, as Go's programs write it. */
const unlimited = 2 ** 64;
const microseconds = 1000;

function data({ cpu, memory, pids, io }: CgroupStats): Record<string, unknown> {
  const entries = (name: 'readBytes' | 'writtenBytes' | 'reads' | 'writes', op: string): Record<string, unknown>[] =>
    (io ?? []).map((disk) => ({ major: disk.major, minor: disk.minor, op, value: disk[name] }));
  return {
    cpu: {
      usage: {
        total: cpu.usage * microseconds,
        kernel: cpu.system * microseconds,
        user: cpu.user * microseconds,
      },
      throttling: {
        periods: cpu.periods,
        throttledPeriods: cpu.throttledPeriods,
        throttledTime: cpu.throttled * microseconds,
      },
    },
    memory: {
      ...(memory === undefined
        ? {}
        : {
            cache: memory.stat.file ?? 0,
            usage: {
              limit: memory.limit ?? unlimited,
              usage: memory.current,
              ...(memory.peak === undefined ? {} : { max: memory.peak }),
              failcnt: memory.events.max ?? 0,
            },
            swap: { limit: memory.swapLimit ?? unlimited, usage: memory.swap ?? 0, failcnt: 0 },
            raw: memory.stat,
          }),
    },
    pids: { ...(pids === undefined ? {} : { current: pids.current, limit: pids.limit ?? 0 }) },
    blkio: {
      ioServiceBytesRecursive: [...entries('readBytes', 'Read'), ...entries('writtenBytes', 'Write')],
      ioServicedRecursive: [...entries('reads', 'Read'), ...entries('writes', 'Write')],
    },
    hugetlb: {},
    intel_rdt: {},
    network_interfaces: null,
  };
}

function printStats({ record }: OciContainer): void {
  const stats = addV1Stats(readStats(record.cgroup), directoriesOf(record.v1));
  print(`${JSON.stringify({ type: 'stats', id: record.id, data: data(stats) })}\n`);
}

function ranOut({ record }: OciContainer): boolean {
  return oomKilled(record.cgroup) || oomKilledV1(directoriesOf(record.v1));
}

export const events: OciCommand = {
  usage: '[OPTIONS] CONTAINER',
  flags: [
    { name: 'interval', type: 'duration', description: 'Time between two (5s)' },
    { name: 'stats', type: 'bool', description: 'Print them once' },
  ],
  args: { min: 1, max: 1 },
  run: async ({ flags, args, store }) => {
    const container = store.get(args[0] ?? '');
    if (flags.boolean('stats')) {
      printStats(container);
      return 0;
    }
    const text = flags.string('interval') ?? '5s';
    const pause = parseDuration(text);
    if (pause === undefined || pause <= 0)
      throw new TsrunError('USAGE', `duration interval must be greater than 0: ${text}`);
    let killed = ranOut(container);
    while (container.isAlive()) {
      printStats(container);
      await delay(pause);
      const now = ranOut(container);
      if (now && !killed) print(`${JSON.stringify({ type: 'oom', id: container.record.id })}\n`);
      killed = now;
    }
    return 0;
  },
};
