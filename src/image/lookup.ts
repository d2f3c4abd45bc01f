/** What `text` on a command line means among the images of a catalogue. */
import { TsrunError } from '../error.ts';
import type { Catalogue } from './catalogue.ts';
import { type Digest, digestHex, isDigest } from './digest.ts';
import { familiarName, formatReference, parseReference } from './reference.ts';

export interface FoundImage {
  id: Digest;
  /** The full name, where a name was what was given. */
  reference?: string;
}

/**
 * The image that `text` means: docker's order is a full id, a name (its digest rules over its tag), the beginning of an id.
 * Throws `CONFLICT` for a beginning of several ids, `INVALID_REFERENCE` for what can be neither name nor id.
 */
export function findImage(catalogue: Catalogue, text: string): FoundImage | undefined {
  const fullId = /^[a-f0-9]{64}$/.test(text) ? `sha256:${text}` : text;
  if (isDigest(fullId)) return catalogue.images.has(fullId) ? { id: fullId } : undefined;

  let invalid: unknown;
  try {
    const { tag, ...reference } = parseReference(text);
    const name = formatReference(
      reference.digest === undefined && tag !== undefined ? { ...reference, tag } : reference,
    );
    const id = catalogue.references.get(name);
    if (id !== undefined) return { id, reference: name };
  } catch (error) {
    invalid = error;
  }

  const prefix = text.startsWith('sha256:') ? text.slice('sha256:'.length) : text;
  if (/^[a-f0-9]{1,64}$/.test(prefix)) {
    const matches = [...catalogue.images.keys()].filter((id) => digestHex(id).startsWith(prefix));
    if (matches.length > 1) {
      throw new TsrunError('CONFLICT', `multiple IDs found with provided prefix: ${text}`, {
        hint: 'give more digits of the id',
      });
    }
    if (matches[0] !== undefined) return { id: matches[0] };
  }
  if (invalid !== undefined) throw invalid;
  return undefined;
}

/** The error for a name that nothing has; docker names the tag that it looked for, in `save` what was typed. */
export function noSuchImage(text: string, naming: 'full' | 'typed' = 'full'): TsrunError {
  let name = text;
  try {
    if (naming === 'full') name = familiarName(parseReference(text));
  } catch {
    // an id: as it was typed
  }
  return new TsrunError('NOT_FOUND', `No such image: ${name}`, { hint: 'tsrun images lists all images' });
}
