/** `volume prune`: volumes that no container has. */
import { dirname } from 'node:path';
import { removeTree } from '../../image/unpack/remove-tree.ts';
import { volumeUsage } from '../volume-usage.ts';
import { mayPrune } from './filter.ts';
import type { Pruned, PruneRequest } from './prune.ts';

/** Removes volumes. A damaged record may name any of them: then none is removed. */
export function pruneVolumes({ containers, filter }: PruneRequest): Pruned {
  const all = containers.list((error) => {
    throw error;
  });
  const pruned: Pruned = { deleted: [], reclaimed: 0 };
  for (const volume of volumeUsage(containers.root, all)) {
    if (volume.links > 0 || !mayPrune(filter, volume)) continue;
    const { size } = volume;
    removeTree(dirname(volume.mountPoint));
    pruned.deleted.push(volume.name);
    pruned.reclaimed += size;
  }
  return pruned;
}
