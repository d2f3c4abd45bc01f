/** The image configuration: OCI image-spec config.md, with the fields that Docker adds (Healthcheck, OnBuild, Shell). */
import { type Digest, digestProblem, isDigest } from './digest.ts';
import { type Json, type JsonSource, parseJson } from './json.ts';
import { normalizePlatform, type Platform } from './platform.ts';

/** How long a configuration may be, in bytes; docker and containerd read no more than 4 to 8 MiB either. */
export const maxConfigBytes = 4 * 1024 * 1024;

const maxEntries = 10_000;
const maxText = 1024 * 1024;
/** overlayfs stacks at most 500 lower directories (Linux 6.8; fewer by mount(2)); docker stops at 125. */
export const maxLayers = 500;

export interface ImageConfig {
  platform: Platform;
  /** RFC 3339; empty where the image does not say. */
  created: string;
  author: string;
  execution: ImageExecution;
  /** Digests of the layers' tar archives, lowest first. */
  diffIds: Digest[];
  history: HistoryEntry[];
}

/** What a container of the image does unless told otherwise. Absent lists and maps are empty. */
export interface ImageExecution {
  user: string;
  /** `NAME=value`. */
  env: string[];
  entrypoint: string[];
  cmd: string[];
  workingDir: string;
  labels: Record<string, string>;
  /** `80/tcp`. */
  exposedPorts: string[];
  /** Paths. */
  volumes: string[];
  /** `SIGTERM`, `15` or empty. */
  stopSignal: string;
  /** Seconds. */
  stopTimeout?: number;
  healthcheck?: ImageHealthcheck;
  shell: string[];
  onBuild: string[];
}

/** Times are nanoseconds; 0 stands for docker's default. */
export interface ImageHealthcheck {
  test: string[];
  interval: number;
  timeout: number;
  startPeriod: number;
  startInterval: number;
  retries: number;
}

export interface HistoryEntry {
  created: string;
  createdBy: string;
  author: string;
  comment: string;
  emptyLayer: boolean;
}

function text(json: Json): string {
  return json.optionalString(maxText) ?? '';
}

function optionalInteger(json: Json): number {
  return json.absent ? 0 : json.integer();
}

function parseHealthcheck(json: Json): ImageHealthcheck {
  return {
    test: json.get('Test').strings(maxEntries, maxText),
    interval: optionalInteger(json.get('Interval')),
    timeout: optionalInteger(json.get('Timeout')),
    startPeriod: optionalInteger(json.get('StartPeriod')),
    startInterval: optionalInteger(json.get('StartInterval')),
    retries: optionalInteger(json.get('Retries')),
  };
}

/** The part that docker calls container.Config; absent, it says nothing. */
export function parseExecution(json: Json): ImageExecution {
  const field = (name: string) => (json.absent ? json : json.get(name));
  const execution: ImageExecution = {
    user: text(field('User')),
    env: field('Env').strings(maxEntries, maxText),
    entrypoint: field('Entrypoint').strings(maxEntries, maxText),
    cmd: field('Cmd').strings(maxEntries, maxText),
    workingDir: text(field('WorkingDir')),
    labels: field('Labels').stringMap(maxEntries, maxText),
    exposedPorts: field('ExposedPorts').keys(maxEntries),
    volumes: field('Volumes').keys(maxEntries),
    stopSignal: text(field('StopSignal')),
    shell: field('Shell').strings(maxEntries, maxText),
    onBuild: field('OnBuild').strings(maxEntries, maxText),
  };
  if (!field('StopTimeout').absent) execution.stopTimeout = field('StopTimeout').integer();
  if (!field('Healthcheck').absent) execution.healthcheck = parseHealthcheck(field('Healthcheck'));
  return execution;
}

function parseHistory(json: Json): HistoryEntry {
  const emptyLayer = json.get('empty_layer');
  return {
    created: text(json.get('created')),
    createdBy: text(json.get('created_by')),
    author: text(json.get('author')),
    comment: text(json.get('comment')),
    emptyLayer: emptyLayer.absent ? false : emptyLayer.boolean(),
  };
}

/** Only sha256 names unpacked layers: it is what the whole field writes and what unpacking computes. */
function parseDiffId(json: Json): Digest {
  const diffId = json.string(200);
  if (!isDigest(diffId)) throw json.fail(`is no digest (${digestProblem(diffId)})`);
  if (!diffId.startsWith('sha256:')) throw json.fail('is not a sha256 digest');
  return diffId;
}

/** An image without a history gets entries for its layers: a reader counts them. */
export function completeHistory(config: ImageConfig): HistoryEntry[] {
  const missing = config.diffIds.length - config.history.filter((entry) => !entry.emptyLayer).length;
  if (missing <= 0) return config.history;
  const unknown = { created: config.created, createdBy: '', author: '', comment: '', emptyLayer: false };
  return [...Array.from({ length: missing }, () => unknown), ...config.history];
}

/** Reads a configuration. Throws with the source's code when it is malformed. */
export function parseConfig(bytes: Uint8Array, source: JsonSource): ImageConfig {
  const json = parseJson(bytes, source);
  const rootfs = json.get('rootfs');
  if (rootfs.absent) throw rootfs.fail('is missing: this is not the configuration of an image');
  if (!rootfs.get('type').absent && rootfs.get('type').string() !== 'layers') {
    throw rootfs.get('type').fail('must be "layers"');
  }
  return {
    platform: normalizePlatform(
      json.get('os').optionalString(64) ?? 'linux',
      json.get('architecture').optionalString(64) ?? '',
      json.get('variant').optionalString(64) ?? '',
    ),
    created: json.get('created').optionalString(64) ?? '',
    author: text(json.get('author')),
    execution: parseExecution(json.get('config')),
    diffIds: rootfs.get('diff_ids').array(maxLayers).map(parseDiffId),
    history: json.get('history').array(maxEntries).map(parseHistory),
  };
}
