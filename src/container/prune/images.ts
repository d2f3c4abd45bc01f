/** `image prune`: images that have no name, or with `allImages` those that no container is made from. */
import { TsrunError } from '../../error.ts';
import { BuildCache } from '../../image/build-cache.ts';
import type { Removal } from '../../image/removal.ts';
import type { StoredImage } from '../../image/store.ts';
import { allContainers, layerInUse } from '../all-containers.ts';
import { removeImage, type Stores } from '../remove-image.ts';
import { mayPrune } from './filter.ts';
import { type Pruned, type PruneRequest, recordPrune } from './prune.ts';

/** Removes images, and layers that neither an image nor the build cache has, as a killed pull may leave. One that is used meanwhile stays. */
export function pruneImages(request: PruneRequest): Pruned {
  const { containers, images, filter, allImages } = request;
  const pruned: Pruned = { deleted: [], reclaimed: 0 };
  const used = new Set(allContainers(containers).map(({ record }) => record.image.id));
  for (const image of images.list()) {
    // A digest alone is no name that anybody would miss (docker's rule).
    if (used.has(image.id) || (!allImages && image.references.length > 0)) continue;
    if (!mayPrune(filter, { created: image.created, labels: labelsOf(image, filter) })) continue;
    const sizes = new Map<string, number>(image.layers.map((layer) => [layer.chainId, layer.bytes]));
    try {
      for (const removal of removeWhole(request, image)) {
        pruned.deleted.push('untagged' in removal ? `untagged: ${removal.untagged}` : `deleted: ${removal.deleted}`);
        if ('deleted' in removal) pruned.reclaimed += sizes.get(removal.deleted) ?? 0;
      }
    } catch (error) {
      // Used, renamed or removed meanwhile.
      if (!(error instanceof TsrunError) || (error.code !== 'CONFLICT' && error.code !== 'NOT_FOUND')) throw error;
    }
  }
  const cached = new BuildCache(images.root, images.layers).layersInUse();
  pruned.reclaimed += images.removeOrphans(layerInUse(containers), cached);
  recordPrune(containers, 'image', pruned);
  return pruned;
}

/** The config is read only where labels are asked for. */
function labelsOf(image: StoredImage, { labels, withoutLabels }: PruneRequest['filter']): Record<string, string> {
  return labels.length + withoutLabels.length === 0 ? {} : image.config.execution.labels;
}

/** One name after the other, without force: a container that is made meanwhile keeps its image. */
function removeWhole(stores: Stores, image: StoredImage): Removal[] {
  const removals: Removal[] = [];
  for (const name of [...image.references, ...image.repoDigests]) {
    if (stores.images.resolve(name)?.id === image.id) removals.push(...removeImage(stores, name, false));
  }
  if (stores.images.resolve(image.id) !== undefined) removals.push(...removeImage(stores, image.id, false));
  return removals;
}
