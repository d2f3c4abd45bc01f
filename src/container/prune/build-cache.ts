/** `builder prune`: what builds have made and no image has. */
import { mkdirSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { BuildCache } from '../../image/build-cache.ts';
import { removeTree } from '../../image/unpack/remove-tree.ts';
import { layerInUse } from '../all-containers.ts';
import { buildCacheUsage, type CacheUsage } from '../build-cache-usage.ts';
import { ownName } from '../state.ts';
import { type Pruned, type PruneRequest, recordPrune } from './prune.ts';

/**
 * Forgets steps and takes their layers away, unless an image has them: with `allImages` its steps are forgotten too. `keep`:
 * bytes of what was used last that stay. While something is built, pulled or made nothing is removed.
 */
export function pruneBuildCache(request: PruneRequest, keep = 0): Pruned {
  const { containers, images, filter, allImages, onNotice } = request;
  const cache = new BuildCache(images.root, images.layers);
  const pruned: Pruned = { deleted: [], reclaimed: 0 };
  const usage = buildCacheUsage(images);
  const present = new Set(usage.map(({ id }) => id));
  const exclusive = images.layers.tryExclusive();
  if (exclusive === undefined) {
    if (usage.length > 0) onNotice('the build cache stays: something is built, pulled or created at this moment');
    return pruned;
  }
  // Set aside here, and deleted when builds may go on.
  const aside = join(cache.directory, `.tmp-${ownName()}`);
  try {
    cache.remotes.forget(filter.until);
    for (const { key } of cache.records()) if (!present.has(key)) cache.remove(key);
    for (const { id, type, size } of beyond(usage.filter(mayGo), keep)) {
      if (type === 'regular') cache.remove(id);
      else {
        mkdirSync(aside, { recursive: true, mode: 0o700 });
        renameSync(join(cache.mountDirectory, id), join(aside, id));
        pruned.reclaimed += size;
      }
      pruned.deleted.push(id);
    }
  } finally {
    exclusive.release();
    removeTree(aside);
  }
  pruned.reclaimed += images.removeOrphans(layerInUse(containers), cache.layersInUse());
  recordPrune(containers, 'builder', pruned);
  return pruned;

  function mayGo({ used, shared }: CacheUsage): boolean {
    return (allImages || !shared) && (filter.until === undefined || used < filter.until);
  }
}

/** What does not fit into `keep` bytes; what was used last stays. */
function beyond(usage: readonly CacheUsage[], keep: number): CacheUsage[] {
  let room = keep;
  return usage
    .toSorted((a, b) => b.used - a.used)
    .filter(({ size, shared }) => {
      if (keep === 0) return true;
      room -= shared ? 0 : size;
      return room < 0;
    });
}
