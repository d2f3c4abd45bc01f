/** Keeps compiled filters in a directory, so that a start does not pay the few milliseconds that compiling takes. */
import { mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { sha256 } from '../../linux/hash.ts';
import { readOwn } from '../../linux/own-file.ts';
import type { Architecture } from '../../linux/syscalls.ts';
import { stringifyExactJson } from '../json.ts';
import type { LinuxSeccomp } from '../spec.ts';
import { compileSeccomp } from './compile.ts';

/** Raised when compile.ts makes another filter of the same profile: old files are then not looked at any more. */
const COMPILER_VERSION = 1;
const DIGEST_LENGTH = 32;

/**
 * `compileSeccomp`, from `directory` where the same profile was compiled before. Files are named by the profile's
 * digest and begin with their content's: one that is not whole is made again. Where the directory cannot be written,
 * nothing is kept.
 */
export function compileSeccompCached(profile: LinuxSeccomp, architecture: Architecture, directory: string): Uint8Array {
  const key = sha256(Buffer.from(`${COMPILER_VERSION} ${architecture} ${stringifyExactJson(profile)}`)).toString('hex');
  const path = join(directory, key);
  const kept = read(path);
  if (kept !== undefined) return kept;
  const filter = compileSeccomp(profile, architecture);
  keep(directory, path, filter);
  return filter;
}

/** A full or read-only disk must not keep a container from starting: errors only mean that nothing is kept. */
function keep(directory: string, path: string, filter: Uint8Array): void {
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

function read(path: string): Uint8Array | undefined {
  let file: Buffer;
  try {
    file = readOwn(path);
  } catch {
    return undefined;
  }
  const filter = file.subarray(DIGEST_LENGTH);
  return sha256(filter).equals(file.subarray(0, DIGEST_LENGTH)) ? filter : undefined;
}
