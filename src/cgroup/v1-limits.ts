/**
 * Limits as files of cgroup v1 (OCI runtime-spec config-linux.md, "Controllers"; Documentation/admin-guide/cgroup-v1): on hybrid
 * hosts, whose controllers are bound to hierarchies of it.
 */
import { TsrunError } from '../error.ts';
import type { LinuxResources, LinuxThrottleDevice } from '../runtime/spec.ts';

/** One value for one file of a directory of v1. */
export interface V1Setting {
  controller: string;
  /** The first of these that is there. */
  files: readonly string[];
  value: string;
  /** The field of LinuxResources, for messages. */
  wantedBy: string;
}

/** -1 is `max` in the one controller that was made late. */
const maximum = 'max';

type Value = string | number | undefined;

/** The settings that controllers of v1 in `bound` hold, in the order of writing. */
export function v1Settings(resources: LinuxResources, bound: ReadonlySet<string>): V1Setting[] {
  const settings: V1Setting[] = [];
  const add = (wantedBy: string, controller: string, files: string | readonly string[], value: Value): void => {
    if (value === undefined || value === '' || !bound.has(controller)) return;
    settings.push({
      controller,
      files: typeof files === 'string' ? [files] : files,
      value: String(value),
      wantedBy: `linux.resources.${wantedBy}`,
    });
  };
  const { memory, cpu, pids, network } = resources;
  const swap = memory?.limit === -1 && !memory.swap ? -1 : memory?.swap || undefined;
  add('memory.limit', 'memory', 'memory.limit_in_bytes', memory?.limit || undefined);
  add('memory.swap', 'memory', 'memory.memsw.limit_in_bytes', swap);
  add('memory.reservation', 'memory', 'memory.soft_limit_in_bytes', memory?.reservation || undefined);
  add('memory.swappiness', 'memory', 'memory.swappiness', memory?.swappiness);
  add('memory.disableOOMKiller', 'memory', 'memory.oom_control', memory?.disableOOMKiller === true ? 1 : undefined);
  add('cpu.shares', 'cpu', 'cpu.shares', cpu?.shares || undefined);
  add('cpu.idle', 'cpu', 'cpu.idle', cpu?.idle);
  add('cpu.period', 'cpu', 'cpu.cfs_period_us', cpu?.period || undefined);
  add('cpu.quota', 'cpu', 'cpu.cfs_quota_us', cpu?.quota || undefined);
  add('cpu.burst', 'cpu', 'cpu.cfs_burst_us', cpu?.burst);
  add('cpu.realtimePeriod', 'cpu', 'cpu.rt_period_us', cpu?.realtimePeriod || undefined);
  add('cpu.realtimeRuntime', 'cpu', 'cpu.rt_runtime_us', cpu?.realtimeRuntime || undefined);
  add('cpu.cpus', 'cpuset', 'cpuset.cpus', cpu?.cpus);
  add('cpu.mems', 'cpuset', 'cpuset.mems', cpu?.mems);
  if (pids !== undefined) add('pids.limit', 'pids', 'pids.max', pids.limit > 0 ? pids.limit : maximum);
  blockIo(resources, add);
  for (const { pageSize, limit } of resources.hugepageLimits ?? []) {
    add('hugepageLimits', 'hugetlb', `hugetlb.${pageSize}.limit_in_bytes`, limit);
  }
  add('network.classID', 'net_cls', 'net_cls.classid', network?.classID);
  for (const { name, priority } of network?.priorities ?? []) {
    add('network.priorities', 'net_prio', 'net_prio.ifpriomap', `${name} ${priority}`);
  }
  return settings;
}

function blockIo(
  { blockIO }: LinuxResources,
  add: (wantedBy: string, controller: string, files: string | readonly string[], value: Value) => void,
): void {
  // The scheduler BFQ has files of its own.
  add('blockIO.weight', 'blkio', ['blkio.weight', 'blkio.bfq.weight'], blockIO?.weight || undefined);
  for (const { major, minor, weight } of blockIO?.weightDevice ?? []) {
    const files = ['blkio.weight_device', 'blkio.bfq.weight_device'];
    add('blockIO.weightDevice', 'blkio', files, weight === undefined ? undefined : `${major}:${minor} ${weight}`);
  }
  const throttle = (field: string, file: string, devices: readonly LinuxThrottleDevice[] | undefined): void => {
    for (const { major, minor, rate } of devices ?? []) {
      add(`blockIO.${field}`, 'blkio', `blkio.throttle.${file}`, `${major}:${minor} ${rate}`);
    }
  };
  throttle('throttleReadBpsDevice', 'read_bps_device', blockIO?.throttleReadBpsDevice);
  throttle('throttleWriteBpsDevice', 'write_bps_device', blockIO?.throttleWriteBpsDevice);
  throttle('throttleReadIOPSDevice', 'read_iops_device', blockIO?.throttleReadIOPSDevice);
  throttle('throttleWriteIOPSDevice', 'write_iops_device', blockIO?.throttleWriteIOPSDevice);
}

/** What is left for cgroup v2. Throws `USAGE` for files of v2 whose controller is not there. */
export function withoutV1(resources: LinuxResources, bound: ReadonlySet<string>): LinuxResources {
  for (const file of Object.keys(resources.unified ?? {})) {
    const controller = file.slice(0, file.indexOf('.'));
    const v1Name = controller === 'io' ? 'blkio' : controller;
    if (!bound.has(v1Name)) continue;
    throw new TsrunError(
      'USAGE',
      `invalid configuration: linux.resources.unified[${JSON.stringify(file)}] is a file of cgroup v2`,
      {
        hint: `on this host ${v1Name} is bound to cgroup v1: give the limit by its own field, or boot with cgroup_no_v1=all`,
      },
    );
  }
  const rest: LinuxResources = { ...resources };
  if (bound.has('memory')) delete rest.memory;
  if (bound.has('pids')) delete rest.pids;
  if (bound.has('blkio')) delete rest.blockIO;
  if (bound.has('hugetlb')) delete rest.hugepageLimits;
  if (rest.network !== undefined) {
    const { classID, priorities } = rest.network;
    rest.network = {
      ...(classID === undefined || bound.has('net_cls') ? {} : { classID }),
      ...(priorities === undefined || bound.has('net_prio') ? {} : { priorities }),
    };
    if (Object.keys(rest.network).length === 0) delete rest.network;
  }
  if (rest.cpu !== undefined) {
    const { cpus, mems, ...time } = rest.cpu;
    rest.cpu = {
      ...(bound.has('cpu') ? {} : time),
      ...(cpus === undefined || bound.has('cpuset') ? {} : { cpus }),
      ...(mems === undefined || bound.has('cpuset') ? {} : { mems }),
    };
  }
  return rest;
}
