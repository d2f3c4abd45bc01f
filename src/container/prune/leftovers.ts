/** What killed processes left: containers that nobody cleaned up after, and things that were never finished. */
import { existsSync, readdirSync, statSync, unlinkSync } from 'node:fs';
import { join } from 'node:path';
import { findCgroup2, isPopulated, removeCgroup } from '../../cgroup/index.ts';
import { messageOf } from '../../error.ts';
import { findStale, removeStale } from '../../network/index.ts';
import { layerInUse } from '../all-containers.ts';
import { sweepExecs } from '../exec-directory.ts';
import { forgetLayers } from '../layer-mounts.ts';
import { liveIds } from '../live.ts';
import { sweep } from '../reap.ts';
import type { ContainerStore } from '../store.ts';
import type { PruneRequest } from './prune.ts';

/** Milliseconds after which what is being made has lost its maker: making it takes a few of them. */
const unfinishedAge = 60_000;

/** Cleans up after what was killed; each part of it may have been done before. */
export function pruneLeftovers({ containers, images, onNotice }: PruneRequest): void {
  const parts: (() => void)[] = [
    () => sweep(containers, onNotice),
    () => containers.ids().forEach((id) => void sweepExecs(containers, id)),
    () => staleCgroups(containers).forEach(removeCgroup),
    () => {
      if (findStale(liveIds(containers)).length > 0) removeStale(() => liveIds(containers));
    },
    () => {
      for (const name of lostNames(containers)) unlinkSync(join(containers.root, 'names', name));
    },
    () => images.layers.sweep(),
    () => forgetLayers(containers.state, (hex) => existsSync(join(images.layers.directory, hex))),
    () => images.collectGarbage(layerInUse(containers)),
  ];
  for (const part of parts) {
    try {
      part();
    } catch (error) {
      onNotice(`cannot clean up: ${messageOf(error)}`);
    }
  }
}

function entries(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch {
    return [];
  }
}

/** Whether it was made, or changed, so long ago that nobody is at work on it. */
function isOld(path: string, now = Date.now()): boolean {
  return now - (statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? now) > unfinishedAge;
}

/** Directories of containers whose `create` was killed, and long ago. */
export function unfinishedContainers(root: string): string[] {
  return entries(join(root, 'containers'))
    .filter((name) => name.startsWith('.creating-'))
    .map((name) => join(root, 'containers', name))
    .filter((path) => isOld(path));
}

/** Cgroups without processes that no container has. Those of other data roots are not told from ours: only old ones. */
export function staleCgroups(store: ContainerStore): string[] {
  const mount = findCgroup2();
  if (mount === undefined) return [];
  const live = liveIds(store);
  return entries(join(mount.mountPoint, 'tsrun'))
    .filter((name) => /^[0-9a-f]{64}$/.test(name) && !live.has(name))
    .map((name) => join(mount.mountPoint, 'tsrun', name))
    .filter((path) => !isPopulated(path) && isOld(path));
}

/** Names whose container is gone. */
export function lostNames(store: ContainerStore): string[] {
  return entries(join(store.root, 'names')).filter((name) => {
    const owner = store.nameOwner(name) ?? '';
    // In this order: its rename may fall between the two looks.
    const places = [join(store.root, 'containers', `.creating-${owner}`), store.directory(owner)];
    return !places.some((path) => existsSync(path)) && isOld(join(store.root, 'names', name));
  });
}
