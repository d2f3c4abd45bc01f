/**
 * Containers of the OCI runtime on disk: `<root>/<id>/` (0700) with
 *   making.json   where its cgroup is to be: all that is known of a create that was killed
 *   state.json    what was made; written once, by create
 *   config.json   the configuration as it was then: exec and hooks need it, and the bundle may change
 *   filter        the seccomp filter, for exec
 *   steps.json    what `start` can fail in
 *   start.sock    where the first process waits; gone when it was started
 * What is not stored is computed: a process that runs is created or running, by whether it still waits.
 */
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, unlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { isFrozen } from '../cgroup/files.ts';
import { codeOf, messageOf, TsrunError } from '../error.ts';
import { O_DIRECTORY, O_RDONLY } from '../linux/constants.ts';
import { AT_FDCWD, close, flock, openat } from '../linux/fs.ts';
import { readOwn, readOwnText } from '../linux/own-file.ts';
import { isRunning } from '../linux/process.ts';
import { parseExactJson, stringifyExactJson } from '../runtime/json.ts';
import { parseSpec } from '../runtime/parse-spec.ts';
import { integer, map, object, text } from '../runtime/schema.ts';
import { OCI_VERSION, type Spec, type State } from '../runtime/spec.ts';

/** state.json. */
export interface ContainerRecord {
  id: string;
  bundle: string;
  /** Absolute. */
  rootfs: string;
  pid: number;
  /** Of the first process: /proc/PID/stat. */
  startTime: string;
  /** RFC 3339. */
  created: string;
  /** Absolute path; empty: none of its own. */
  cgroup: string;
  /** Its place in the hierarchies of cgroup v1, on a hybrid host; empty: none. */
  v1?: string;
  /** Of who made it. */
  uid: number;
  /** How many descriptors of its caller the first process gets. */
  preserved: number;
  annotations?: Record<string, string>;
}

/** making.json: where a container's cgroup is; both are empty where it has none. */
export interface CgroupPlace {
  /** Absolute. */
  cgroup: string;
  /** In the hierarchies of cgroup v1. */
  v1: string;
}

const parsePlace = object<CgroupPlace>({ cgroup: text, v1: text }, {});

const parseRecord = object<ContainerRecord>(
  {
    id: text,
    bundle: text,
    rootfs: text,
    pid: integer,
    startTime: text,
    created: text,
    cgroup: text,
    uid: integer,
    preserved: integer,
  },
  { v1: text, annotations: map(text) },
);

export type Status = 'creating' | 'created' | 'running' | 'paused' | 'stopped';

/** One container's directory. */
export class OciContainer {
  readonly directory: string;
  readonly record: ContainerRecord;

  constructor(directory: string, record: ContainerRecord) {
    this.directory = directory;
    this.record = record;
  }

  get socket(): string {
    return join(this.directory, 'start.sock');
  }

  isAlive(): boolean {
    return isRunning(this.record.pid, this.record.startTime);
  }

  status(): Status {
    if (!this.isAlive()) return 'stopped';
    if (existsSync(this.socket)) return 'created';
    return this.record.cgroup !== '' && isFrozen(this.record.cgroup) ? 'paused' : 'running';
  }

  spec(): Spec {
    return parseSpec(readJson(join(this.directory, 'config.json')), '');
  }

  filter(): Uint8Array | undefined {
    const path = join(this.directory, 'filter');
    return existsSync(path) ? readOwn(path) : undefined;
  }

  /** Waits for its lock: two commands that change it come one after the other. Returns what lets it go. */
  lock(): () => void {
    const fd = openat(AT_FDCWD, this.directory, O_RDONLY | O_DIRECTORY);
    flock(fd, 'exclusive', true);
    return () => close(fd);
  }

  /** What hooks get on stdin (runtime.md, "State"). */
  hookState(status: State['status']): State {
    const { id, pid, bundle, annotations } = this.record;
    return {
      ociVersion: OCI_VERSION,
      id,
      status,
      ...(status === 'stopped' ? {} : { pid }),
      bundle,
      ...(annotations === undefined ? {} : { annotations }),
    };
  }
}

/** `<root>` of the global option. */
export class OciStore {
  readonly root: string;

  constructor(root: string) {
    this.root = root;
  }

  /** Claims an id. Throws `CONFLICT` when it is taken. */
  claim(id: string): string {
    checkId(id);
    mkdirSync(this.root, { recursive: true, mode: 0o700 });
    const directory = join(this.root, id);
    try {
      mkdirSync(directory, { mode: 0o700 });
    } catch (cause) {
      if (codeOf(cause) !== 'EEXIST') throw cause;
      throw new TsrunError('CONFLICT', `container with given ID already exists: ${id}`, { cause });
    }
    return directory;
  }

  /** The container of that id. Throws `NOT_FOUND`, `CORRUPT`. */
  get(id: string): OciContainer {
    checkId(id);
    const found = this.find(id);
    if (found === undefined) throw new TsrunError('NOT_FOUND', `container does not exist: ${id}`);
    return found;
  }

  /** As `get`; undefined where there is none, or where its making was broken off. */
  find(id: string): OciContainer | undefined {
    const directory = join(this.root, id);
    const path = join(directory, 'state.json');
    if (!existsSync(path)) return undefined;
    try {
      return new OciContainer(directory, parseRecord(readJson(path), ''));
    } catch (cause) {
      throw new TsrunError('CORRUPT', `"${path}" cannot be read: ${messageOf(cause)}`, { cause });
    }
  }

  all(): OciContainer[] {
    let names: string[];
    try {
      names = readdirSync(this.root).sort();
    } catch {
      return [];
    }
    return names.filter((name) => !name.startsWith('.')).flatMap((name) => this.find(name) ?? []);
  }

  /** Compiled seccomp filters of all containers. */
  get filterCache(): string {
    return join(this.root, '.seccomp');
  }
}

/** Writes down what is about to be made for the container of that directory. */
export function intend(directory: string, place: CgroupPlace): void {
  writeJson(join(directory, 'making.json'), place);
}

/** What a create that was broken off may have made; undefined where it had not come to that. Throws as `readJson` does. */
export function readIntended(directory: string): CgroupPlace | undefined {
  const path = join(directory, 'making.json');
  return existsSync(path) ? parsePlace(readJson(path), '') : undefined;
}

/** runc's rule: letters, digits, `_+-.`; not `.` and `..`. */
export function checkId(id: string): void {
  if (/^[\w+.-]{1,1024}$/.test(id) && !/^\.+$/.test(id) && id !== '.seccomp') return;
  throw new TsrunError('USAGE', `invalid container ID format: ${JSON.stringify(id)}`, {
    hint: 'an id is made of letters, digits, "_", "+", "-" and "."',
  });
}

export function readJson(path: string): unknown {
  return parseExactJson(readOwnText(path));
}

/** A file of the container's directory: complete or not there. */
export function writeWhole(path: string, content: string | Uint8Array): void {
  const temporary = `${path}.${process.pid}`;
  writeFileSync(temporary, content, { mode: 0o600 });
  try {
    renameSync(temporary, path);
  } catch (error) {
    unlinkSync(temporary);
    throw error;
  }
}

export function writeJson(path: string, value: unknown): void {
  writeWhole(path, stringifyExactJson(value));
}

export function removeDirectory(directory: string): void {
  rmSync(directory, { recursive: true, force: true });
}
