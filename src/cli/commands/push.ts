/** `tsrun push`: upload an image. */
import { TsrunError } from '../../error.ts';
import {
  familiarName,
  familiarRepository,
  formatReference,
  hasTagOrDigest,
  parseReference,
  type Reference,
  repositoryName,
} from '../../image/reference.ts';
import { ImageStore, type StoredImage } from '../../image/store.ts';
import type { Command } from '../command.ts';
import { beginInterruption } from '../interrupt.ts';
import { checkPlatform, platformFlag } from '../options/platform.ts';
import { print } from '../output.ts';
import { pushImages } from '../push-images.ts';
import { certificatesFlag, certificatesOf } from './registry-flags.ts';

export const push: Command = {
  usage: '[OPTIONS] NAME[:TAG]',
  description: 'Upload an image to a registry',
  flags: [
    { name: 'all-tags', short: 'a', type: 'bool', description: 'Push all tags of the repository' },
    certificatesFlag,
    { name: 'disable-content-trust', type: 'bool', description: 'No effect', hidden: true },
    platformFlag,
    { name: 'quiet', short: 'q', type: 'bool', description: "Print the image's name only" },
  ],
  args: { min: 1, max: 1 },
  async run({ flags, args: [name = ''] }) {
    const quiet = flags.boolean('quiet');
    const all = flags.boolean('all-tags');
    const reference = parseReference(name);
    const tagGiven = hasTagOrDigest(name);
    if (all && tagGiven) throw new TsrunError('USAGE', "tag can't be used with --all-tags/-a");
    if (reference.digest !== undefined) {
      throw new TsrunError('USAGE', 'cannot push a digest reference', { hint: 'give the image a tag: tsrun tag' });
    }
    if (!quiet && !all && !tagGiven) print(`Using default tag: ${reference.tag}\n`);
    const certificates = certificatesOf(flags);
    const store = new ImageStore();
    const wanted = imagesToPush(store, reference, all);
    for (const { image, tagged } of wanted) checkPlatform(flags, image, familiarName(tagged));
    const signal = beginInterruption();
    await pushImages(store, { images: wanted, repository: reference, shownOn: 1, quiet, signal, certificates });
    if (quiet) print(`${all ? repositoryName(reference) : formatReference(reference)}\n`);
    return 0;
  },
};

/** Throws `NOT_FOUND` in docker's words. */
function imagesToPush(
  store: ImageStore,
  reference: Reference,
  all: boolean,
): { image: StoredImage; tagged: Reference }[] {
  const found = store.list().flatMap((image) =>
    image.references
      .map(parseReference)
      .filter((name) => repositoryName(name) === repositoryName(reference))
      .map((tagged) => ({ image, tagged })),
  );
  const hint = 'tsrun images lists all images; tsrun tag IMAGE NAME gives one a name';
  if (found.length === 0) {
    const text = `An image does not exist locally with the tag: ${familiarRepository(reference)}`;
    throw new TsrunError('NOT_FOUND', text, { hint });
  }
  const wanted = all ? found : found.filter(({ tagged }) => tagged.tag === reference.tag);
  if (wanted.length === 0) {
    throw new TsrunError('NOT_FOUND', `tag does not exist: ${familiarName(reference)}`, { hint });
  }
  return wanted.sort((a, b) => ((a.tagged.tag ?? '') < (b.tagged.tag ?? '') ? -1 : 1));
}
