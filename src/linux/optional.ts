/** Files and directories that somebody may take away at any moment: what is not there is no error. */
import { readdirSync, unlinkSync } from 'node:fs';
import { codeOf } from '../error.ts';
import { readOwnText } from './own-file.ts';

/** The text of a file; undefined where there is none. Throws what else keeps it from being read. */
export function readIfThere(path: string): string | undefined {
  return ifThere(() => readOwnText(path));
}

/** The names in a directory; none where there is no directory. */
export function namesIn(path: string): string[] {
  return ifThere(() => readdirSync(path)) ?? [];
}

/** Removes a file if it is there. Throws what else keeps it from being removed. */
export function unlinkIfThere(path: string): void {
  ifThere(() => unlinkSync(path));
}

function ifThere<T>(look: () => T): T | undefined {
  try {
    return look();
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}
