/** What killed processes left: containers that nobody cleaned up after, and files that were never finished. */
import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { removeTree } from '../../image/unpack/remove-tree.ts';
import { sweep } from '../reap.ts';
import type { PruneRequest } from './prune.ts';

/** Milliseconds after which a container that is still being made has lost its maker: making one takes a few of them. */
const unfinishedAge = 60_000;

/** Cleans up after what was killed; each part of it may have been done before. */
export function pruneLeftovers({ containers, images, onNotice }: PruneRequest): void {
  sweep(containers, onNotice);
  containers.sweepUnfinished();
  for (const path of unfinishedContainers(containers.root)) removeTree(path);
  images.layers.sweep();
  images.collectGarbage((chainId) =>
    containers
      .list((error) => {
        throw error;
      })
      .some(({ record }) => record.image.layers.includes(chainId)),
  );
}

/** Directories of containers whose `create` was killed, and long ago. */
export function unfinishedContainers(root: string, now = Date.now()): string[] {
  const directory = join(root, 'containers');
  let names: string[];
  try {
    names = readdirSync(directory);
  } catch {
    return [];
  }
  return names
    .filter((name) => name.startsWith('.creating-'))
    .map((name) => join(directory, name))
    .filter((path) => now - (statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? now) > unfinishedAge);
}
