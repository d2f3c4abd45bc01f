/** `tsrun tag`: another name for an image. */
import { recordTag } from '../../container/image-events.ts';
import { TsrunError } from '../../error.ts';
import { parseReference, type Reference } from '../../image/reference.ts';
import { ImageStore } from '../../image/store.ts';
import type { Command } from '../command.ts';

export const tag: Command = {
  usage: 'SOURCE_IMAGE[:TAG] TARGET_IMAGE[:TAG]',
  description: 'Create a tag TARGET_IMAGE that refers to SOURCE_IMAGE',
  flags: [],
  args: { min: 2, max: 2 },
  async run({ args: [source = '', target = ''] }) {
    if (!/^(sha256:)?[0-9a-f]{64}$/.test(source)) parse(source);
    const reference = parse(target);
    const images = new ImageStore();
    images.tag(source, reference);
    recordTag(images.root, images.require(target), reference);
    return 0;
  },
};

/** Docker says which of the two it is. */
function parse(text: string): Reference {
  try {
    return parseReference(text);
  } catch (error) {
    if (!(error instanceof TsrunError)) throw error;
    const message = `Error parsing reference: ${JSON.stringify(text)} is not a valid repository/tag: ${error.message}`;
    throw new TsrunError('INVALID_REFERENCE', message, { hint: error.hint });
  }
}
