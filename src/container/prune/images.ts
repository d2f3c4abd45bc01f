/** `image prune`: images that have no name, or with `allImages` those that no container is made from. */
import { TsrunError } from '../../error.ts';
import type { Removal } from '../../image/removal.ts';
import type { ImageStore, StoredImage } from '../../image/store.ts';
import type { ContainerStore } from '../store.ts';
import { mayPrune } from './filter.ts';
import type { Pruned, PruneRequest } from './prune.ts';

/** Removes images. One that a container is made from meanwhile stays. */
export function pruneImages({ containers, images, filter, allImages }: PruneRequest): Pruned {
  const pruned: Pruned = { deleted: [], reclaimed: 0 };
  const before = layerBytes(images);
  const used = new Set(containersOf(containers).map(({ record }) => record.image.id));
  for (const image of images.list()) {
    // A digest alone is no name that anybody would miss (docker's rule).
    if (used.has(image.id) || (!allImages && image.references.length > 0)) continue;
    if (!mayPrune(filter, { created: image.created, labels: labelsOf(image, filter) })) continue;
    try {
      pruned.deleted.push(...removeImage(images, containers, image).map(lineOf));
    } catch (error) {
      // Used, renamed or removed meanwhile.
      if (!(error instanceof TsrunError) || (error.code !== 'CONFLICT' && error.code !== 'NOT_FOUND')) throw error;
    }
  }
  const after = layerBytes(images);
  for (const [chainId, bytes] of before) if (!after.has(chainId)) pruned.reclaimed += bytes;
  return pruned;
}

/** All containers; what a damaged record stands on is not known, so that nothing may be removed then. */
function containersOf(containers: ContainerStore): ReturnType<ContainerStore['list']> {
  return containers.list((error) => {
    throw error;
  });
}

/** The config is read only where labels are asked for. */
function labelsOf(image: StoredImage, { labels, withoutLabels }: PruneRequest['filter']): Record<string, string> {
  return labels.length + withoutLabels.length === 0 ? {} : image.config.execution.labels;
}

function removeImage(images: ImageStore, containers: ContainerStore, image: StoredImage): Removal[] {
  return images.remove(image.id, {
    force: true,
    // Asked under the store's lock. Every container counts like a running one: force is meant for the names only.
    usersOf: (id) =>
      containersOf(containers)
        .filter(({ record }) => record.image.id === id)
        .map(({ record }) => ({ id: record.id, running: true })),
    layerInUse: (chainId) => containersOf(containers).some(({ record }) => record.image.layers.includes(chainId)),
  });
}

function lineOf(removal: Removal): string {
  return 'deleted' in removal ? `deleted: ${removal.deleted}` : `untagged: ${removal.untagged}`;
}

/** Bytes of each layer that an image has. */
function layerBytes(images: ImageStore): Map<string, number> {
  return new Map(images.list().flatMap(({ layers }) => layers.map(({ chainId, bytes }) => [chainId, bytes] as const)));
}
