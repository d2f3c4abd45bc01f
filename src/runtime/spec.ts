/**
 * Types of an OCI runtime configuration (`config.json`) for Linux: runtime-spec 1.2, config.md, config-linux.md and
 * runtime.md (state). Names and optional fields are those of the specification; nothing here does anything.
 */

/** What `ociVersion` says in configurations that tsrun writes. */
export const OCI_VERSION = '1.2.0';

/** The whole of `config.json`. */
export interface Spec {
  ociVersion: string;
  process?: Process;
  root?: Root;
  hostname?: string;
  domainname?: string;
  mounts?: Mount[];
  hooks?: Hooks;
  annotations?: Record<string, string>;
  linux?: Linux;
}

/** The container's first process, or the one of an `exec`. */
export interface Process {
  terminal?: boolean;
  /** Characters. */
  consoleSize?: { height: number; width: number };
  user: User;
  args?: string[];
  /** `NAME=value`. */
  env?: string[];
  /** Absolute, in the container. */
  cwd: string;
  capabilities?: LinuxCapabilities;
  rlimits?: Rlimit[];
  noNewPrivileges?: boolean;
  apparmorProfile?: string;
  /** -1000 to 1000. */
  oomScoreAdj?: number;
  scheduler?: Scheduler;
  selinuxLabel?: string;
  ioPriority?: IoPriority;
  /** CPU lists (`0-3,7`) of a process of `exec`: while it joins, and after. */
  execCPUAffinity?: { initial?: string; final?: string };
}

export interface User {
  uid: number;
  gid: number;
  umask?: number;
  additionalGids?: number[];
}

/** Names with the prefix `CAP_`; a missing set is empty. */
export interface LinuxCapabilities {
  bounding?: string[];
  effective?: string[];
  inheritable?: string[];
  permitted?: string[];
  ambient?: string[];
}

/** man 2 setrlimit; `type` is `RLIMIT_NOFILE` and so on. */
export interface Rlimit {
  type: string;
  soft: number;
  hard: number;
}

/** man 2 sched_setattr; times in nanoseconds. */
export interface Scheduler {
  policy: 'SCHED_OTHER' | 'SCHED_FIFO' | 'SCHED_RR' | 'SCHED_BATCH' | 'SCHED_ISO' | 'SCHED_IDLE' | 'SCHED_DEADLINE';
  nice?: number;
  priority?: number;
  flags?: string[];
  runtime?: number;
  deadline?: number;
  period?: number;
}

/** man 2 ioprio_set. */
export interface IoPriority {
  class: 'IOPRIO_CLASS_RT' | 'IOPRIO_CLASS_BE' | 'IOPRIO_CLASS_IDLE';
  /** 0, the highest, where it is not said. */
  priority?: number;
}

export interface Root {
  /** Absolute, or relative to the bundle. */
  path: string;
  readonly?: boolean;
}

export interface Mount {
  destination: string;
  type?: string;
  source?: string;
  options?: string[];
  /** Only for idmapped mounts. */
  uidMappings?: IdMapping[];
  gidMappings?: IdMapping[];
}

export interface IdMapping {
  containerID: number;
  hostID: number;
  size: number;
}

/** Commands run at fixed points of a container's life; each gets the state on stdin. */
export interface Hooks {
  /** Deprecated by the specification, still called: after createRuntime's point. */
  prestart?: Hook[];
  createRuntime?: Hook[];
  createContainer?: Hook[];
  startContainer?: Hook[];
  poststart?: Hook[];
  poststop?: Hook[];
}

export interface Hook {
  path: string;
  /** argv, with argv[0]. */
  args?: string[];
  env?: string[];
  /** Seconds. */
  timeout?: number;
}

export interface Linux {
  uidMappings?: IdMapping[];
  gidMappings?: IdMapping[];
  sysctl?: Record<string, string>;
  resources?: LinuxResources;
  cgroupsPath?: string;
  namespaces?: LinuxNamespace[];
  devices?: LinuxDevice[];
  seccomp?: LinuxSeccomp;
  rootfsPropagation?: 'shared' | 'slave' | 'private' | 'unbindable' | 'rshared' | 'rslave' | 'rprivate' | 'runbindable';
  maskedPaths?: string[];
  readonlyPaths?: string[];
  mountLabel?: string;
  intelRdt?: LinuxIntelRdt;
  personality?: { domain: 'LINUX' | 'LINUX32'; flags?: string[] };
  memoryPolicy?: LinuxMemoryPolicy;
  /** By name on the host: interfaces that become the container's, and their names there (specification 1.3). */
  netDevices?: Record<string, { name?: string }>;
  /** By clock: `monotonic`, `boottime`. */
  timeOffsets?: Record<string, { secs?: number; nanosecs?: number }>;
}

/** From which memory nodes pages come (specification 1.3; man 2 set_mempolicy). */
export interface LinuxMemoryPolicy {
  /** `MPOL_BIND` and so on; required. */
  mode?: string;
  /** A list: `0-3,7`. */
  nodes?: string;
  /** `MPOL_F_STATIC_NODES` and so on. */
  flags?: string[];
}

export type NamespaceType = 'pid' | 'network' | 'mount' | 'ipc' | 'uts' | 'user' | 'cgroup' | 'time';

export interface LinuxNamespace {
  type: NamespaceType;
  /** Joined instead of made. */
  path?: string;
}

/** A device node that is made in the container. */
export interface LinuxDevice {
  path: string;
  /** Character (`u` is the same), block, fifo. */
  type: 'c' | 'u' | 'b' | 'p';
  major?: number;
  minor?: number;
  /** Permission bits. */
  fileMode?: number;
  uid?: number;
  gid?: number;
}

export interface LinuxIntelRdt {
  closID?: string;
  l3CacheSchema?: string;
  memBwSchema?: string;
  enableCMT?: boolean;
  enableMBM?: boolean;
}

/** Limits of the container's cgroup. */
export interface LinuxResources {
  devices?: LinuxDeviceCgroup[];
  memory?: LinuxMemory;
  cpu?: LinuxCpu;
  pids?: LinuxPids;
  blockIO?: LinuxBlockIo;
  hugepageLimits?: LinuxHugepageLimit[];
  network?: LinuxNetworkResources;
  /** By device name: `mlx5_1`. */
  rdma?: Record<string, { hcaHandles?: number; hcaObjects?: number }>;
  /** Files of the cgroup and what is written to them, last of all. */
  unified?: Record<string, string>;
}

/** One rule of the device controller; later rules win. A missing number is any number. */
export interface LinuxDeviceCgroup {
  allow: boolean;
  /** All (default), character, block. */
  type?: 'a' | 'c' | 'b';
  major?: number;
  minor?: number;
  /** Of `r`, `w` and `m` (mknod). */
  access?: string;
}

/** Bytes; -1 is no limit. */
export interface LinuxMemory {
  limit?: number;
  reservation?: number;
  /** Memory and swap together. */
  swap?: number;
  kernel?: number;
  kernelTCP?: number;
  /** 0 to 100; cgroup v1 only. */
  swappiness?: number;
  /** cgroup v1 only. */
  disableOOMKiller?: boolean;
  useHierarchy?: boolean;
  /** Refuse a new limit that is below the current usage. */
  checkBeforeUpdate?: boolean;
}

export interface LinuxCpu {
  /** 2 to 262144; 1024 is one share of the usual size. */
  shares?: number;
  /** Microseconds per period; -1 or 0 is no limit. */
  quota?: number;
  /** Microseconds that may be saved up. */
  burst?: number;
  /** Microseconds. */
  period?: number;
  /** cgroup v1 only. */
  realtimeRuntime?: number;
  realtimePeriod?: number;
  /** A list: `0-3,7`. */
  cpus?: string;
  /** A list of memory nodes. */
  mems?: string;
  /** 1: run only when nothing else wants the processor. */
  idle?: number;
}

export interface LinuxPids {
  /** Tasks; 0 or less is no limit. */
  limit: number;
}

export interface LinuxBlockIo {
  /** 10 to 1000. */
  weight?: number;
  leafWeight?: number;
  weightDevice?: LinuxWeightDevice[];
  throttleReadBpsDevice?: LinuxThrottleDevice[];
  throttleWriteBpsDevice?: LinuxThrottleDevice[];
  throttleReadIOPSDevice?: LinuxThrottleDevice[];
  throttleWriteIOPSDevice?: LinuxThrottleDevice[];
}

export interface LinuxWeightDevice {
  major: number;
  minor: number;
  weight?: number;
  leafWeight?: number;
}

/** Bytes or operations per second. */
export interface LinuxThrottleDevice {
  major: number;
  minor: number;
  rate: number;
}

export interface LinuxHugepageLimit {
  /** `2MB`, `1GB`: as the files of the hugetlb controller have it. */
  pageSize: string;
  /** Bytes. */
  limit: number;
}

/** cgroup v1 only. */
export interface LinuxNetworkResources {
  classID?: number;
  priorities?: { name: string; priority: number }[];
}

export type SeccompAction =
  | 'SCMP_ACT_KILL'
  | 'SCMP_ACT_KILL_THREAD'
  | 'SCMP_ACT_KILL_PROCESS'
  | 'SCMP_ACT_TRAP'
  | 'SCMP_ACT_ERRNO'
  | 'SCMP_ACT_TRACE'
  | 'SCMP_ACT_ALLOW'
  | 'SCMP_ACT_LOG'
  | 'SCMP_ACT_NOTIFY';

/** A system call filter (config-linux.md, "Seccomp"). */
export interface LinuxSeccomp {
  defaultAction: SeccompAction;
  /** With SCMP_ACT_ERRNO and SCMP_ACT_TRACE; EPERM by default. */
  defaultErrnoRet?: number;
  /** `SCMP_ARCH_X86_64` and so on. */
  architectures?: string[];
  /** `SECCOMP_FILTER_FLAG_LOG` and so on. */
  flags?: string[];
  /** Unix socket that gets the descriptor of SCMP_ACT_NOTIFY. */
  listenerPath?: string;
  listenerMetadata?: string;
  syscalls?: LinuxSyscall[];
}

/** One entry of a filter: when all of `args` hold, `action`. */
export interface LinuxSyscall {
  names: string[];
  action: SeccompAction;
  errnoRet?: number;
  args?: LinuxSeccompArg[];
}

export type SeccompOperator =
  | 'SCMP_CMP_NE'
  | 'SCMP_CMP_LT'
  | 'SCMP_CMP_LE'
  | 'SCMP_CMP_EQ'
  | 'SCMP_CMP_GE'
  | 'SCMP_CMP_GT'
  | 'SCMP_CMP_MASKED_EQ';

export interface LinuxSeccompArg {
  /** 0 to 5. */
  index: number;
  /** 64 bits without sign: a bigint where a number would lose some. With SCMP_CMP_MASKED_EQ the mask. */
  value: number | bigint;
  /** With SCMP_CMP_MASKED_EQ what the masked argument must be. */
  valueTwo?: number | bigint;
  op: SeccompOperator;
}

/** What `state` prints and hooks get on stdin (runtime.md, "State"). */
export interface State {
  ociVersion: string;
  id: string;
  status: 'creating' | 'created' | 'running' | 'stopped';
  /** In the runtime's pid namespace; required while created or running. */
  pid?: number;
  bundle: string;
  annotations?: Record<string, string>;
}
