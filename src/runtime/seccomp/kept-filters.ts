/** Keeps compiled filters in a directory, so that a start does not pay the few milliseconds that compiling takes. */
import { mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { sha256 } from '../../linux/hash.ts';
import { readOwn } from '../../linux/own-file.ts';

const DIGEST_LENGTH = 32;

/**
 * Keeps a filter under a name that says all it depends on. A full or read-only disk must not keep a container from
 * starting: errors only mean that nothing is kept.
 */
export function keepFilter(directory: string, name: string, filter: Uint8Array): void {
  const path = join(directory, name);
  const temporary = `${path}.${process.pid}`;
  try {
    mkdirSync(directory, { recursive: true, mode: 0o700 });
  } catch {
    return;
  }
  try {
    writeFileSync(temporary, Buffer.concat([sha256(filter), filter]), { mode: 0o600 });
    renameSync(temporary, path);
  } catch {
    rmSync(temporary, { force: true });
  }
}

/** The filter of that name; undefined where there is none, or one that is not whole: files begin with their content's digest. */
export function readFilter(directory: string, name: string): Uint8Array | undefined {
  let file: Buffer;
  try {
    file = readOwn(join(directory, name));
  } catch {
    return undefined;
  }
  const filter = file.subarray(DIGEST_LENGTH);
  return sha256(filter).equals(file.subarray(0, DIGEST_LENGTH)) ? filter : undefined;
}
