/** `tsrun save`: images as one archive. */
import { recordImageEvent } from '../../container/image-events.ts';
import { TsrunError } from '../../error.ts';
import {
  familiarName,
  formatReference,
  parseReference,
  type Reference,
  repositoryName,
} from '../../image/reference.ts';
import { type ArchiveFormat, saveImages } from '../../image/save.ts';
import { ImageStore, type StoredImage } from '../../image/store.ts';
import { writeArchive } from '../archive-output.ts';
import type { Command } from '../command.ts';
import { checkPlatform, platformFlag } from '../options/platform.ts';

const formats: readonly ArchiveFormat[] = ['docker-archive', 'oci-archive'];

export const save: Command = {
  usage: '[OPTIONS] IMAGE [IMAGE...]',
  description: 'Save images to a tar archive (by default to stdout)',
  flags: [
    {
      name: 'format',
      type: 'string',
      description: 'Format of the archive: docker-archive or oci-archive',
      shownDefault: '"docker-archive"',
    },
    { name: 'output', short: 'o', type: 'string', description: 'Write to a file instead of stdout' },
    platformFlag,
  ],
  args: { min: 1 },
  async run({ flags, args }) {
    const given = flags.string('format') ?? 'docker-archive';
    const format = formats.find((name) => name === given);
    if (format === undefined) {
      throw new TsrunError('USAGE', `unknown format ${JSON.stringify(given)}`, {
        hint: `there are ${formats.join(', ')}`,
      });
    }
    const store = new ImageStore();
    // No layer may go while it is being read.
    const hold = store.hold();
    let images: WantedImage[];
    try {
      images = wanted(store, args);
      for (const { image, references } of images)
        checkPlatform(flags, image, references[0] === undefined ? image.id : familiarName(references[0]));
      writeArchive(flags.string('output'), 'save image', (sink) => saveImages(store, images, format, sink));
    } finally {
      hold.release();
    }
    for (const { image } of images) recordImageEvent(store.root, 'save', image.id, image.id);
    return 0;
  },
};

interface WantedImage {
  image: StoredImage;
  references: Reference[];
}

/** Each image once, with the names it was asked for by; a repository without a tag means all of its tags, as in docker. */
function wanted(store: ImageStore, texts: readonly string[]): WantedImage[] {
  const found = new Map<string, { image: StoredImage; names: Set<string> }>();
  const add = (image: StoredImage, name: string | undefined): void => {
    const entry = found.get(image.id) ?? { image, names: new Set<string>() };
    found.set(image.id, entry);
    if (name !== undefined) entry.names.add(name);
  };
  for (const text of texts) {
    const names = tagsOf(store, text);
    if (names.length === 0) add(store.require(text, 'typed'), undefined);
    for (const name of names) add(store.require(name), name);
  }
  return [...found.values()].map(({ image, names }) => ({ image, references: [...names].sort().map(parseReference) }));
}

/** Full names with a tag that `text` means; none for an id and for a digest. */
function tagsOf(store: ImageStore, text: string): string[] {
  if (/^(sha256:)?[0-9a-f]{64}$/.test(text)) return [];
  const reference = parseReference(text);
  if (reference.digest !== undefined) return [];
  const all = store.list().flatMap((image) => image.references);
  if (/:[^/]*$/.test(text)) return all.filter((name) => name === formatReference(reference));
  return all.filter((name) => repositoryName(parseReference(name)) === repositoryName(reference)).sort();
}
