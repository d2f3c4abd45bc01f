/** Removing an image or a name of it with regard to containers, and with docker's events: for `rmi` and `image prune`. */

import type { Removal } from '../image/removal.ts';
import type { ImageStore } from '../image/store.ts';
import { isUp } from './active.ts';
import { allContainers, layerInUse } from './all-containers.ts';
import { labelsOf, recordImageEvent } from './image-events.ts';
import type { ContainerStore } from './store.ts';

export interface Stores {
  containers: ContainerStore;
  images: ImageStore;
}

/** Removes what `text` means. Throws `NOT_FOUND`, `CONFLICT`. */
export function removeImage({ containers, images }: Stores, text: string, force: boolean): Removal[] {
  const found = images.resolve(text);
  const labels = found === undefined ? {} : labelsOf(images, found.id);
  const removals = images.remove(text, {
    force,
    usersOf: (id) =>
      // Looked up when the store asks, under its lock: a container may have been made a moment ago.
      allContainers(containers)
        .filter(({ record }) => record.image.id === id)
        .map(({ record, state }) => ({ id: record.id, running: isUp(state) })),
    layerInUse: layerInUse(containers),
  });
  for (const removal of removals) {
    if ('untagged' in removal) {
      if (found !== undefined) recordImageEvent(images.root, 'untag', found.id, found.id, labels);
    } else if (removal.deleted === found?.id) recordImageEvent(images.root, 'delete', found.id, found.id);
  }
  return removals;
}
