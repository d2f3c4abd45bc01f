/**
 * What was built before, by content: `cache/build/<key>.json` in the data root says which layer an instruction made. A key is
 * the digest of all that the result depends on, and of nothing else: where a layer comes from and when is not in it. A layer
 * that has been removed meanwhile is made again. Each use adds an empty line to the record. `cache/build/mounts` has the directories of RUN --mount=type=cache.
 */

import { appendFileSync, mkdirSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createHash } from '../linux/hash.ts';
import { namesIn } from '../linux/optional.ts';
import { readOwnText } from '../linux/own-file.ts';
import type { StoredLayer } from './catalogue.ts';
import { type Digest, isDigest } from './digest.ts';
import { parseJson } from './json.ts';
import type { LayerStore } from './layers.ts';
import { presentLayer } from './local-image.ts';
import { RemoteRecords } from './remote-records.ts';

/** Raised when the same key would stand for another result. */
const version = 1;
/** Characters of a step that are kept. */
const maxDescription = 300;

/** What an instruction has made. */
export interface Made {
  /** Undefined: it changed no file. */
  layer: StoredLayer | undefined;
  /** The stage's clock behind it (build/clock.ts). */
  clock: number;
}

/** A record as it stands; its layer may be gone. Times are milliseconds since 1970. */
export interface CacheRecord {
  key: string;
  /** Undefined: no file was changed. */
  chainId: Digest | undefined;
  clock: number;
  /** The step: `[2/5] RUN make`. */
  description: string;
  created: number;
  used: number;
  /** How often a build has taken it from here. */
  uses: number;
}

/** The directory of a RUN --mount=type=cache. */
export interface CacheMount {
  name: string;
  path: string;
  created: number;
  used: number;
}

/** The digest of what a result depends on. */
export function cacheKey(parts: unknown): string {
  return createHash('sha256')
    .update(JSON.stringify([version, parts]))
    .digest('hex');
}

export class BuildCache {
  readonly directory: string;
  /** Of RUN --mount=type=cache. */
  readonly mountDirectory: string;
  /** What ADD has fetched. */
  readonly remotes: RemoteRecords;

  constructor(
    root: string,
    private readonly layers: LayerStore,
  ) {
    this.directory = join(root, 'cache', 'build');
    this.mountDirectory = join(this.directory, 'mounts');
    this.remotes = new RemoteRecords(join(this.directory, 'remote'));
  }

  /** What was made under this key, if it is still there; it has been used then. */
  find(key: string): Made | undefined {
    const record = this.read(key);
    if (record === undefined) return undefined;
    const { chainId, clock } = record;
    const layer = chainId === undefined ? undefined : presentLayer(this.layers, chainId);
    if (chainId !== undefined && layer === undefined) return undefined;
    try {
      // Counts, and says when; of two builds at the same time both are counted.
      appendFileSync(this.path(key), '\n');
    } catch {
      // A full disk keeps nobody from what is there.
    }
    return { layer, clock };
  }

  /** Remembers it. */
  keep(key: string, { layer, clock }: Made, description: string): void {
    mkdirSync(this.directory, { recursive: true, mode: 0o700 });
    const temporary = join(this.directory, `.tmp-${process.pid}-${key}`);
    const record = {
      clock,
      ...(layer === undefined ? {} : { layer: layer.chainId }),
      description: description.slice(0, maxDescription),
      created: Date.now(),
    };
    try {
      writeFileSync(temporary, `${JSON.stringify(record)}\n`, { mode: 0o600 });
      renameSync(temporary, this.path(key));
    } catch (error) {
      rmSync(temporary, { force: true });
      throw error;
    }
  }

  /** All that there are. */
  records(): CacheRecord[] {
    return namesIn(this.directory).flatMap((name) => {
      const key = /^([0-9a-f]{64})\.json$/.exec(name)?.[1];
      return key === undefined ? [] : (this.read(key) ?? []);
    });
  }

  /** Layers that a record stands for: they are kept although no image has them. */
  layersInUse(): Set<Digest> {
    return new Set(this.records().flatMap(({ chainId }) => chainId ?? []));
  }

  /** Forgets it; the layer stays. */
  remove(key: string): void {
    rmSync(this.path(key), { force: true });
  }

  mounts(): CacheMount[] {
    return namesIn(this.mountDirectory).flatMap((name) => {
      const path = join(this.mountDirectory, name);
      const stats = statSync(path, { throwIfNoEntry: false });
      if (stats === undefined || !stats.isDirectory()) return [];
      return { name, path, created: stats.birthtimeMs, used: stats.mtimeMs };
    });
  }

  private path(key: string): string {
    return join(this.directory, `${key}.json`);
  }

  private read(key: string): CacheRecord | undefined {
    try {
      const path = this.path(key);
      const text = readOwnText(path);
      const json = parseJson(text, { name: path, code: 'CORRUPT' });
      const clock = json.get('clock').integer();
      const layer = json.get('layer');
      const chainId = layer.absent ? undefined : layer.string();
      if (chainId !== undefined && !isDigest(chainId)) return undefined;
      const used = statSync(path).mtimeMs;
      const created = json.get('created').absent ? used : json.get('created').integer();
      const description = json.get('description').optionalString() ?? '';
      const uses = text.length - text.trimEnd().length - 1;
      return { key, chainId, clock, description, created, used, uses };
    } catch {
      // Absent or damaged: it is made again.
      return undefined;
    }
  }
}
