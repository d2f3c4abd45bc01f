/**
 * The seccomp filter that a container runs under, as its start loaded it: what joins the container later gets the same
 * one, also when the profile was a file that has changed since.
 */
import { renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { codeOf } from '../error.ts';
import { readOwn } from '../linux/own-file.ts';

const name = 'seccomp.bpf';

/** Writes classic BPF into the container's directory; an empty file for none. */
export function keepFilter(directory: string, filter: Uint8Array | undefined): void {
  const path = join(directory, name);
  writeFileSync(`${path}.${process.pid}`, filter ?? '', { mode: 0o600 });
  renameSync(`${path}.${process.pid}`, path);
}

/** The filter, 'none' where the container has none, undefined where it is not known. */
export function readKeptFilter(directory: string): Uint8Array | 'none' | undefined {
  try {
    const filter = readOwn(join(directory, name));
    return filter.length === 0 ? 'none' : filter;
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}
