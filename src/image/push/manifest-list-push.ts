/** Manifests at registries: looked at for `manifest create` and `inspect`, and pushed as a list of several platforms. */
import { TsrunError } from '../../error.ts';
import { maxConfigBytes } from '../config.ts';
import { type Digest, digestOf } from '../digest.ts';
import { type Json, parseJson } from '../json.ts';
import { type Descriptor, maxManifestBytes, parseManifest } from '../manifest.ts';
import { formatManifestList, type ListEntry, type ListedPlatform, type ManifestList } from '../manifest-lists.ts';
import { familiarName, familiarRepository, formatReference, parseReference, type Reference } from '../reference.ts';
import type { Push } from './push.ts';

/** A manifest or index as a registry has it. */
export interface RemoteManifest extends Descriptor {
  reference: Reference;
  bytes: Buffer;
  kind: 'manifest' | 'index';
}

const repositoryOf = (reference: Reference) => ({ path: reference.path, familiar: familiarRepository(reference) });

/** Fetches what a name means. Throws as `pull` does. */
export async function fetchManifest(session: Push, reference: Reference): Promise<RemoteManifest> {
  const { registry } = session.target;
  const what = reference.digest ?? reference.tag ?? '';
  const name = familiarName(reference);
  const fetching = session.retrying(() => registry.manifest(repositoryOf(reference), what));
  const { bytes, mediaType } = await fetching.catch((error) => {
    if (!(error instanceof TsrunError) || error.code !== 'NOT_FOUND') throw error;
    throw new TsrunError('NOT_FOUND', `no such manifest: ${name}`, { hint: error.hint, cause: error });
  });
  const json = parseJson(bytes, { name: `manifest of "${name}"`, code: 'REGISTRY' });
  const { kind } = parseManifest(bytes, mediaType, { name: `manifest of "${name}"`, code: 'REGISTRY' });
  const stated = json.get('mediaType').optionalString() ?? mediaType;
  const digest = reference.digest ?? digestOf(bytes);
  return { reference, bytes, kind, mediaType: stated, digest, size: bytes.length };
}

/** A manifest as the entry of a list, with the platform that its config names. Throws `USAGE` for what is a list itself. */
export async function fetchEntry(session: Push, reference: Reference): Promise<ListEntry> {
  const remote = await fetchManifest(session, reference);
  if (remote.kind === 'index') {
    throw new TsrunError('USAGE', `${familiarName(reference)} is a manifest list`, {
      hint: 'name the manifests in it by their digests: tsrun manifest inspect shows them',
    });
  }
  const { mediaType, digest, size } = remote;
  const platform = await fetchPlatform(session, remote);
  return { reference: formatReference(reference), mediaType, digest, size, platform };
}

/** What the config of a manifest says that it is for. */
export async function fetchPlatform(session: Push, { bytes, reference }: RemoteManifest): Promise<ListedPlatform> {
  const { registry } = session.target;
  const source = { name: `manifest of "${familiarName(reference)}"`, code: 'REGISTRY' } as const;
  const digest = parseJson(bytes, source).get('config').get('digest').string(200) as Digest;
  const config = await session.retrying(() => registry.smallBlob(repositoryOf(reference), digest, maxConfigBytes));
  const json = parseJson(config, { name: `config of "${familiarName(reference)}"`, code: 'REGISTRY' });
  const text = (name: string): string => json.get(name).optionalString() ?? '';
  return {
    architecture: text('architecture'),
    os: text('os'),
    osVersion: text('os.version'),
    osFeatures: json.get('os.features').strings(100),
    variant: text('variant'),
  };
}

/**
 * Pushes a list under `reference`: what its manifests need is mounted from where they are, then they, then the list. Throws `USAGE`
 * for a manifest of another registry. `onPushed` is told each manifest with its digest.
 */
export async function pushManifestList(
  session: Push,
  list: ManifestList,
  reference: Reference,
  onPushed: (name: string, digest: Digest) => void,
): Promise<Digest> {
  const { target } = session;
  for (const entry of list.entries) {
    const from = parseReference(entry.reference);
    if (from.domain !== reference.domain) {
      const text = `cannot use source images from a different registry than the target image: ${from.domain} != ${reference.domain}`;
      throw new TsrunError('USAGE', text, { hint: 'push these images to that registry first' });
    }
  }
  for (const entry of list.entries) {
    const from = parseReference(entry.reference);
    const remote = await fetchManifest(session, { domain: from.domain, path: from.path, digest: entry.digest });
    if (from.path !== reference.path) {
      for (const digest of blobsOf(remote)) await lend(session, digest, from.path);
    }
    await session.retrying(() => target.putManifest(entry.digest, entry.mediaType, remote.bytes));
    onPushed(formatReference({ domain: reference.domain, path: reference.path, digest: entry.digest }), entry.digest);
  }
  const { mediaType, bytes } = formatManifestList(list);
  if (bytes.length > maxManifestBytes) throw new TsrunError('USAGE', 'the manifest list is too long for registries');
  return await session.retrying(() => target.putManifest(reference.tag ?? 'latest', mediaType, bytes));
}

/** Config and layers. */
function blobsOf({ bytes, reference }: RemoteManifest): Digest[] {
  const json = parseJson(bytes, { name: `manifest of "${familiarName(reference)}"`, code: 'REGISTRY' });
  const all: Json[] = [json.get('config'), ...json.get('layers').array(1000)];
  return all.map((blob) => blob.get('digest').string(200) as Digest);
}

async function lend({ target }: Push, digest: Digest, from: string): Promise<void> {
  if (await target.hasBlob(digest)) return;
  const begun = await target.begin({ digest, from });
  if (begun.mounted) return;
  throw new TsrunError('REGISTRY', `${target.registry.name} does not mount blob ${digest} from ${from}`, {
    hint: `pull the image and push it to ${target.repository.familiar}`,
  });
}
