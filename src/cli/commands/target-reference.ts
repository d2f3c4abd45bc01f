/** The name that a new image gets: a repository with a tag, never a digest. */
import { TsrunError } from '../../error.ts';
import { parseReference, type Reference } from '../../image/reference.ts';

/** Reads it; nothing means no name. Throws `INVALID_REFERENCE`, `USAGE`. */
export function parseTarget(text: string | undefined): Reference | undefined {
  if (text === undefined || text === '') return undefined;
  const reference = parseReference(text);
  if (reference.digest !== undefined) {
    throw new TsrunError('USAGE', 'refusing to create a tag with a digest reference', {
      hint: 'write NAME:TAG without @sha256:…',
    });
  }
  return reference;
}
