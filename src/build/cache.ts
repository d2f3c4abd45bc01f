/**
 * What was built before, by content: `cache/build/<key>.json` in the data root says which layer an instruction made. A key is
 * the digest of all that the result depends on, and of nothing else: where a layer comes from and when is not in it. A layer
 * that has been removed meanwhile is made again.
 */
import { mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { StoredLayer } from '../image/catalogue.ts';
import { type Digest, isDigest } from '../image/digest.ts';
import { parseJson } from '../image/json.ts';
import type { LayerStore } from '../image/layers.ts';
import { presentLayer } from '../image/local-image.ts';
import { createHash } from '../linux/hash.ts';
import { readOwnText } from '../linux/own-file.ts';

/** Raised when the same key would stand for another result. */
const version = 1;

/** What an instruction has made. */
export interface Made {
  /** Undefined: it changed no file. */
  layer: StoredLayer | undefined;
  /** The stage's clock behind it (clock.ts). */
  clock: number;
}

/** The digest of what a result depends on. */
export function cacheKey(parts: unknown): string {
  return createHash('sha256')
    .update(JSON.stringify([version, parts]))
    .digest('hex');
}

export class BuildCache {
  readonly directory: string;

  constructor(
    root: string,
    private readonly layers: LayerStore,
  ) {
    this.directory = join(root, 'cache', 'build');
  }

  /** What was made under this key, if it is still there. */
  find(key: string): Made | undefined {
    try {
      const path = this.path(key);
      const json = parseJson(readOwnText(path), { name: path, code: 'CORRUPT' });
      const clock = json.get('clock').integer();
      if (json.get('layer').absent) return { layer: undefined, clock };
      const chainId = json.get('layer').string();
      const layer = isDigest(chainId) ? presentLayer(this.layers, chainId) : undefined;
      return layer === undefined ? undefined : { layer, clock };
    } catch {
      // Absent or damaged: it is made again.
      return undefined;
    }
  }

  /** Remembers it. */
  keep(key: string, { layer, clock }: Made): void {
    mkdirSync(this.directory, { recursive: true, mode: 0o700 });
    const temporary = join(this.directory, `.tmp-${process.pid}-${key}`);
    const record: { clock: number; layer?: Digest } = {
      clock,
      ...(layer === undefined ? {} : { layer: layer.chainId }),
    };
    try {
      writeFileSync(temporary, `${JSON.stringify(record)}\n`, { mode: 0o600 });
      renameSync(temporary, this.path(key));
    } catch (error) {
      rmSync(temporary, { force: true });
      throw error;
    }
  }

  private path(key: string): string {
    return join(this.directory, `${key}.json`);
  }
}
