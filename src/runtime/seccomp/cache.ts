/** `compileSeccomp` for any profile, with what was compiled before. */
import { sha256 } from '../../linux/hash.ts';
import type { Architecture } from '../../linux/syscalls.ts';
import { stringifyExactJson } from '../json.ts';
import type { LinuxSeccomp } from '../spec.ts';
import { compileSeccomp } from './compile.ts';
import { keepFilter, readFilter } from './kept-filters.ts';

/** Raised when compile.ts makes another filter of the same profile: old files are then not looked at any more. */
const COMPILER_VERSION = 1;

/**
 * `compileSeccomp`, from `directory` where the same profile was compiled before: files are named by the profile's digest.
 * Where the directory cannot be written, nothing is kept.
 */
export function compileSeccompCached(profile: LinuxSeccomp, architecture: Architecture, directory: string): Uint8Array {
  const name = sha256(Buffer.from(`${COMPILER_VERSION} ${architecture} ${stringifyExactJson(profile)}`)).toString(
    'hex',
  );
  const kept = readFilter(directory, name);
  if (kept !== undefined) return kept;
  const filter = compileSeccomp(profile, architecture);
  keepFilter(directory, name, filter);
  return filter;
}
