/** When the executable's place in the page cache is looked at (page-cache.ts), which each command asks at its end. */
import { lstatSync } from 'node:fs';
import { join } from 'node:path';
import { stateDirectory } from '../linux/paths.ts';

/** A file whose time of change is when the next look is due, and which has a byte for each attempt since all was well. */
export function notePath(): string {
  return join(stateDirectory(), 'executable-pages');
}

/** Whether it is time to look. Costs one lstat(2); false for who may not write the note, and where there is no state yet. */
export function isLookDue(): boolean {
  if (process.getuid?.() !== 0) return false;
  const note = lstatSync(notePath(), { throwIfNoEntry: false });
  if (note !== undefined) return note.mtimeMs < Date.now();
  return lstatSync(stateDirectory(), { throwIfNoEntry: false }) !== undefined;
}
