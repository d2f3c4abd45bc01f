/**
 * Which blobs a layer is known to be in registries: the one that it was pulled as, and those that it was pushed as. Compressors
 * differ, and so do their digests: what a registry may have already can only be asked for by what somebody once called it.
 *
 *     layers/<chain id>/pushed.json   {"version": 1, "blobs": [{"digest", "mediaType", "size", "repositories"}]}
 */
import { renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { readOwnText } from '../../linux/own-file.ts';
import type { StoredLayer } from '../catalogue.ts';
import { type Digest, isDigest } from '../digest.ts';
import { parseJson } from '../json.ts';
import type { LayerStore } from '../layers.ts';
import type { Descriptor } from '../manifest.ts';

export interface KnownBlob extends Descriptor {
  /** `docker.io/library/debian`: those that had it, the last one first. */
  repositories: string[];
}

const maxBlobs = 8;
const maxRepositories = 50;

const pathOf = (layers: LayerStore, chainId: Digest): string => join(layers.base(chainId), 'pushed.json');

/** What was written down; nothing where there is no such file, or a damaged one. */
function readPushed(path: string): KnownBlob[] {
  try {
    const json = parseJson(readOwnText(path), { name: path, code: 'CORRUPT' });
    return json
      .get('blobs')
      .array(maxBlobs)
      .flatMap((blob) => {
        const digest = blob.get('digest').string(200);
        if (!isDigest(digest)) return [];
        const repositories = blob.get('repositories').strings(maxRepositories);
        return [{ digest, mediaType: blob.get('mediaType').string(), size: blob.get('size').size(), repositories }];
      });
  } catch {
    return [];
  }
}

/** All that is known of a layer of an image, best first: the blob that the image's own manifest names. */
export function knownBlobs(layers: LayerStore, layer: StoredLayer): KnownBlob[] {
  const { digest, mediaType, size, chainId } = layer;
  const source = layers.record(chainId)?.source ?? '';
  const pulledFrom = source.includes('/') ? [source] : [];
  const blobs = readPushed(pathOf(layers, chainId));
  const own = blobs.find((blob) => blob.digest === digest);
  const others = blobs.filter((blob) => blob !== own);
  const repositories = [...new Set([...(own?.repositories ?? []), ...pulledFrom])];
  // What was made here is called by its archive's digest: no registry has that.
  if (repositories.length === 0 && digest === layer.diffId) return others;
  return [{ digest, mediaType, size, repositories }, ...others];
}

/** Writes down that `repository` has the layer as this blob. That it cannot be written is no reason to fail. */
export function rememberBlob(layers: LayerStore, chainId: Digest, blob: Descriptor, repository: string): void {
  const path = pathOf(layers, chainId);
  const before = readPushed(path);
  const known = before.find(({ digest }) => digest === blob.digest);
  if (known?.repositories[0] === repository && before[0] === known) return;
  const repositories = [repository, ...(known?.repositories ?? []).filter((name) => name !== repository)];
  const { digest, mediaType, size } = blob;
  const first = { digest, mediaType, size, repositories: repositories.slice(0, maxRepositories) };
  const blobs = [first, ...before.filter((other) => other !== known)].slice(0, maxBlobs);
  const temporary = `${path}.${process.pid}`;
  try {
    writeFileSync(temporary, `${JSON.stringify({ version: 1, blobs })}\n`, { mode: 0o600 });
    renameSync(temporary, path);
  } catch {
    rmSync(temporary, { force: true });
  }
}
