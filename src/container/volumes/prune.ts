/** `volume prune`: volumes that no container has, and what killed commands left of others. */
import { directorySize } from '../directory-size.ts';
import type { ContainerStore } from '../store.ts';
import type { Volume, VolumeStore } from './store.ts';
import { volumeUsers } from './users.ts';

export interface PrunedVolumes {
  /** Names. */
  deleted: string[];
  /** Bytes. */
  reclaimed: number;
}

/** Removes the unused volumes that `wanted` lets go. Throws `CORRUPT` for a damaged container: it may name any of them. */
export function pruneVolumes(
  volumes: VolumeStore,
  containers: ContainerStore,
  wanted: (volume: Volume) => boolean,
): PrunedVolumes {
  const pruned: PrunedVolumes = { deleted: [], reclaimed: 0 };
  volumes.sweep();
  const used = volumeUsers(containers);
  for (const volume of volumes.list()) {
    const { name } = volume.record;
    if (used.has(name) || !wanted(volume)) continue;
    // Whoever has its lock is making a container with it.
    const lock = volumes.lock(name, false);
    if (lock === undefined) continue;
    try {
      if (volumeUsers(containers).has(name)) continue;
      const size = directorySize(volume.mountPoint);
      volumes.remove(name);
      pruned.deleted.push(name);
      pruned.reclaimed += size;
    } finally {
      lock.release();
    }
  }
  return pruned;
}
