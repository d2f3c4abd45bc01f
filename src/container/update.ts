/** `update`: limits and restart policy of a container that exists, in its record and, where it runs, in its cgroup. */
import { updateCgroup } from '../cgroup/index.ts';
import { TsrunError } from '../error.ts';
import { isUp } from './active.ts';
import { recordContainerEvent } from './events.ts';
import { restartPolicies } from './monitor.ts';
import { changePolicy } from './monitor-control.ts';
import { resources } from './oci-config.ts';
import type { ContainerRecord } from './record.ts';
import type { RunOptions } from './run-options.ts';
import { computeState, readStart } from './state.ts';
import type { ContainerStore } from './store.ts';

const updatable = [
  'memory',
  'memoryReservation',
  'memorySwap',
  'nanoCpus',
  'cpuShares',
  'cpuQuota',
  'cpuPeriod',
  'cpusetCpus',
  'cpusetMems',
  'pidsLimit',
  'blkioWeight',
  'restart',
] as const satisfies readonly (keyof RunOptions)[];

/** What `update` may change; absent fields stay. */
export type Update = Partial<Pick<RunOptions, (typeof updatable)[number]>>;

/** What contradicts the limits that the container has, in docker's words; undefined: nothing. */
export function updateConflict(now: RunOptions, wanted: Update): string | undefined {
  const nano = (name: string): string =>
    `Conflicting options: Nano CPUs cannot be updated as ${name} has already been set`;
  const other = (name: string): string =>
    `Conflicting options: ${name} cannot be updated as NanoCPUs has already been set`;
  if (wanted.nanoCpus && now.cpuPeriod) return nano('CPU Period');
  if (wanted.nanoCpus && now.cpuQuota) return nano('CPU Quota');
  if (wanted.cpuPeriod && now.nanoCpus) return other('CPU Period');
  if (wanted.cpuQuota && now.nanoCpus) return other('CPU Quota');
  // Docker sets twice the memory where no limit of swap was given.
  const swap = now.memorySwap ?? (now.memory ?? 0) * 2;
  if (wanted.memory && !wanted.memorySwap && wanted.memory > swap) {
    return 'Memory limit should be smaller than already set memoryswap limit, update the memoryswap at the same time';
  }
  if (wanted.restart !== undefined && wanted.restart.name !== 'no' && now.remove) {
    return 'Restart policy cannot be updated because AutoRemove is enabled for the container';
  }
  return undefined;
}

/**
 * Changes a container. Where it fails nothing has changed. `check` looks at the limits as they will be together.
 * Throws `USAGE` or `CONFLICT` with docker's words, `UNSUPPORTED` naming the controller that is missing.
 */
export function updateContainer(
  store: ContainerStore,
  id: string,
  wanted: Update,
  check: (options: RunOptions) => void,
): void {
  let told: number | undefined;
  const updated = store.update(id, (record) => {
    const conflict = updateConflict(record.options, wanted);
    if (conflict !== undefined) {
      const hint = conflict.startsWith('Memory')
        ? 'give --memory-swap too: the limit of memory and swap together'
        : undefined;
      throw new TsrunError('CONFLICT', `Cannot update container ${id}: ${conflict}`, { hint });
    }
    const { memory, memorySwap } = record.options;
    // What the limit of swap was by default must not move with the memory.
    const kept = memory && memorySwap === undefined && wanted.memory ? { memorySwap: memory * 2 } : {};
    const after = { ...record, options: { ...record.options, ...kept, ...wanted } };
    check(after.options);
    told = apply(store, after, wanted);
    return after;
  });
  // A start that came meanwhile looks at the record once more when its process can be seen; where it looked before the
  // record was written, its process is seen here.
  if (isUp(computeState(store.directory(id))) && readStart(store.directory(id))?.monitorPid !== told) {
    apply(store, updated, wanted);
  }
  recordContainerEvent(store.root, updated, 'update');
}

/** For a start whose process can be seen by now: what has changed since it read `record`. */
export function heedUpdate(store: ContainerStore, record: ContainerRecord): void {
  const now = store.read(record.id)?.record;
  if (now === undefined) return;
  // Not by node:util, which every start would load for it. Equal values that read differently are set once more, no harm.
  const written = (options: RunOptions, name: keyof Update): string => JSON.stringify(options[name]) ?? '';
  const changed = updatable.filter((name) => written(now.options, name) !== written(record.options, name));
  if (changed.length === 0) return;
  apply(store, now, Object.fromEntries(changed.map((name) => [name, now.options[name]])));
}

/** Returns the monitor that was told, undefined where the container does not run. */
function apply(store: ContainerStore, { id, options }: ContainerRecord, wanted: Update): number | undefined {
  const state = computeState(store.directory(id));
  if (!isUp(state)) return undefined;
  const { status, start, unsupervised } = state;
  const { restart, ...limits } = wanted;
  if (Object.keys(limits).length > 0) {
    if (!start?.cgroup) throw new TsrunError('UNSUPPORTED', `Cannot update container ${id}: it runs without a cgroup`);
    const { pids, ...others } = resources(options);
    // -1 and 0 lift the limit, which is no setting of a new container.
    const lifted = wanted.pidsLimit !== undefined && wanted.pidsLimit <= 0 ? { limit: -1 } : pids;
    updateCgroup(start.cgroup, { ...others, ...(lifted === undefined ? {} : { pids: lifted }) });
  }
  if (restart === undefined || unsupervised) return start?.monitorPid;
  const told = changePolicy(store.socket(id), restartPolicies[restart.name], restart.maximumRetryCount);
  if (!told && computeState(store.directory(id)).status === status) {
    throw new TsrunError('CONFLICT', `Cannot update container ${id}: its monitor does not answer`, {
      hint: 'eight clients are attached to it already, or it is ending: try again',
    });
  }
  return start?.monitorPid;
}
