/** Pushing, as people see it: of `push`, and of `build --push`. */
import { recordPush } from '../container/image-events.ts';
import { Push, type PushedImage } from '../image/push/push.ts';
import { type Reference, repositoryName } from '../image/reference.ts';
import type { ImageStore, StoredImage } from '../image/store.ts';
import { showPull } from './pull-progress.ts';

export interface ImagePush {
  /** An image and its names in one repository, which is `repository`'s. */
  images: readonly { image: StoredImage; tagged: Reference }[];
  repository: Reference;
  /** Where progress is shown. */
  shownOn: 1 | 2;
  quiet: boolean;
  signal: AbortSignal;
  /** --cert-dir. */
  certificates?: string | undefined;
}

/** Pushes one after the other. Throws as `Push` does. */
export async function pushImages(store: ImageStore, push: ImagePush): Promise<PushedImage[]> {
  const { images, repository, signal, certificates } = push;
  const onProgress = showPull(push.shownOn, push.quiet);
  const session = new Push(store, repository, { signal, certificates, onProgress });
  onProgress({ kind: 'begin', repository: repositoryName(repository) });
  return session.run(async () => {
    const pushed: PushedImage[] = [];
    for (const { image, tagged } of images) {
      pushed.push(await session.image(image, tagged.tag ?? 'latest'));
      recordPush(store.root, image, tagged);
    }
    return pushed;
  });
}
