/** What the build cache takes on disk: layers that builds have made, and the directories of RUN --mount=type=cache. */
import { BuildCache } from '../image/build-cache.ts';
import type { Digest } from '../image/digest.ts';
import type { ImageStore } from '../image/store.ts';
import { directorySize } from './directory-size.ts';

/** Times are milliseconds since 1970. */
export interface CacheUsage {
  id: string;
  type: 'regular' | 'exec.cachemount';
  description: string;
  /** Bytes. */
  size: number;
  /** An image has the layer too: it is counted there. */
  shared: boolean;
  created: number;
  used: number;
  uses: number;
}

/** Layers that images have. */
export function layersOfImages(images: ImageStore): Set<Digest> {
  return new Set(images.list().flatMap(({ layers }) => layers.map(({ chainId }) => chainId)));
}

/** All that is in the cache. What several records stand for is counted once; records whose layer is gone are not there. */
export function buildCacheUsage(images: ImageStore): CacheUsage[] {
  const cache = new BuildCache(images.root, images.layers);
  const records = cache.records();
  const ofImages = records.length === 0 ? new Set<Digest>() : layersOfImages(images);
  const counted = new Set<Digest>();
  const layers = records.flatMap(({ key, chainId, description, created, used, uses }): CacheUsage[] => {
    const entry = { id: key, type: 'regular', description, created, used, uses } as const;
    if (chainId === undefined) return [{ ...entry, size: 0, shared: false }];
    const layer = images.layers.has(chainId) ? images.layers.record(chainId) : undefined;
    if (layer === undefined) return [];
    const size = counted.has(chainId) ? 0 : layer.bytes;
    counted.add(chainId);
    return [{ ...entry, size, shared: ofImages.has(chainId) }];
  });
  const mounts = cache.mounts().map(({ name, path, created, used }): CacheUsage => {
    const description = 'RUN --mount=type=cache';
    return {
      ...{ id: name, type: 'exec.cachemount', description, size: directorySize(path) },
      ...{ shared: false, created, used, uses: 0 },
    };
  });
  return [...layers, ...mounts];
}
