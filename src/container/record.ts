/**
 * What the engine keeps of a container: `containers/<id>/container.json`, written once by the command that makes it
 * (and by `rename`), beside `config.json` (the OCI config), `exit.json` (by the monitor) and the logs.
 * State is computed, not stored: see state.ts.
 */
import type { BridgeAttachment } from '../network/index.ts';
import type { EndpointOption, MountOption, RunOptions } from './run-options.ts';

export interface ContainerRecord {
  version: 1;
  /** 64 hexadecimal digits. */
  id: string;
  name: string;
  /** RFC 3339 with nanoseconds or milliseconds, UTC. */
  created: string;
  image: {
    /** `sha256:…` of the image's config. */
    id: string;
    /** As the user typed it: what `ps` shows. */
    reference: string;
    /** Chain ids of the layers, lowest first, as `sha256:…`. */
    layers: string[];
  };
  /** What the user asked for. */
  options: RunOptions;
  /** What became of it together with the image's config. */
  process: {
    /** argv: entrypoint and command. */
    args: string[];
    /** How many of `args` are the entrypoint. */
    entrypointLength: number;
    /** `NAME=value`. */
    env: string[];
    cwd: string;
    /** As given by flag or image: `name`, `uid`, `uid:gid`, … */
    user: string;
    terminal: boolean;
    openStdin: boolean;
  };
  hostname: string;
  labels: Record<string, string>;
  /** `80/tcp`, from the image and --expose. */
  exposedPorts: string[];
  /** Paths of the image's VOLUMEs. */
  volumes: string[];
  stopSignal: string;
  /** Seconds until `stop` kills; -1 waits for ever. */
  stopTimeout: number;
  mounts: MountRecord[];
  /** Absent: no check, neither by flags nor by the image. */
  healthcheck?: Healthcheck;
  /** The networks that it is to be on, where `network connect` or `disconnect` has changed what `options` say. */
  endpoints?: EndpointOption[];
}

/** A mount as `inspect` shows it. */
export interface MountRecord {
  type: 'bind' | 'volume' | 'tmpfs';
  /** Of a volume. */
  name?: string;
  source: string;
  destination: string;
  mode: string;
  readWrite: boolean;
  propagation: string;
  /** What asked for it, also where that was another container's flag; absent: the image, or the option of the same index. */
  option?: MountOption;
  /** Of --volumes-from: the id of the container that had it. */
  from?: string;
  /** Of a volume that has any: the driver's options, which say where its files are. */
  volumeOptions?: Record<string, string>;
}

/** `containers/<id>/start.json`, written by the command that starts the container, once per start. */
export interface StartRecord {
  /** In the host's pid namespace; 0 when the start failed. */
  pid: number;
  /** Field 22 of /proc/PID/stat: with the pid it names one process of this boot. */
  startTime: string;
  bootId: string;
  monitorPid: number;
  /** As `startTime`, of the monitor. */
  monitorStartTime: string;
  startedAt?: string;
  /** Why the start failed, and the exit code that told it. */
  error?: string;
  errorCode?: number;
  /** Absolute path of the cgroup's directory, or empty. */
  cgroup: string;
  network: {
    /** `bridge`, `none`, `host`, `container:<id>`. */
    mode: string;
    /** The way out, as the start made it; what the container is on now is in networks.json. */
    attachment?: BridgeAttachment;
  };
}

/** `containers/<id>/exit.json`, written by the monitor. */
export interface ExitRecord {
  /** 0-255; 128+n where signal n ended it. */
  exitCode: number;
  signal: number;
  oomKilled: boolean;
  finishedAt: string;
  /** Of a restart that could not start: the step of its program, and the errno. */
  failedStep?: number;
  failedErrno?: number;
}

/**
 * `containers/<id>/run.json`, written by the monitor when its policy starts the container again (`pid` and what names it)
 * and while it waits to do so (`pid` 0, and how the last run ended).
 */
export interface RunRecord {
  /** Of the start that it belongs to. */
  monitorPid: number;
  restartCount: number;
  pid: number;
  startTime: string;
  /** Empty while the first run's is in `start.json`. */
  startedAt: string;
  exitCode?: number;
  oomKilled?: boolean;
  finishedAt?: string;
}

/** `containers/<id>/health.json`, written by the monitor: docker's State.Health. */
export interface HealthRecord {
  Status: 'starting' | 'healthy' | 'unhealthy';
  FailingStreak: number;
  Log: { Start: string; End: string; ExitCode: number; Output: string }[];
}

/** The check of a container as it is run, from its flags and its image. Times in milliseconds. */
export interface Healthcheck {
  /** `['CMD', …]`, `['CMD-SHELL', …]`, `['NONE']`, as in docker's configuration. */
  test: string[];
  /** 0 stands for docker's default. */
  interval: number;
  timeout: number;
  startPeriod: number;
  startInterval: number;
  retries: number;
}

export type ContainerStatus = 'created' | 'running' | 'paused' | 'restarting' | 'exited' | 'dead';

/** State as computed from the records, the lock and the kernel. */
export interface ContainerState {
  status: ContainerStatus;
  /** The process lives but its monitor does not: the exit code will not be known. */
  unsupervised: boolean;
  /** 0 unless it runs. */
  pid: number;
  exitCode: number;
  oomKilled: boolean;
  /** Why a start failed, else empty. */
  error: string;
  startedAt: string | undefined;
  finishedAt: string | undefined;
  start: StartRecord | undefined;
  /** How often its policy has started it again since the last `start`. */
  restartCount: number;
  health: HealthRecord | undefined;
  /** The networks it is on, while it runs. */
  attachments?: BridgeAttachment[];
}

/** A container with its state: what ps, inspect and filters work on. */
export interface Container {
  record: ContainerRecord;
  state: ContainerState;
  /** `containers/<id>` in the data root. */
  directory: string;
}
