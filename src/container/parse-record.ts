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

type Kind = 'string' | 'number' | 'boolean' | 'object' | 'array';

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

/** Checks that fields, named by path, are of a kind. */
function check(fields: Fields, path: string, expected: Readonly<Record<string, Kind>>): void {
  for (const { name, parts, kind } of prepare(expected)) {
    let value: unknown = fields;
    for (const part of parts) value = (value as Fields | undefined)?.[part];
    const actual = Array.isArray(value) ? 'array' : value === null ? 'null' : typeof value;
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
  'image.layers': 'array',
  options: 'object',
  'process.args': 'array',
  'process.env': 'array',
  'process.cwd': 'string',
  'process.user': 'string',
  'process.terminal': 'boolean',
  'process.openStdin': 'boolean',
  hostname: 'string',
  labels: 'object',
  exposedPorts: 'array',
  stopSignal: 'string',
  stopTimeout: 'number',
  mounts: 'array',
};

/** Parses `container.json`; the id in it must be that of its directory. */
export function parseContainerRecord(text: string, path: string, id: string): ContainerRecord {
  const fields = parseObject(text, path);
  check(fields, path, containerFields);
  if (fields.id !== id) throw corrupt(path, 'it belongs to another container');
  if (fields.version !== 1) throw corrupt(path, `version ${String(fields.version)} is of another tsrun`);
  return fields as unknown as ContainerRecord;
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
