/**
 * Volumes on disk. One appears by rename, complete or not at all, and goes by rename:
 *
 *     $TSRUN_ROOT/volumes/<name>/volume.json   what it is
 *     $TSRUN_ROOT/volumes/<name>/_data         its files
 *     $TSRUN_ROOT/volumes/<name>/stage         what an image has there, on its way in (populate.ts)
 *
 * The lock of a volume is flock on its directory. Whoever makes a container holds it until the container's record names the
 * volume, and whoever removes the volume has it while looking at those records: so none is removed under a container.
 */
import { chmodSync, fsyncSync, mkdirSync, renameSync, rmSync, statSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { codeOf, TsrunError } from '../../error.ts';
import { removeTree } from '../../image/unpack/remove-tree.ts';
import { O_CREAT, O_EXCL, O_WRONLY } from '../../linux/constants.ts';
import { AT_FDCWD, close, openat } from '../../linux/fs.ts';
import { namesIn, readIfThere } from '../../linux/optional.ts';
import { randomHex } from '../../linux/random.ts';
import { recordEvent } from '../events.ts';
import { type Lock, lockDirectory } from '../locked-directory.ts';
import { checkVolumeDriver, checkVolumeName, checkVolumeOptions } from './options.ts';

/** `volumes/<name>/volume.json`, written once. */
export interface VolumeRecord {
  version: 1;
  name: string;
  driver: 'local';
  /** RFC 3339, UTC. */
  created: string;
  labels: Record<string, string>;
  /** Of the driver: `type`, `device` and `o`, or none. */
  options: Record<string, string>;
  /** Nobody has given it its name. */
  anonymous: boolean;
}

export interface Volume {
  record: VolumeRecord;
  /** `volumes/<name>`. */
  directory: string;
  /** `volumes/<name>/_data`. */
  mountPoint: string;
}

/** What is asked of a volume that may not be there yet. */
export interface VolumeRequest {
  name: string;
  /** Empty: local. */
  driver?: string | undefined;
  labels?: Record<string, string> | undefined;
  options?: Record<string, string> | undefined;
  anonymous?: boolean;
}

const creating = '.creating-';
const removing = '.removing-';
/** Milliseconds after which something half made has lost its maker: making a volume takes a few of them. */
const unfinishedAge = 60_000;
/** Milliseconds between two looks at a lock that somebody else has. */
const lockPollInterval = 20;
/** So often a name that is taken may be free again at the next look. */
const placements = 20;

/** A name for a volume that was given none. */
export function anonymousName(): string {
  return randomHex(32);
}

export class VolumeStore {
  readonly directory: string;

  /** `root`: the data root. */
  constructor(private readonly root: string) {
    this.directory = join(root, 'volumes');
  }

  mountPoint(name: string): string {
    return join(this.directory, name, '_data');
  }

  /** Names of all volumes, sorted. */
  names(): string[] {
    return namesIn(this.directory)
      .filter((name) => !name.startsWith('.'))
      .sort();
  }

  /** One volume. Throws `CORRUPT` when its record does not read. */
  read(name: string): Volume | undefined {
    // No file can be called that.
    if (Buffer.byteLength(name) > 255) return undefined;
    const directory = join(this.directory, name);
    const path = join(directory, 'volume.json');
    const text = readIfThere(path);
    if (text === undefined) return undefined;
    return { record: parseVolumeRecord(text, path, name), directory, mountPoint: this.mountPoint(name) };
  }

  /** All volumes by name. Of a damaged one `onDamaged` hears. */
  list(onDamaged: (error: TsrunError) => void = () => {}): Volume[] {
    return this.names().flatMap((name) => {
      try {
        const volume = this.read(name);
        return volume === undefined ? [] : [volume];
      } catch (error) {
        if (!(error instanceof TsrunError) || error.code !== 'CORRUPT') throw error;
        onDamaged(error);
        return [];
      }
    });
  }

  /** A volume by its name. Throws `NOT_FOUND` with docker's words. */
  require(name: string): Volume {
    const volume = isPlainName(name) ? this.read(name) : undefined;
    if (volume !== undefined) return volume;
    throw new TsrunError('NOT_FOUND', `No such volume: ${name}`, { hint: 'tsrun volume ls lists all volumes' });
  }

  /**
   * The volume of that name, made if it is not there; one that is there is taken as it is, as docker does. Throws `USAGE`
   * with docker's words for what no volume can be.
   */
  ensure({ name, driver = '', labels = {}, options = {}, anonymous = false }: VolumeRequest): {
    volume: Volume;
    isNew: boolean;
  } {
    checkVolumeDriver(name, driver);
    checkVolumeName(name);
    const present = this.read(name);
    if (present !== undefined) return { volume: present, isNew: false };
    checkVolumeOptions(name, options);
    const created = new Date().toISOString();
    const record: VolumeRecord = { version: 1, name, driver: 'local', created, labels, options, anonymous };
    const building = join(this.directory, creating + randomHex(8));
    mkdirSync(this.directory, { recursive: true, mode: 0o701 });
    mkdirSync(join(building, '_data'), { recursive: true, mode: 0o755 });
    try {
      // Users of a container come by here: whatever umask the caller has.
      for (const path of [building, join(building, '_data')]) chmodSync(path, path === building ? 0o701 : 0o755);
      writeDurably(join(building, 'volume.json'), JSON.stringify(record), !anonymous);
      const other = this.place(building, name);
      if (other !== undefined) return { volume: other, isNew: false };
    } finally {
      rmSync(building, { recursive: true, force: true });
    }
    recordEvent(this.root, { type: 'volume', action: 'create', id: name, attributes: { driver: 'local' } });
    const directory = join(this.directory, name);
    return { volume: { record, directory, mountPoint: this.mountPoint(name) }, isNew: true };
  }

  /** Gives a directory its name; or answers the volume that has it by now. Throws `CORRUPT` where what has it is no volume. */
  private place(building: string, name: string): Volume | undefined {
    const directory = join(this.directory, name);
    for (let attempt = 0; attempt < placements; attempt++) {
      try {
        renameSync(building, directory);
        return undefined;
      } catch (error) {
        if (!['ENOTEMPTY', 'EEXIST'].includes(codeOf(error) ?? '')) throw error;
        const other = this.read(name);
        if (other !== undefined) return other;
        // Somebody has removed it since: the name is free.
      }
    }
    throw new TsrunError('CORRUPT', `"${directory}" is there, and has no volume.json`, {
      hint: 'no volume is without one: look at what is in it, and take it away',
    });
  }

  /** The volume's lock; undefined when there is no such volume, or when somebody else has it and `wait` is false. */
  lock(name: string, wait: boolean): Lock | undefined {
    return lockDirectory(join(this.directory, name), wait);
  }

  /** `lock` for whoever can be interrupted meanwhile: somebody may be copying much into the volume. */
  async lockSoon(name: string, signal: AbortSignal | undefined): Promise<Lock | undefined> {
    for (;;) {
      const lock = this.lock(name, false);
      if (lock !== undefined || this.read(name) === undefined) return lock;
      if (signal?.aborted) throw new TsrunError('INTERRUPTED', `interrupted while waiting for volume "${name}"`);
      await new Promise((resolve) => setTimeout(resolve, lockPollInterval));
    }
  }

  /** Takes a volume away with all its files. The caller has its lock, and no container names it. */
  remove(name: string): void {
    const gone = join(this.directory, removing + randomHex(8));
    renameSync(join(this.directory, name), gone);
    recordEvent(this.root, { type: 'volume', action: 'destroy', id: name, attributes: { driver: 'local' } });
    removeTree(gone);
  }

  /** Takes away what killed commands left half made or half removed. */
  sweep(now = Date.now()): void {
    for (const entry of namesIn(this.directory)) {
      const path = join(this.directory, entry);
      const age = now - (statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? now);
      if (entry.startsWith(removing) || (entry.startsWith(creating) && age > unfinishedAge)) removeTree(path);
    }
  }
}

/** Whether a name leads to a directory of `volumes` itself. */
function isPlainName(name: string): boolean {
  return /^[a-zA-Z0-9][a-zA-Z0-9_.-]*$/.test(name);
}

/** Files that people keep hang on this record: it is on the disk before it has its place, if it cannot be made again. */
function writeDurably(path: string, text: string, durable: boolean): void {
  const fd = openat(AT_FDCWD, path, O_WRONLY | O_CREAT | O_EXCL, 0o600);
  try {
    writeSync(fd, text);
    if (durable) fsyncSync(fd);
  } finally {
    close(fd);
  }
}

function parseVolumeRecord(text: string, path: string, name: string): VolumeRecord {
  const corrupt = (what: string, cause?: unknown): TsrunError =>
    new TsrunError('CORRUPT', `"${path}" is damaged: ${what}`, { cause, hint: 'its files are in _data beside it' });
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw corrupt('it is no JSON', cause);
  }
  const fields = Object(value) as Record<string, unknown>;
  if (fields.version !== 1) throw corrupt(`version ${String(fields.version)} is of another tsrun`);
  if (fields.name !== name) throw corrupt('it belongs to another volume');
  return {
    version: 1,
    name,
    driver: 'local',
    created: String(fields.created),
    labels: texts(fields.labels),
    options: texts(fields.options),
    anonymous: fields.anonymous === true,
  };
}

function texts(value: unknown): Record<string, string> {
  return Object.fromEntries(Object.entries(Object(value)).map(([key, text]) => [key, String(text)]));
}
