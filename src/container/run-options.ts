/** What a user asks of a container, as plain validated data: the flags of `run` and `create` in typed form. */

import type { Wall } from './walls.ts';

/** A published port as asked for: `hostPort` 0 lets the kernel choose, an empty `hostIp` is any address. */
export interface PublishOption {
  hostIp: string;
  hostPort: number;
  /** Any free port from `hostPort` to this one will do. */
  hostPortEnd?: number;
  containerPort: number;
  protocol: 'tcp' | 'udp';
}

/** -v, --mount and --tmpfs. */
export interface MountOption {
  type: 'bind' | 'volume' | 'tmpfs';
  /** Absolute path on the host, or the name of a volume; empty for tmpfs and anonymous volumes. */
  source: string;
  /** Absolute path in the container. */
  target: string;
  readOnly: boolean;
  /** Of a bind mount; `rprivate` by default. */
  propagation: '' | 'private' | 'rprivate' | 'slave' | 'rslave' | 'shared' | 'rshared';
  /** -v makes a missing host directory, --mount refuses it. */
  createSource: boolean;
  /** Mounts below the source are not taken along. */
  nonRecursive: boolean;
  /** Of tmpfs: bytes, permission bits, further options of the kernel (`noexec`, `size=64m`, …). */
  tmpfsSize?: number;
  tmpfsMode?: number;
  tmpfsOptions?: string[];
  /** As typed, for inspect's Mode. */
  mode: string;
  /** Of a volume. */
  volume?: VolumeOption;
  /** The flag that asked for it, and its text: where inspect shows it. */
  origin?: { flag: 'volume' | 'mount' | 'tmpfs'; text: string };
}

/** What --mount, -v and --volume-driver say about a volume; labels and options count only when it is made. */
export interface VolumeOption {
  /** An empty volume stays empty, whatever the image has there. */
  noCopy?: boolean;
  driver?: string;
  labels?: Record<string, string>;
  options?: Record<string, string>;
}

export interface DeviceOption {
  hostPath: string;
  containerPath: string;
  /** Of `r`, `w` and `m`. */
  permissions: string;
}

/** A limit for one disk: bytes or operations in a second; 0 is none. */
export interface DeviceRate {
  path: string;
  rate: number;
}

/** 10 to 1000; 0 is none. */
export interface DeviceWeight {
  path: string;
  weight: number;
}

export interface UlimitOption {
  /** `nofile`, `core`, … */
  name: string;
  soft: number;
  hard: number;
}

/** A network that a container is to be on, and what it wants to have and to be called there. */
export interface EndpointOption {
  /** Name or id, as typed. */
  network: string;
  aliases: string[];
  ip?: string;
  ip6?: string;
  mac?: string;
  /** The way out is by the network with the highest; absent: 0. */
  gatewayPriority?: number;
}

/** Another container that is known by a name of one's own. */
export interface LinkOption {
  /** As typed; in a record its id. */
  target: string;
  alias: string;
}

export interface RunOptions {
  /** As typed. */
  image: string;
  /** Behind the image; empty: the image's CMD. */
  command: string[];
  /** undefined: the image's; empty list: none. */
  entrypoint?: string[];
  name?: string;
  platform?: string;
  pull: 'always' | 'missing' | 'never';

  detach: boolean;
  interactive: boolean;
  terminal: boolean;
  /** -a: which streams are connected; empty: docker's default. */
  attach: ('stdin' | 'stdout' | 'stderr')[];
  remove: boolean;
  init: boolean;
  sigProxy: boolean;
  detachKeys?: string;
  cidfile?: string;

  /** `NAME=value`, files of --env-file first; `NAME` alone was resolved from the caller's environment. */
  env: string[];
  labels: Record<string, string>;
  /** Of the OCI config, for whoever reads it; absent: none. */
  annotations?: Record<string, string>;
  user?: string;
  groupAdd: string[];
  workingDir?: string;
  hostname?: string;
  domainname?: string;
  stopSignal?: string;
  /** Seconds. */
  stopTimeout?: number;

  /** The network mode: `default`, `host`, `none`, `container:…`, or the first network. */
  network: string;
  /** All networks, where there is more to say than the mode. */
  endpoints?: EndpointOption[];
  /** --link; absent: none. */
  links?: LinkOption[];
  publish: PublishOption[];
  publishAll: boolean;
  expose: string[];
  /** `host:ip`. */
  extraHosts: string[];
  dns: string[];
  dnsSearch: string[];
  dnsOptions: string[];
  macAddress?: string;
  firewall: 'warn' | 'cooperate';

  mounts: MountOption[];
  /** `CONTAINER[:MODE]`; containers made by older versions have none. */
  volumesFrom?: string[];
  volumeDriver?: string;
  readOnly: boolean;
  /** Bytes. */
  shmSize: number;

  privileged: boolean;
  capAdd: string[];
  capDrop: string[];
  /** `no-new-privileges`, `seccomp=unconfined`, `seccomp=FILE`, `apparmor=…`, `label=…`. */
  securityOpt: string[];
  devices: DeviceOption[];
  sysctls: Record<string, string>;
  ulimits: UlimitOption[];
  /** -1000 to 1000. */
  oomScoreAdj?: number;

  /** Walls that are taken away (--without); what other options say of them is set accordingly. */
  without?: Wall[];
  /** `host`, or what src/container/userns.ts makes of it; containers made by older versions have none. */
  userns?: string;
  pidMode: '' | 'host' | `container:${string}`;
  ipcMode: '' | 'private' | 'shareable' | 'none' | 'host' | `container:${string}`;
  utsMode: '' | 'host';
  cgroupns: '' | 'private' | 'host';

  /** Bytes; 0 or absent: no limit. */
  memory?: number;
  memoryReservation?: number;
  /** Memory and swap together, bytes; -1: no limit of swap. */
  memorySwap?: number;
  /** Billionths of a processor. */
  nanoCpus?: number;
  cpuShares?: number;
  cpuQuota?: number;
  cpuPeriod?: number;
  cpusetCpus?: string;
  cpusetMems?: string;
  /** -1: no limit. */
  pidsLimit?: number;
  /** 10 to 1000. */
  blkioWeight?: number;
  blkioWeightDevices?: DeviceWeight[];
  deviceReadBps?: DeviceRate[];
  deviceWriteBps?: DeviceRate[];
  deviceReadIops?: DeviceRate[];
  deviceWriteIops?: DeviceRate[];
  /** As typed: `c 1:11 rwm`. */
  deviceCgroupRules?: string[];

  /** --health-*; an empty `test` takes the image's, `['NONE']` is --no-healthcheck. Times in milliseconds, 0: not given. */
  health?: {
    test: string[];
    interval: number;
    timeout: number;
    startPeriod: number;
    startInterval: number;
    retries: number;
    onFailure: 'none' | 'kill' | 'restart';
  };
  restart: { name: 'no' | 'always' | 'unless-stopped' | 'on-failure'; maximumRetryCount: number };
  log: {
    driver: 'json-file' | 'none';
    /** Bytes. */
    maxSize?: number;
    maxFiles?: number;
    /** All options as they were given: `labels`, `env`, `tag`, `max-size`, … */
    given?: Record<string, string>;
  };
}

/** The limits of memory, processors and processes: what `run` asks for and `update` may change. */
export type LimitOptions = Pick<
  RunOptions,
  | 'memory'
  | 'memoryReservation'
  | 'memorySwap'
  | 'nanoCpus'
  | 'cpuShares'
  | 'cpuQuota'
  | 'cpuPeriod'
  | 'cpusetCpus'
  | 'cpusetMems'
  | 'pidsLimit'
>;
