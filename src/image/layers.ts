/**
 * Layers by chain id (OCI image-spec config.md, "Layer ChainID"), unpacked or as an archive that is mounted (erofs/):
 *
 *     layers/<chain id>/layer.json  what it is
 *     layers/<chain id>/fs          the tree, with whiteouts as overlayfs wants them
 *     layers/<chain id>/archive     how its archive is made again from the tree (unpack/archive-recorder.ts)
 *     layers/<chain id>/kept        what the archive has and the tree has not
 *
 *     layers/<chain id>/layer.json
 *     layers/<chain id>/archive.tar the archive
 *     layers/<chain id>/tree.erofs  the tree, whose contents are in the archive
 *
 *     layers/.tmp-<pid>-<chain id>  one that is being made or deleted
 *     layers/.lock                  flock: shared by who counts on layers, exclusive for who deletes some;
 *                                   one byte of it per layer: locked by who makes or deletes that layer
 *
 * A layer appears by rename, complete or not at all. Contents are not forced to disk: they can be pulled again.
 */
import { chmodSync, existsSync, mkdirSync, readdirSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { TsrunError } from '../error.ts';
import { O_CREAT, O_NOFOLLOW, O_RDWR } from '../linux/constants.ts';
import { AT_FDCWD, close, flock, lockByte, openat } from '../linux/fs.ts';
import { readOwnText } from '../linux/own-file.ts';
import { randomHex } from '../linux/random.ts';
import { type Digest, digestHex, isDigest } from './digest.ts';
import { archiveFile, metadataFile } from './erofs/names.ts';
import { errorCode } from './errors.ts';
import { parseJson } from './json.ts';
import { delay } from './retry.ts';
import type { LayerFormName } from './unpack/layer-form.ts';
import { removeTree } from './unpack/remove-tree.ts';

/** layer.json. */
export interface LayerRecord {
  chainId: Digest;
  /** Chain id of the layer below; absent for the lowest. */
  parent?: Digest;
  diffId: Digest;
  /** The blob that it was unpacked from, and the repository that had it: a registry can be asked to mount it from there. */
  digest: Digest;
  mediaType: string;
  size: number;
  source: string;
  /** Bytes of files, and number of entries of the archive. */
  bytes: number;
  entries: number;
  /** Bytes of the archive, not compressed; absent where a version of tsrun stored it that did not remember archives. */
  archiveSize?: number;
}

/** What is read of layer.json. */
export type StoredRecord = Pick<LayerRecord, 'bytes' | 'diffId' | 'source'> & { archiveSize: number | undefined };

/** Where a layer's tree is: a directory, or two files that make a mount. */
export type LayerPlace = { kind: 'unpacked'; path: string } | MountedPlace;

export interface MountedPlace {
  kind: 'erofs';
  metadata: string;
  archive: string;
}

/** Something that is held until it is released. */
export interface Held {
  release(): void;
}

/** A layer that is being made: fill `directory`, then commit it or discard it. */
export interface LayerDraft {
  directory: string;
  /** The layer's own directory: where the record of its archive goes. */
  base: string;
  commit(record: LayerRecord): void;
  discard(): void;
}

/** As `LayerDraft`, while the chain id is not known. One of `commit` and `discard` is to be called. */
export interface UnnamedDraft {
  directory: string;
  base: string;
  /** `signal` ends the waiting for others. */
  commit(record: LayerRecord, signal?: AbortSignal): Promise<void>;
  discard(): void;
}

const temporaryName = /^\.tmp-\d+-([0-9a-f]{64})(?:-old)?$/;
/** Milliseconds between two looks at a lock that another process has. */
const lockPollInterval = 100;

/** The byte of the lock file that stands for a layer: 48 bits of its hash; two layers that share one only wait. */
function lockOffset(hex: string): number {
  return Number.parseInt(hex.slice(0, 12), 16);
}

export class LayerStore {
  readonly directory: string;
  readonly #root: string;
  #form: Promise<LayerFormName> | undefined;

  constructor(root: string) {
    this.#root = root;
    this.directory = join(root, 'layers');
  }

  /** The form that new layers get. Throws `USAGE` and `UNSUPPORTED` for a setting that cannot be. */
  form(): Promise<LayerFormName> {
    // Loaded late: most commands make no layer.
    this.#form ??= import('./storage.ts').then(({ chooseStorage }) => chooseStorage(this.#root).form);
    return this.#form;
  }

  /** The layer's own directory. */
  base(chainId: Digest): string {
    return join(this.directory, digestHex(chainId));
  }

  /** Where the layer's tree is; undefined where it is missing. A store may hold layers of both forms. */
  place(chainId: Digest): LayerPlace | undefined {
    const base = this.base(chainId);
    const path = join(base, 'fs');
    if (existsSync(path)) return { kind: 'unpacked', path };
    const metadata = join(base, metadataFile);
    const archive = join(base, archiveFile);
    return existsSync(metadata) && existsSync(archive) ? { kind: 'erofs', metadata, archive } : undefined;
  }

  /** What people are shown as the place of the layer, whether it exists or not. */
  path(chainId: Digest): string {
    const place = this.place(chainId);
    return place?.kind === 'erofs' ? place.metadata : join(this.base(chainId), 'fs');
  }

  #recordPath(chainId: Digest): string {
    return join(this.base(chainId), 'layer.json');
  }

  /** Whether the layer is there: its record reads and its tree exists. */
  has(chainId: Digest): boolean {
    return this.record(chainId) !== undefined && this.place(chainId) !== undefined;
  }

  /** The layer's record; undefined where it is absent or does not read. */
  record(chainId: Digest): StoredRecord | undefined {
    try {
      const text = readOwnText(this.#recordPath(chainId));
      const json = parseJson(text, { name: this.#recordPath(chainId), code: 'CORRUPT' });
      if (json.get('chainId').string() !== chainId) return undefined;
      const diffId = json.get('diffId').string();
      if (!isDigest(diffId)) return undefined;
      const size = json.get('archiveSize');
      return {
        bytes: json.get('bytes').size(),
        diffId,
        archiveSize: size.absent ? undefined : size.size(),
        source: json.get('source').optionalString() ?? '',
      };
    } catch {
      return undefined;
    }
  }

  #openLock(): number {
    mkdirSync(this.directory, { recursive: true, mode: 0o700 });
    return openat(AT_FDCWD, join(this.directory, '.lock'), O_RDWR | O_CREAT | O_NOFOLLOW, 0o600);
  }

  /** As long as this is held no layer is deleted: by who pulls, and by who makes a container and has not recorded it yet. */
  hold(): Held {
    const fd = this.#openLock();
    flock(fd, 'shared', true);
    return { release: () => close(fd) };
  }

  /** The right to delete layers; undefined while anyone holds them. */
  tryExclusive(): Held | undefined {
    const fd = this.#openLock();
    if (flock(fd, 'exclusive', false)) return { release: () => close(fd) };
    close(fd);
    return undefined;
  }

  #tryLock(hex: string): Held | undefined {
    const fd = this.#openLock();
    if (lockByte(fd, lockOffset(hex))) return { release: () => close(fd) };
    close(fd);
    return undefined;
  }

  /** Waits until nobody else makes or deletes this layer. `onWait` is called once when that takes time. */
  async lock(chainId: Digest, options: { signal?: AbortSignal; onWait?: () => void }): Promise<Held> {
    const hex = digestHex(chainId);
    let held = this.#tryLock(hex);
    if (held === undefined) options.onWait?.();
    while (held === undefined) {
      await delay(lockPollInterval, options.signal);
      held = this.#tryLock(hex);
    }
    return held;
  }

  /** A place to make the layer in. The caller holds its lock. */
  begin(chainId: Digest): LayerDraft {
    const temporary = this.#temporary(chainId);
    removeTree(temporary);
    const directory = join(temporary, 'fs');
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    // The root of a container whose lowest layer does not say otherwise.
    chmodSync(directory, 0o755);
    return {
      directory,
      base: temporary,
      commit: (record) => this.#publish(temporary, record),
      discard: () => {
        try {
          removeTree(temporary);
        } catch {
          // The reason why it is discarded is what people must hear; the next pull sweeps.
        }
      },
    };
  }

  /**
   * As `begin`, for a layer whose chain id is known only when it is made. Its place is locked under a name that nobody else
   * has. `commit` waits for others at work on the same layer, and gives way to one that is there.
   */
  beginUnnamed(): UnnamedDraft {
    const name = `sha256:${randomHex(32)}` as Digest;
    const lock = this.#tryLock(digestHex(name));
    if (lock === undefined) throw new TsrunError('IN_USE', `cannot lock a new layer in "${this.directory}"`);
    const draft = this.begin(name);
    return {
      directory: draft.directory,
      base: draft.base,
      commit: async (record, signal) => {
        let own: Held | undefined;
        try {
          own = await this.lock(record.chainId, signal === undefined ? {} : { signal });
          if (!this.has(record.chainId)) this.#publish(draft.base, record);
        } finally {
          own?.release();
          draft.discard();
          lock.release();
        }
      },
      discard: () => {
        draft.discard();
        lock.release();
      },
    };
  }

  #publish(temporary: string, record: LayerRecord): void {
    writeFileSync(join(temporary, 'layer.json'), `${JSON.stringify({ version: 1, ...record })}\n`, { mode: 0o600 });
    // What is damaged stands in the way; its replacement is complete.
    this.#setAside(record.chainId);
    renameSync(temporary, this.base(record.chainId));
    removeTree(`${this.#temporary(record.chainId)}-old`);
  }

  #temporary(chainId: Digest): string {
    return join(this.directory, `.tmp-${process.pid}-${digestHex(chainId)}`);
  }

  #setAside(chainId: Digest): void {
    try {
      renameSync(this.base(chainId), `${this.#temporary(chainId)}-old`);
    } catch (error) {
      if (errorCode(error) !== 'ENOENT') throw error;
    }
  }

  /**
   * Takes a layer away; the caller has `tryExclusive`. Returns what deletes its files, which takes time and needs that
   * no more; undefined when someone is at work on the layer.
   */
  detach(chainId: Digest): (() => void) | undefined {
    const lock = this.#tryLock(digestHex(chainId));
    if (lock === undefined) return undefined;
    const temporary = this.#temporary(chainId);
    const finish = (): void => {
      try {
        removeTree(temporary);
      } finally {
        lock.release();
      }
    };
    try {
      removeTree(temporary);
      renameSync(this.base(chainId), temporary);
    } catch (error) {
      if (errorCode(error) !== 'ENOENT') {
        lock.release();
        throw error;
      }
    }
    return finish;
  }

  #names(): string[] {
    try {
      return readdirSync(this.directory);
    } catch (error) {
      if (errorCode(error) === 'ENOENT') return [];
      throw error;
    }
  }

  /** Chain ids of all complete layers. */
  chainIds(): Digest[] {
    return this.#names().flatMap((name) => (/^[0-9a-f]{64}$/.test(name) ? [`sha256:${name}` as Digest] : []));
  }

  /** Deletes what processes that were killed left half done: temporaries whose layer nobody has locked. */
  sweep(): void {
    for (const name of this.#names()) {
      const hex = temporaryName.exec(name)?.[1];
      const lock = hex === undefined ? undefined : this.#tryLock(hex);
      if (lock === undefined) continue;
      try {
        removeTree(join(this.directory, name));
      } finally {
        lock.release();
      }
    }
  }
}
