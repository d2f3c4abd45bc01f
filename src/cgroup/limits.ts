/**
 * Limits as files of a cgroup: one table from the fields of LinuxResources (OCI runtime-spec, config-linux.md) to file,
 * value, controller and reason. createCgroup writes what it says, and docs are made of it.
 */
import { TsrunError } from '../error.ts';
import type { LinuxResources, LinuxThrottleDevice } from '../runtime/spec.ts';

/** One value for one file of the cgroup. */
export interface Setting {
  /** Name of the file. */
  file: string;
  value: string;
  /** Empty for the files that each cgroup has (`cgroup.*`). */
  controller: string;
  /** Flags and field that ask for it, for messages. */
  wantedBy: string;
  why: string;
  /** What to say when the kernel refuses the value. */
  hint?: string | undefined;
  /** Written instead where the cgroup has this file. */
  preferred?: FileValue | undefined;
  /** Left out where the cgroup does not have the file. */
  optional: boolean;
  /** It is what a new cgroup has anyway, so that creating needs no controller for it. */
  isDefault: boolean;
}

interface FileValue {
  file: string;
  value: string;
}

/** What a row makes of the resources: a value for the row's file, or more said. */
type Given = string | { file?: string; value: string; preferred?: FileValue; optional?: boolean };

/** A row of the table. */
export interface Limit {
  /** The field of LinuxResources. */
  field: string;
  /** The flags of the command line that set it; the first speaks in messages. */
  flags: readonly string[];
  controller: string;
  /** The file that it is written to; `*` where it depends on the value. */
  file: string;
  why: string;
  /** What happens to a container that wants more, and where that can be seen: for docs/limits.md. */
  atLimit: string;
  see: string;
  hint?: string;
  values: (resources: LinuxResources) => readonly Given[];
}

/** No limit is `max` in files of cgroup v2; -1 in the specification, and 0 for a number that is not set. */
const maximum = 'max';

function bytes(value: number | undefined): string[] {
  if (value === undefined || value === 0) return [];
  return [value < 0 ? maximum : String(value)];
}

/** memory.swap.max counts swap alone, the specification memory and swap together. */
function swap({ memory }: LinuxResources): string[] {
  if (memory?.swap === undefined || memory.swap === 0) return memory?.limit === -1 ? [maximum] : [];
  if (memory.swap < 0) return [maximum];
  if (memory.limit === undefined || memory.limit <= 0) {
    throw new TsrunError('USAGE', 'You should always set the Memory limit when using Memoryswap limit, see usage');
  }
  if (memory.swap < memory.limit) {
    throw new TsrunError('USAGE', 'Minimum memoryswap limit should be larger than memory limit, see usage');
  }
  return [String(memory.swap - memory.limit)];
}

function cpuMax({ cpu }: LinuxResources): string[] {
  const [quota, period] = [cpu?.quota ?? 0, cpu?.period ?? 0];
  if (quota === 0 && period === 0) return [];
  return [`${quota > 0 ? quota : maximum} ${period > 0 ? period : 100_000}`];
}

/**
 * Shares (2 to 262144, usually 1024) to weight (1 to 10000, usually 100): the curve through these three pairs that runc
 * (1.3.2) and crun (1.23) use. The older, linear one made 39 of the usual share.
 */
export function cpuWeight(shares: number): number {
  if (shares <= 2) return 1;
  if (shares >= 262_144) return 10_000;
  const l = Math.log2(shares);
  const exact = 10 ** ((l * l + 125 * l) / 612 - 7 / 34);
  return Math.ceil(exact - 1e-9);
}

/** Weight of cgroup v1 (10 to 1000) to that of io.weight (1 to 10000), linear as in runc and crun. */
export function ioWeight(weight: number): number {
  return Math.floor(1 + ((weight - 10) * 9999) / 990);
}

function throttle(key: 'rbps' | 'wbps' | 'riops' | 'wiops', devices: LinuxThrottleDevice[] | undefined): string[] {
  return (devices ?? []).map(({ major, minor, rate }) => `${major}:${minor} ${key}=${rate > 0 ? rate : maximum}`);
}

/** The scheduler BFQ has a file of its own, with weights to 1000 as they are given. */
function weightOf(device: string, weight: number): Given {
  return {
    value: `${device} ${ioWeight(weight)}`,
    preferred: { file: 'io.bfq.weight', value: device === 'default' ? String(weight) : `${device} ${weight}` },
  };
}

const noSuchDevice = 'the device must be a whole disk that exists: see lsblk';

/** In the order of writing. */
export const limits: readonly Limit[] = [
  {
    field: 'memory.limit',
    flags: ['--memory'],
    controller: 'memory',
    file: 'memory.max',
    why: 'memory beyond this is taken back, and where that is not enough a process is killed',
    atLimit:
      'what can be read again is dropped, the rest goes to swap; when that is not enough the kernel kills a process of the container, and a container whose first process was killed has ended with 137 and `OOMKilled`',
    see: 'memory.current, memory.peak, `max` and `oom_kill` in memory.events',
    values: ({ memory }) => bytes(memory?.limit),
  },
  {
    field: 'memory.swap',
    flags: ['--memory-swap', '--memory'],
    controller: 'memory',
    file: 'memory.swap.max',
    why: 'swap alone: the flag counts memory and swap together; without it as much swap as memory is allowed',
    atLimit:
      'nothing more is swapped out, so that memory.max kills earlier; with the same number for --memory and --memory-swap nothing is swapped at all',
    see: 'memory.swap.current, `max` in memory.swap.events',
    values: swap,
  },
  {
    field: 'memory.reservation',
    flags: ['--memory-reservation'],
    controller: 'memory',
    file: 'memory.low',
    why: 'below this, memory is taken from others first when the machine runs short',
    atLimit:
      'it is no limit: it is a protection from the others, held as long as the machine has anything else to take',
    see: '`low` in memory.events counts how often it could not be held',
    values: ({ memory }) => bytes(memory?.reservation),
  },
  {
    field: 'cpu.shares',
    flags: ['--cpu-shares'],
    controller: 'cpu',
    file: 'cpu.weight',
    why: 'the share when processors are wanted by several; 1024 shares are the usual weight 100',
    atLimit:
      'nothing, as long as processors are idle; when they are busy, siblings get time in proportion to their weights',
    see: 'usage_usec in cpu.stat, cpu.pressure',
    values: ({ cpu }) => (cpu?.shares ? [String(cpuWeight(cpu.shares))] : []),
  },
  {
    field: 'cpu.idle',
    flags: [],
    controller: 'cpu',
    file: 'cpu.idle',
    why: '1: runs only when nothing else wants the processor (Linux 5.15)',
    atLimit: 'it waits while others run',
    see: 'usage_usec in cpu.stat',
    values: ({ cpu }) => (cpu?.idle === undefined ? [] : [String(cpu.idle)]),
  },
  {
    field: 'cpu.quota and cpu.period',
    flags: ['--cpus', '--cpu-quota', '--cpu-period'],
    controller: 'cpu',
    file: 'cpu.max',
    why: 'microseconds of processor time in each period, over all processors',
    atLimit: 'its threads sleep until the next period begins',
    see: 'nr_throttled and throttled_usec in cpu.stat, cpu.pressure',
    hint: 'the period is 1000 to 1000000 microseconds, the quota at least 1000',
    values: cpuMax,
  },
  {
    field: 'cpu.burst',
    flags: [],
    controller: 'cpu',
    file: 'cpu.max.burst',
    why: 'microseconds of unused quota that may be saved for later (Linux 5.14)',
    atLimit: 'it is throttled as without',
    see: 'nr_bursts and burst_usec in cpu.stat',
    hint: 'it cannot be more than the quota',
    values: ({ cpu }) => (cpu?.burst === undefined ? [] : [String(cpu.burst)]),
  },
  {
    field: 'cpu.cpus',
    flags: ['--cpuset-cpus'],
    controller: 'cpuset',
    file: 'cpuset.cpus',
    why: 'the processors that may be used',
    atLimit: 'threads wait for one of these processors, also while others are idle',
    see: 'cpuset.cpus.effective, Cpus_allowed_list in /proc/PID/status',
    hint: 'a list like 0-2,4 of processors that the machine has',
    values: ({ cpu }) => (cpu?.cpus ? [cpu.cpus] : []),
  },
  {
    field: 'cpu.mems',
    flags: ['--cpuset-mems'],
    controller: 'cpuset',
    file: 'cpuset.mems',
    why: 'the memory nodes that may be used',
    atLimit: 'memory is taken from these nodes only',
    see: 'cpuset.mems.effective, /proc/PID/numa_maps',
    hint: 'a list like 0,1 of memory nodes that the machine has',
    values: ({ cpu }) => (cpu?.mems ? [cpu.mems] : []),
  },
  {
    field: 'pids.limit',
    flags: ['--pids-limit'],
    controller: 'pids',
    file: 'pids.max',
    why: 'how many processes and threads there may be: what stops a fork bomb',
    atLimit: 'fork and clone answer EAGAIN',
    see: 'pids.current, `max` in pids.events',
    values: ({ pids }) => (pids === undefined ? [] : [pids.limit > 0 ? String(pids.limit) : maximum]),
  },
  {
    field: 'blockIO.weight',
    flags: ['--blkio-weight'],
    controller: 'io',
    file: 'io.weight',
    why: 'the share when a disk is wanted by several',
    atLimit:
      'nothing, as long as the disk is idle; when it is busy, siblings are served in proportion to their weights',
    see: 'io.stat, io.pressure',
    hint: 'it needs the scheduler BFQ on the disk or a kernel with CONFIG_BLK_CGROUP_IOCOST',
    values: ({ blockIO }) => (blockIO?.weight ? [weightOf('default', blockIO.weight)] : []),
  },
  {
    field: 'blockIO.weightDevice',
    flags: ['--blkio-weight-device'],
    controller: 'io',
    file: 'io.weight',
    why: 'the share of one disk',
    atLimit: 'as above, for this disk',
    see: 'io.stat, io.pressure',
    hint: noSuchDevice,
    values: ({ blockIO }) =>
      (blockIO?.weightDevice ?? []).flatMap(({ major, minor, weight }) =>
        weight ? [weightOf(`${major}:${minor}`, weight)] : [],
      ),
  },
  {
    field: 'blockIO.throttleReadBpsDevice',
    flags: ['--device-read-bps'],
    controller: 'io',
    file: 'io.max',
    why: 'bytes read from a disk in a second',
    atLimit: 'reads wait; what is in the page cache is not read from the disk and does not count',
    see: 'rbytes in io.stat, io.pressure',
    hint: noSuchDevice,
    values: ({ blockIO }) => throttle('rbps', blockIO?.throttleReadBpsDevice),
  },
  {
    field: 'blockIO.throttleWriteBpsDevice',
    flags: ['--device-write-bps'],
    controller: 'io',
    file: 'io.max',
    why: 'bytes written to a disk in a second',
    atLimit: 'writes to the disk wait; a program notices when it syncs, or when too much is waiting to be written',
    see: 'wbytes in io.stat, io.pressure',
    hint: noSuchDevice,
    values: ({ blockIO }) => throttle('wbps', blockIO?.throttleWriteBpsDevice),
  },
  {
    field: 'blockIO.throttleReadIOPSDevice',
    flags: ['--device-read-iops'],
    controller: 'io',
    file: 'io.max',
    why: 'reads from a disk in a second',
    atLimit: 'reads wait; neighbouring ones that the kernel joins count once',
    see: 'rios in io.stat, io.pressure',
    hint: noSuchDevice,
    values: ({ blockIO }) => throttle('riops', blockIO?.throttleReadIOPSDevice),
  },
  {
    field: 'blockIO.throttleWriteIOPSDevice',
    flags: ['--device-write-iops'],
    controller: 'io',
    file: 'io.max',
    why: 'writes to a disk in a second',
    atLimit: 'writes to the disk wait',
    see: 'wios in io.stat, io.pressure',
    hint: noSuchDevice,
    values: ({ blockIO }) => throttle('wiops', blockIO?.throttleWriteIOPSDevice),
  },
  {
    field: 'hugepageLimits',
    flags: [],
    controller: 'hugetlb',
    file: '*',
    why: 'bytes in huge pages of one size, used and reserved: hugetlb.<size>.max and .rsvd.max (Linux 5.7)',
    atLimit: 'mmap and page faults of huge pages fail: ENOMEM, SIGBUS',
    see: 'hugetlb.<size>.current, hugetlb.<size>.events',
    hint: 'the sizes that the machine has are in /sys/kernel/mm/hugepages',
    values: ({ hugepageLimits }) =>
      (hugepageLimits ?? []).flatMap(({ pageSize, limit }) => [
        { file: `hugetlb.${pageSize}.max`, value: String(limit) },
        { file: `hugetlb.${pageSize}.rsvd.max`, value: String(limit), optional: true },
      ]),
  },
  {
    field: 'rdma',
    flags: [],
    controller: 'rdma',
    file: 'rdma.max',
    why: 'handles and objects of an RDMA device',
    atLimit: "the device's library gets EAGAIN",
    see: 'rdma.current',
    values: ({ rdma }) =>
      Object.entries(rdma ?? {}).map(
        ([device, { hcaHandles, hcaObjects }]) =>
          `${device} hca_handle=${hcaHandles ?? maximum} hca_object=${hcaObjects ?? maximum}`,
      ),
  },
];

/**
 * What to write for `resources`, in order. Throws `USAGE` for limits that contradict each other, `UNSUPPORTED` for what
 * only cgroup v1 had.
 */
export function settingsFor(resources: LinuxResources): Setting[] {
  refuseVersion1(resources);
  const settings = limits.flatMap((limit) =>
    limit.values(resources).map((given): Setting => {
      const {
        file = limit.file,
        value,
        preferred,
        optional = false,
      } = typeof given === 'string' ? { value: given } : given;
      return {
        file,
        value,
        preferred,
        optional,
        controller: limit.controller,
        wantedBy: limit.flags[0] ?? `linux.resources.${limit.field}`,
        why: limit.why,
        hint: limit.hint,
        isDefault: value === maximum || value === `${maximum} 100000`,
      };
    }),
  );
  return [...settings, ...Object.entries(resources.unified ?? {}).map(unified)];
}

/** A file named by the configuration itself. */
function unified([file, value]: [string, string]): Setting {
  if (!/^[a-z_]+\.[A-Za-z0-9_.]+$/.test(file)) {
    throw new TsrunError('USAGE', `unified resource ${JSON.stringify(file)} must be the name of a file of a cgroup`);
  }
  const controller = file.slice(0, file.indexOf('.'));
  return {
    file,
    value,
    controller: controller === 'cgroup' ? '' : controller,
    wantedBy: `linux.resources.unified[${JSON.stringify(file)}]`,
    why: 'written as the configuration has it',
    optional: false,
    isDefault: false,
  };
}

function refuseVersion1({ memory, cpu, network }: LinuxResources): void {
  const asked = [
    memory?.swappiness !== undefined && 'memory.swappiness (--memory-swappiness)',
    memory?.disableOOMKiller === true && 'memory.disableOOMKiller (--oom-kill-disable)',
    Boolean(cpu?.realtimeRuntime || cpu?.realtimePeriod) && 'cpu.realtimeRuntime (--cpu-rt-runtime)',
    Boolean(network?.classID || network?.priorities?.length) && 'network',
  ].find((name) => name !== false);
  if (asked !== undefined) {
    throw new TsrunError('UNSUPPORTED', `linux.resources.${asked} exists in cgroup v1 only`, {
      hint: 'leave it out: tsrun uses cgroup v2',
    });
  }
}
