/** The image that a container or a build is to be made from: the one that is here, or pulled. */
import { TsrunError } from '../error.ts';
// Not by way of its index: most starts need no HTTP and no unpacking, which take milliseconds to load.
import type { PullEvent } from '../image/events.ts';
import { parsePlatform, platformMatches } from '../image/platform.ts';
import { familiarName, parseReference } from '../image/reference.ts';
import type { ImageStore, StoredImage } from '../image/store.ts';
import type { RunOptions } from './run-options.ts';

export interface PullIo {
  /** Called before a pull that a missing image makes necessary; returns where its events go. */
  pulling(reference: string): (event: PullEvent) => void;
  signal?: AbortSignal;
}

/** Finds it, or pulls it when the options say so. Throws `NOT_FOUND` where it may not, and what a pull throws. */
export async function ensureImage(
  images: ImageStore,
  options: Pick<RunOptions, 'image' | 'pull' | 'platform'>,
  io: PullIo,
): Promise<StoredImage> {
  const present = images.resolve(options.image);
  const wanted = options.platform === undefined ? undefined : parsePlatform(options.platform);
  const fits = present !== undefined && (wanted === undefined || platformMatches(wanted, present.platform));
  if (fits && options.pull !== 'always') return present;
  if (options.pull === 'never') {
    throw new TsrunError('NOT_FOUND', `No such image: ${familiarName(parseReference(options.image))}`, {
      hint: `tsrun pull ${options.image} gets it; --pull=missing does so by itself`,
    });
  }
  const [{ pull }, { recordPull }] = await Promise.all([import('../image/pull.ts'), import('./image-events.ts')]);
  const reference = parseReference(options.image);
  const image = await pull(images, reference, {
    ...(wanted === undefined ? {} : { platform: wanted }),
    onProgress: io.pulling(options.image),
    ...(io.signal === undefined ? {} : { signal: io.signal }),
  });
  recordPull(images.root, image, reference);
  return image;
}
