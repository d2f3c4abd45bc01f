/** `volume prune`: volumes that no container has, and what killed commands left of others. */
import { directorySize } from '../directory-size.ts';
import { VolumeStore } from '../volumes/store.ts';
import { volumeUsers } from '../volumes/users.ts';
import { mayPrune } from './filter.ts';
import { type Pruned, type PruneRequest, recordPrune } from './prune.ts';

/** Removes volumes. Throws `CORRUPT` for a damaged container: it may name any of them. */
export function pruneVolumes({ containers, filter }: PruneRequest): Pruned {
  const volumes = new VolumeStore(containers.root);
  const pruned: Pruned = { deleted: [], reclaimed: 0 };
  volumes.sweep();
  const used = volumeUsers(containers);
  for (const { record, mountPoint } of volumes.list()) {
    const { name } = record;
    if (used.has(name) || !mayPrune(filter, record)) continue;
    // Whoever has its lock is making a container with it.
    const lock = volumes.lock(name, false);
    if (lock === undefined) continue;
    try {
      if (volumeUsers(containers).has(name)) continue;
      const size = directorySize(mountPoint);
      volumes.remove(name);
      pruned.deleted.push(name);
      pruned.reclaimed += size;
    } finally {
      lock.release();
    }
  }
  recordPrune(containers, 'volume', pruned);
  return pruned;
}
