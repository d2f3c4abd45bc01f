/** Reads `config.json` (OCI runtime-spec 1.2, config.md, config-linux.md): what comes from outside becomes the types of spec.ts. */
import { TsrunError } from '../error.ts';
import { between, boolean, integer, list, map, object, oneOf, type Parser, text } from './schema.ts';
import { parseLinuxSeccomp } from './seccomp/profile.ts';
import type {
  Hook,
  Hooks,
  IdMapping,
  IoPriority,
  Linux,
  LinuxBlockIo,
  LinuxCapabilities,
  LinuxCpu,
  LinuxDevice,
  LinuxDeviceCgroup,
  LinuxHugepageLimit,
  LinuxIntelRdt,
  LinuxMemory,
  LinuxMemoryPolicy,
  LinuxNamespace,
  LinuxNetworkResources,
  LinuxPids,
  LinuxResources,
  LinuxThrottleDevice,
  LinuxWeightDevice,
  Mount,
  Process,
  Rlimit,
  Root,
  Scheduler,
  Spec,
  User,
} from './spec.ts';

const id = between(0, 0xffffffff);

const userFields = object<Partial<User>>({}, { umask: between(0, 0o7777), additionalGids: list(id), uid: id, gid: id });
/** Root unless it is said. */
const user: Parser<User> = (value, at) => ({ uid: 0, gid: 0, ...userFields(value, at) });

const capabilities = object<LinuxCapabilities>(
  {},
  {
    bounding: list(text),
    effective: list(text),
    inheritable: list(text),
    permitted: list(text),
    ambient: list(text),
  },
);

const scheduler = object<Scheduler>(
  {
    policy: oneOf('SCHED_OTHER', 'SCHED_FIFO', 'SCHED_RR', 'SCHED_BATCH', 'SCHED_ISO', 'SCHED_IDLE', 'SCHED_DEADLINE'),
  },
  {
    nice: between(-20, 19),
    priority: integer,
    flags: list(text),
    runtime: integer,
    deadline: integer,
    period: integer,
  },
);

const processFields = object<Omit<Process, 'user'> & { user?: User }>(
  { cwd: text },
  {
    user,
    terminal: boolean,
    consoleSize: object<{ height: number; width: number }>({ height: integer, width: integer }, {}),
    args: list(text),
    env: list(text),
    capabilities,
    rlimits: list(object<Rlimit>({ type: text, soft: integer, hard: integer }, {})),
    noNewPrivileges: boolean,
    apparmorProfile: text,
    oomScoreAdj: between(-1000, 1000),
    scheduler,
    selinuxLabel: text,
    ioPriority: object<IoPriority>(
      { class: oneOf('IOPRIO_CLASS_RT', 'IOPRIO_CLASS_BE', 'IOPRIO_CLASS_IDLE') },
      { priority: between(0, 7) },
    ),
    execCPUAffinity: object<{ initial?: string; final?: string }>({}, { initial: text, final: text }),
  },
);

/** `process`, also of `exec --process`. Root unless another user is named. */
export const parseProcess: Parser<Process> = (value, at) => ({ user: { uid: 0, gid: 0 }, ...processFields(value, at) });

const idMapping = object<IdMapping>({ containerID: id, hostID: id, size: id }, {});

const mount = object<Mount>(
  { destination: text },
  { type: text, source: text, options: list(text), uidMappings: list(idMapping), gidMappings: list(idMapping) },
);

const absolute: Parser<string> = (value, at) => {
  const path = text(value, at);
  if (!path.startsWith('/')) {
    throw new TsrunError('USAGE', `${at} must be an absolute path, and is ${JSON.stringify(path)}`);
  }
  return path;
};

const hook = list(
  object<Hook>({ path: absolute }, { args: list(text), env: list(text), timeout: between(1, 2 ** 31) }),
);

const hooks = object<Hooks>(
  {},
  {
    prestart: hook,
    createRuntime: hook,
    createContainer: hook,
    startContainer: hook,
    poststart: hook,
    poststop: hook,
  },
);

const throttle = list(object<LinuxThrottleDevice>({ major: integer, minor: integer, rate: integer }, {}));

/** `linux.resources`, also of `update --resources`. */
export const parseResources: Parser<LinuxResources> = object<LinuxResources>(
  {},
  {
    devices: list(
      object<LinuxDeviceCgroup>(
        { allow: boolean },
        { type: (value, at) => oneOf('a', 'c', 'b')(value || 'a', at), major: integer, minor: integer, access: text },
      ),
    ),
    memory: object<LinuxMemory>(
      {},
      {
        limit: integer,
        reservation: integer,
        swap: integer,
        kernel: integer,
        kernelTCP: integer,
        swappiness: integer,
        disableOOMKiller: boolean,
        useHierarchy: boolean,
        checkBeforeUpdate: boolean,
      },
    ),
    cpu: object<LinuxCpu>(
      {},
      {
        shares: integer,
        quota: integer,
        burst: integer,
        period: integer,
        realtimeRuntime: integer,
        realtimePeriod: integer,
        cpus: text,
        mems: text,
        idle: integer,
      },
    ),
    pids: object<LinuxPids>({ limit: integer }, {}),
    blockIO: object<LinuxBlockIo>(
      {},
      {
        weight: integer,
        leafWeight: integer,
        weightDevice: list(
          object<LinuxWeightDevice>({ major: integer, minor: integer }, { weight: integer, leafWeight: integer }),
        ),
        throttleReadBpsDevice: throttle,
        throttleWriteBpsDevice: throttle,
        throttleReadIOPSDevice: throttle,
        throttleWriteIOPSDevice: throttle,
      },
    ),
    hugepageLimits: list(object<LinuxHugepageLimit>({ pageSize: text, limit: integer }, {})),
    network: object<LinuxNetworkResources>(
      {},
      {
        classID: integer,
        priorities: list(object<{ name: string; priority: number }>({ name: text, priority: integer }, {})),
      },
    ),
    rdma: map(object<{ hcaHandles?: number; hcaObjects?: number }>({}, { hcaHandles: integer, hcaObjects: integer })),
    unified: map(text),
  },
);

const linux = object<Linux>(
  {},
  {
    uidMappings: list(idMapping),
    gidMappings: list(idMapping),
    sysctl: map(text),
    resources: parseResources,
    cgroupsPath: text,
    namespaces: list(
      object<LinuxNamespace>(
        { type: oneOf('pid', 'network', 'mount', 'ipc', 'uts', 'user', 'cgroup', 'time') },
        { path: text },
      ),
    ),
    devices: list(
      object<LinuxDevice>(
        { path: absolute, type: oneOf('c', 'u', 'b', 'p') },
        { major: integer, minor: integer, fileMode: integer, uid: id, gid: id },
      ),
    ),
    seccomp: parseLinuxSeccomp,
    rootfsPropagation: oneOf(
      'shared',
      'slave',
      'private',
      'unbindable',
      'rshared',
      'rslave',
      'rprivate',
      'runbindable',
    ),
    maskedPaths: list(text),
    readonlyPaths: list(text),
    mountLabel: text,
    intelRdt: object<LinuxIntelRdt>(
      {},
      { closID: text, l3CacheSchema: text, memBwSchema: text, enableCMT: boolean, enableMBM: boolean },
    ),
    netDevices: map(object<{ name?: string }>({}, { name: text })),
    memoryPolicy: object<LinuxMemoryPolicy>({}, { mode: text, nodes: text, flags: list(text) }),
    personality: object<{ domain: 'LINUX' | 'LINUX32'; flags?: string[] }>(
      { domain: oneOf('LINUX', 'LINUX32') },
      { flags: list(text) },
    ),
    timeOffsets: map(object<{ secs?: number; nanosecs?: number }>({}, { secs: integer, nanosecs: integer })),
  },
);

/** The whole of `config.json`. Throws `USAGE` with the place of what is wrong. */
export const parseSpec: Parser<Spec> = object<Spec>(
  { ociVersion: text },
  {
    process: parseProcess,
    root: object<Root>({ path: text }, { readonly: boolean }),
    hostname: text,
    domainname: text,
    mounts: list(mount),
    hooks,
    annotations: map(text),
    linux,
  },
);
