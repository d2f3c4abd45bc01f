/** Reads the JSON files of a container, once, at the border: a file that is not what it must be is named, not followed. */
import { TsrunError } from '../error.ts';
import type { LiveNetworks } from './endpoints.ts';
import type { ContainerRecord, ExitRecord, HealthRecord, RunRecord, StartRecord } from './record.ts';

function corrupt(path: string, what: string, cause?: unknown): TsrunError {
  return new TsrunError('CORRUPT', `"${path}" is damaged: ${what}`, {
    cause,
    hint: 'remove the container with `tsrun rm -f`, or the file by hand',
  });
}

type Fields = Record<string, unknown>;

function parseObject(text: string, path: string): Fields {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw corrupt(path, 'it is no JSON', cause);
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw corrupt(path, 'it is no JSON object');
  return value as Fields;
}

type Kind = 'string' | 'number' | 'boolean' | 'object' | 'array' | 'strings';

interface Expectation {
  name: string;
  /** Its parts: `process.args`. */
  parts: readonly string[];
  kind: Kind;
}

/** Expectations taken apart, by the object that was given: lists read the same kind of file hundreds of times. */
const prepared = new Map<Readonly<Record<string, Kind>>, Expectation[]>();

function prepare(expected: Readonly<Record<string, Kind>>): Expectation[] {
  const known = prepared.get(expected);
  if (known !== undefined) return known;
  const made = Object.entries(expected).map(([name, kind]) => ({ name, parts: name.split('.'), kind }));
  prepared.set(expected, made);
  return made;
}

/** What a value is; an array is `strings` where that is wanted and holds. */
function kindOf(value: unknown, wanted: Kind): string {
  if (!Array.isArray(value)) return value === null ? 'null' : typeof value;
  return wanted === 'strings' && value.every((item) => typeof item === 'string') ? 'strings' : 'array';
}

/** Checks that fields, named by path, are of a kind. */
function check(fields: Fields, path: string, expected: Readonly<Record<string, Kind>>): void {
  for (const { name, parts, kind } of prepare(expected)) {
    let value: unknown = fields;
    for (const part of parts) value = (value as Fields | undefined)?.[part];
    const actual = kindOf(value, kind);
    if (actual !== kind) throw corrupt(path, `"${name}" is ${actual}, not ${kind}`);
  }
}

const containerFields: Readonly<Record<string, Kind>> = {
  version: 'number',
  id: 'string',
  name: 'string',
  created: 'string',
  'image.id': 'string',
  'image.reference': 'string',
  'image.layers': 'strings',
  'options.image': 'string',
  'options.env': 'strings',
  'options.command': 'strings',
  'options.extraHosts': 'strings',
  'options.dns': 'strings',
  'options.dnsSearch': 'strings',
  'options.dnsOptions': 'strings',
  'options.network': 'string',
  'options.privileged': 'boolean',
  'options.readOnly': 'boolean',
  'options.remove': 'boolean',
  'options.init': 'boolean',
  'options.groupAdd': 'strings',
  'options.capAdd': 'strings',
  'options.capDrop': 'strings',
  'options.securityOpt': 'strings',
  'options.devices': 'array',
  'options.publish': 'array',
  'options.ulimits': 'array',
  'options.sysctls': 'object',
  'options.restart': 'object',
  'process.args': 'strings',
  'process.env': 'strings',
  'process.cwd': 'string',
  'process.user': 'string',
  'process.terminal': 'boolean',
  'process.openStdin': 'boolean',
  hostname: 'string',
  labels: 'object',
  exposedPorts: 'strings',
  stopSignal: 'string',
  stopTimeout: 'number',
  mounts: 'array',
};

const mountFields: Readonly<Record<string, Kind>> = {
  type: 'string',
  source: 'string',
  destination: 'string',
  mode: 'string',
  readWrite: 'boolean',
  propagation: 'string',
};

function checkMount(value: unknown, path: string): void {
  const mount = Object(value) as Fields;
  check(mount, path, mountFields);
  const { type, source, destination } = mount as unknown as { type: string; source: string; destination: string };
  if (!['bind', 'volume', 'tmpfs'].includes(type)) throw corrupt(path, `${JSON.stringify(type)} is no kind of mount`);
  const fits = destination.startsWith('/') && (source === '' || source.startsWith('/'));
  if (!fits) throw corrupt(path, `a mount of ${JSON.stringify(source)} at ${JSON.stringify(destination)}`);
}

/** Parses `container.json`; the id in it must be that of its directory. */
export function parseContainerRecord(text: string, path: string, id: string): ContainerRecord {
  const fields = parseObject(text, path);
  check(fields, path, containerFields);
  if (fields.id !== id) throw corrupt(path, 'it belongs to another container');
  if (fields.version !== 1) throw corrupt(path, `version ${String(fields.version)} is of another tsrun`);
  const record = fields as unknown as ContainerRecord;
  // What becomes a part of a path is checked to the letter.
  for (const layer of record.image.layers) {
    if (!/^sha256:[0-9a-f]{64}$/.test(layer)) throw corrupt(path, `layer ${JSON.stringify(layer)} is no digest`);
  }
  for (const mount of record.mounts as unknown[]) checkMount(mount, path);
  return record;
}

const startFields: Readonly<Record<string, Kind>> = {
  pid: 'number',
  startTime: 'string',
  bootId: 'string',
  monitorPid: 'number',
  monitorStartTime: 'string',
  cgroup: 'string',
  'network.mode': 'string',
};

/** Parses `start.json`. */
export function parseStartRecord(text: string, path: string): StartRecord {
  const fields = parseObject(text, path);
  check(fields, path, startFields);
  const { cgroup } = fields as { cgroup: string };
  // It is emptied and removed: nothing else may be named there.
  if (cgroup !== '' && !/^(\/[^/]+)+\/tsrun\/[0-9a-f]{64}$/.test(cgroup)) {
    throw corrupt(path, `${JSON.stringify(cgroup)} is no cgroup of a container`);
  }
  return fields as unknown as StartRecord;
}

const exitFields: Readonly<Record<string, Kind>> = {
  exitCode: 'number',
  signal: 'number',
  oomKilled: 'boolean',
  finishedAt: 'string',
};

/** Parses `exit.json`. */
export function parseExitRecord(text: string, path: string): ExitRecord {
  const fields = parseObject(text, path);
  check(fields, path, exitFields);
  return fields as unknown as ExitRecord;
}

const runFields: Readonly<Record<string, Kind>> = {
  monitorPid: 'number',
  restartCount: 'number',
  pid: 'number',
  startTime: 'string',
  startedAt: 'string',
};

/** Parses `run.json`. */
export function parseRunRecord(text: string, path: string): RunRecord {
  const fields = parseObject(text, path);
  check(fields, path, runFields);
  return fields as unknown as RunRecord;
}

const healthFields: Readonly<Record<string, Kind>> = { Status: 'string', FailingStreak: 'number', Log: 'array' };

/** Parses `health.json`. */
export function parseHealthRecord(text: string, path: string): HealthRecord {
  const fields = parseObject(text, path);
  check(fields, path, healthFields);
  return fields as unknown as HealthRecord;
}

const liveFields: Readonly<Record<string, Kind>> = { attachments: 'array', ports: 'array' };

const attachmentFields: Readonly<Record<string, Kind>> = {
  network: 'string',
  bridge: 'string',
  address: 'string',
  prefix: 'number',
  gateway: 'string',
  mac: 'string',
  hostInterface: 'string',
  ports: 'array',
};

/** Parses `networks.json`. */
export function parseLiveNetworks(text: string, path: string): LiveNetworks {
  const fields = parseObject(text, path);
  check(fields, path, liveFields);
  for (const attachment of fields.attachments as unknown[]) check(Object(attachment), path, attachmentFields);
  return fields as unknown as LiveNetworks;
}
