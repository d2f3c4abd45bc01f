/** The default filter, which nearly every container has: found again without its profile, whose reading takes a start its time. */
import { sha256 } from '../../linux/hash.ts';
import type { Architecture } from '../../linux/syscalls.ts';
import { keepFilter, readFilter } from './kept-filters.ts';

/**
 * Raised when the default profile or the compiler changes, since the name of a kept filter knows of neither. A test has the
 * digest of what this version stands for.
 */
export const DEFAULT_FILTER_VERSION = 1;

/** The default profile for these capabilities (the bounding set), compiled; from `directory` where it was compiled before. */
export async function defaultFilter(
  capabilities: readonly string[],
  architecture: Architecture,
  directory: string,
): Promise<Uint8Array> {
  const depends = ['default', DEFAULT_FILTER_VERSION, architecture, ...[...capabilities].sort()].join(' ');
  const name = sha256(Buffer.from(depends)).toString('hex');
  const kept = readFilter(directory, name);
  if (kept !== undefined) return kept;
  const { compileSeccomp, defaultSeccompProfile } = await import('./index.ts');
  const filter = compileSeccomp(defaultSeccompProfile(capabilities, { architecture }), architecture);
  keepFilter(directory, name, filter);
  return filter;
}
