/**
 * An image's config as bytes, in the form in which docker writes it (moby image.Image, container.Config): keys in its order,
 * `<`, `>` and `&` escaped. For images that are made here; those that come from elsewhere keep their bytes.
 */
import type { ImageExecution, ImageHealthcheck } from './config.ts';
import type { Digest } from './digest.ts';

/** What docker's config has beside what an image says: of the container that it was made from. */
export interface ContainerSide {
  hostname: string;
  domainname: string;
  attachStdin: boolean;
  attachStdout: boolean;
  attachStderr: boolean;
  tty: boolean;
  openStdin: boolean;
  stdinOnce: boolean;
  /** The image's name, as it was typed. */
  image: string;
}

export const noContainer: ContainerSide = {
  hostname: '',
  domainname: '',
  attachStdin: false,
  attachStdout: false,
  attachStderr: false,
  tty: false,
  openStdin: false,
  stdinOnce: false,
  image: '',
};

export interface NewHistory {
  created: string;
  author: string;
  createdBy: string;
  comment: string;
  emptyLayer: boolean;
}

export interface NewConfig {
  architecture: string;
  variant: string;
  os: string;
  author: string;
  comment: string;
  /** RFC 3339. */
  created: string;
  /** The program that made it. */
  version: string;
  execution: ImageExecution;
  container: ContainerSide;
  /** Of the container; absent for an image that comes from none. */
  containerId?: string;
  containerExecution?: ImageExecution;
  history: readonly NewHistory[];
  diffIds: readonly Digest[];
}

/** The bytes of the config; their digest is the image's id. */
export function formatConfig(config: NewConfig): Buffer {
  const { containerId, containerExecution, container } = config;
  const document = {
    architecture: config.architecture,
    ...(config.variant === '' ? {} : { variant: config.variant }),
    ...(config.author === '' ? {} : { author: config.author }),
    ...(config.comment === '' || containerId !== undefined ? {} : { comment: config.comment }),
    config: executionDocument(config.execution, container),
    ...(containerId === undefined ? {} : { container: containerId }),
    container_config: executionDocument(containerExecution ?? emptyExecution(), container),
    created: config.created,
    docker_version: config.version,
    history: config.history.map(historyDocument),
    os: config.os,
    rootfs: { type: 'layers', diff_ids: config.diffIds },
  };
  return Buffer.from(goJson(document));
}

/** JSON as Go's encoding/json writes it. */
export function goJson(value: unknown): string {
  return JSON.stringify(value).replace(
    /[<>&\u2028\u2029]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

/** An image that says nothing. */
export function emptyExecution(): ImageExecution {
  return {
    user: '',
    env: [],
    entrypoint: [],
    cmd: [],
    workingDir: '',
    labels: {},
    exposedPorts: [],
    volumes: [],
    stopSignal: '',
    shell: [],
    onBuild: [],
  };
}

function historyDocument(entry: NewHistory): object {
  return {
    ...(entry.created === '' ? {} : { created: entry.created }),
    ...(entry.author === '' ? {} : { author: entry.author }),
    ...(entry.createdBy === '' ? {} : { created_by: entry.createdBy }),
    ...(entry.comment === '' ? {} : { comment: entry.comment }),
    ...(entry.emptyLayer ? { empty_layer: true } : {}),
  };
}

const orNull = <T>(list: readonly T[]): readonly T[] | null => (list.length === 0 ? null : list);

function set(names: readonly string[]): Record<string, object> {
  return Object.fromEntries([...names].sort().map((name) => [name, {}]));
}

/** What docker's container.Config is in JSON. */
export function executionDocument(execution: ImageExecution, container: ContainerSide): object {
  const { healthcheck, labels } = execution;
  const sorted = Object.entries(labels).sort(([a], [b]) => (a < b ? -1 : 1));
  return {
    Hostname: container.hostname,
    Domainname: container.domainname,
    User: execution.user,
    AttachStdin: container.attachStdin,
    AttachStdout: container.attachStdout,
    AttachStderr: container.attachStderr,
    ...(execution.exposedPorts.length === 0 ? {} : { ExposedPorts: set(execution.exposedPorts) }),
    Tty: container.tty,
    OpenStdin: container.openStdin,
    StdinOnce: container.stdinOnce,
    Env: orNull(execution.env),
    Cmd: orNull(execution.cmd),
    ...(healthcheck === undefined ? {} : { Healthcheck: healthcheckDocument(healthcheck) }),
    Image: container.image,
    Volumes: execution.volumes.length === 0 ? null : set(execution.volumes),
    WorkingDir: execution.workingDir,
    Entrypoint: orNull(execution.entrypoint),
    OnBuild: orNull(execution.onBuild),
    Labels: sorted.length === 0 && container.image === '' ? null : Object.fromEntries(sorted),
    ...(execution.stopSignal === '' ? {} : { StopSignal: execution.stopSignal }),
    ...(execution.stopTimeout === undefined ? {} : { StopTimeout: execution.stopTimeout }),
    ...(execution.shell.length === 0 ? {} : { Shell: execution.shell }),
  };
}

function healthcheckDocument(check: ImageHealthcheck): object {
  const times = {
    Interval: check.interval,
    Timeout: check.timeout,
    StartPeriod: check.startPeriod,
    StartInterval: check.startInterval,
    Retries: check.retries,
  };
  return {
    ...(check.test.length === 0 ? {} : { Test: check.test }),
    ...Object.fromEntries(Object.entries(times).filter(([, value]) => value !== 0)),
  };
}
