/** `tsrun update`: change limits and restart policy of containers, also while they run. */
import { ContainerStore } from '../../container/store.ts';
import { updateContainer } from '../../container/update.ts';
import { TsrunError } from '../../error.ts';
import type { Command } from '../command.ts';
import type { Flag } from '../flag.ts';
import { blockIoOf } from '../options/block-io.ts';
import { parseRestartPolicy } from '../options/health.ts';
import { checkLimits } from '../options/limits.ts';
import { parseLimits, refuseUnsupported } from '../options/run-options.ts';
import { allCreateFlags, createFlags } from '../run-flags.ts';
import { forEachArgument } from './each.ts';

const names = new Set(
  `blkio-weight cpu-period cpu-quota cpu-shares cpus cpuset-cpus cpuset-mems memory memory-reservation memory-swap pids-limit
  restart`.split(/\s+/),
);
const flags: readonly Flag[] = createFlags.filter(({ name }) => names.has(name));
/** Docker's flags that belong to cgroup v1: known, and refused with the reason. */
const refusedNames = ['cpu-rt-period', 'cpu-rt-runtime', 'kernel-memory'];
const refused: readonly Flag[] = allCreateFlags.filter(({ name }) => refusedNames.includes(name));

export const update: Command = {
  usage: '[OPTIONS] CONTAINER [CONTAINER...]',
  description: 'Change limits and restart policy of containers',
  flags: [...flags, ...refused],
  args: { min: 1 },
  async run(invocation) {
    const given = invocation.flags;
    refuseUnsupported(given, refusedNames);
    if (!flags.some(({ name }) => given.has(name))) {
      throw new TsrunError('USAGE', 'you must provide one or more flags when using this command');
    }
    const restart = given.string('restart') ? parseRestartPolicy(given.string('restart') ?? '') : undefined;
    const weight = blockIoOf(given).blkioWeight;
    const limits = { ...parseLimits(given), ...(weight === undefined ? {} : { blkioWeight: weight }) };
    const { memory = 0, memoryReservation = 0 } = limits;
    checkLimits({ memory, memoryReservation: Math.min(memoryReservation, memory || memoryReservation) });
    const store = new ContainerStore();
    return forEachArgument(invocation, (name) => {
      const wanted = { ...limits, ...(restart === undefined ? {} : { restart }) };
      updateContainer(store, store.resolve(name).record.id, wanted, (options) => checkLimits(options));
      return undefined;
    });
  },
};
