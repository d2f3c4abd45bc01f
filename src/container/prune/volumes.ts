/** `volume prune`: volumes that no container has. */
import { renameSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { removeTree } from '../../image/unpack/remove-tree.ts';
import { O_DIRECTORY, O_RDONLY } from '../../linux/constants.ts';
import { AT_FDCWD, close, flock, openat } from '../../linux/fs.ts';
import type { Container } from '../record.ts';
import type { ContainerStore } from '../store.ts';
import { volumeUsage } from '../volume-usage.ts';
import { mayPrune } from './filter.ts';
import type { Pruned, PruneRequest } from './prune.ts';

/** Removes volumes. A damaged record may name any of them: then none is removed. */
export function pruneVolumes({ containers, filter }: PruneRequest): Pruned {
  const pruned: Pruned = { deleted: [], reclaimed: 0 };
  for (const volume of volumeUsage(containers.root, allContainers(containers))) {
    if (volume.links > 0 || !mayPrune(filter, volume)) continue;
    const { name, size } = volume;
    if (!removeVolume(containers, name, dirname(volume.mountPoint))) continue;
    pruned.deleted.push(name);
    pruned.reclaimed += size;
  }
  return pruned;
}

function allContainers(containers: ContainerStore): Container[] {
  return containers.list((error) => {
    throw error;
  });
}

/** Whoever makes a container with a volume has its lock (flock on its directory) until the container's record names it. */
function removeVolume(containers: ContainerStore, name: string, directory: string): boolean {
  const fd = openat(AT_FDCWD, directory, O_RDONLY | O_DIRECTORY);
  try {
    if (!flock(fd, 'exclusive', false)) return false;
    const users = volumeUsage(containers.root, allContainers(containers)).find((volume) => volume.name === name);
    if (users === undefined || users.links > 0) return false;
    const gone = join(dirname(directory), `.removing-${name}`);
    renameSync(directory, gone);
    removeTree(gone);
    return true;
  } finally {
    close(fd);
  }
}
