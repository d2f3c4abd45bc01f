/** What a `RUN --mount` reads, and what of that counts for the cache. */
import { createHash } from '../linux/hash.ts';
import type { RunMount } from './dockerfile/run-mount.ts';
import type { SourceFiles } from './source-files.ts';

export interface MountRequest {
  mount: RunMount;
  /** Of what `from` names, or the context; undefined for mounts without a source. */
  files: SourceFiles | undefined;
}

/** Digest of what a mount reads, for the key of the cache; the content of caches and secrets does not count. */
export function mountKey({ mount, files }: MountRequest): unknown {
  if (mount.type !== 'bind' || files === undefined) return mount;
  const hash = createHash('sha256');
  for (const entry of files.find(mount.source === '' ? '/' : mount.source)) {
    for (const item of files.items(entry)) {
      hash.update(JSON.stringify([item.relative]));
      files.hash(hash, item);
    }
  }
  return { ...mount, digest: hash.digest('hex') };
}
