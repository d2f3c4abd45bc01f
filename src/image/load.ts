/**
 * `load`: images from an archive of docker's (manifest.json; moby image/spec v1.2) or an OCI image layout in a tar archive
 * (OCI image-spec image-layout.md). Everything is verified by its digest, and an image appears when all of it is there.
 */
import { TsrunError } from '../error.ts';
import { ArchiveIndex, type MemberContent, wrongArchive } from './archive/archive-index.ts';
import { seekableArchive } from './archive/source.ts';
import type { StoredLayer } from './catalogue.ts';
import { type ImageConfig, maxConfigBytes, parseConfig } from './config.ts';
import { chainIds, type Digest, digestAlgorithm, digestHex, digestOf, matchesDigest } from './digest.ts';
import { throwIfInterrupted } from './errors.ts';
import { type Json, parseJson } from './json.ts';
import { addLocalImage, makeLayer, presentLayer } from './local-image.ts';
import { chooseEntry, type Descriptor, maxManifestBytes, parseManifest } from './manifest.ts';
import { formatPlatform, hostPlatform, type Platform, platformMatches } from './platform.ts';
import { parseReference, type Reference } from './reference.ts';
import type { ImageStore, StoredImage } from './store.ts';

const maxImages = 1000;
const maxNames = 1000;

export interface LoadedImage {
  image: StoredImage;
  references: Reference[];
  /** What the names meant before. */
  before: Map<string, Digest | undefined>;
}

/** An image as the archive describes it, verified as far as that goes without its layers. */
interface Described {
  bytes: Buffer;
  config: ImageConfig;
  references: Reference[];
  layers: MemberContent[];
}

/**
 * Loads all images of the archive behind `fd`. Throws `ARCHIVE`, `VERIFICATION`, `UNSUPPORTED`, `NO_SPACE`; what was made
 * until then is handed to `onDiscard`: chain ids of layers that no image has.
 */
export async function loadImages(
  store: ImageStore,
  fd: number,
  options: { signal?: AbortSignal; platform?: Platform; onDiscard(chainIds: Digest[]): void },
): Promise<LoadedImage[]> {
  const made: Digest[] = [];
  const hold = store.hold();
  let failed = true;
  try {
    store.layers.sweep();
    const archive = await seekableArchive(fd, store.root, options.signal);
    try {
      const index = new ArchiveIndex(archive.fd);
      const loaded: LoadedImage[] = [];
      const { platform } = options;
      const all = describeImages(index, platform ?? hostPlatform());
      if (platform !== undefined) for (const { config } of all) requirePlatform(platform, config.platform);
      for (const described of all) {
        const layers = await unpackLayers(store, index, described, made, options.signal);
        const { bytes, references } = described;
        loaded.push({ ...addLocalImage(store, { config: bytes, layers, references }), references });
      }
      failed = false;
      return loaded;
    } finally {
      archive.close();
    }
  } finally {
    hold.release();
    if (failed && made.length > 0) options.onDiscard(made);
  }
}

function requirePlatform(wanted: Platform, actual: Platform): void {
  if (platformMatches(wanted, actual)) return;
  throw new TsrunError(
    'NOT_FOUND',
    `the archive has an image for ${formatPlatform(actual)}, and none for ${formatPlatform(wanted)}`,
  );
}

function describeImages(index: ArchiveIndex, platform: Platform): Described[] {
  const manifest = index.bytes('manifest.json', maxManifestBytes);
  if (manifest !== undefined) return dockerImages(index, manifest);
  const layout = index.bytes('index.json', maxManifestBytes);
  if (layout !== undefined) return layoutImages(index, layout, platform);
  const old = index.find('repositories') !== undefined;
  throw new TsrunError('ARCHIVE', `the archive holds no image: it has neither manifest.json nor index.json`, {
    hint: old
      ? 'it is in the format of docker before 1.10: save the image again with a current tool'
      : 'a plain filesystem becomes an image by `tsrun import`',
  });
}

function archiveFault(message: string): TsrunError {
  return new TsrunError('ARCHIVE', message, { hint: wrongArchive });
}

function dockerImages(index: ArchiveIndex, manifest: Buffer): Described[] {
  const json = parseJson(manifest, { name: 'manifest.json of the archive', code: 'ARCHIVE', hint: wrongArchive });
  return json.array(maxImages).map((item) => {
    const name = item.get('Config').string();
    const bytes = index.bytes(name, maxConfigBytes);
    if (bytes === undefined) throw archiveFault(`the archive has no ${JSON.stringify(name)}, which its manifest names`);
    const promised = /(?:^|\/)([0-9a-f]{64})(?:\.json)?$/.exec(name)?.[1];
    if (promised !== undefined && digestHex(digestOf(bytes)) !== promised) throw wrongDigest(name, digestOf(bytes));
    const layers = item
      .get('Layers')
      .array(1000)
      .map((layer) => contentOf(index, layer));
    return describe(bytes, item.get('RepoTags').strings(maxNames), layers);
  });
}

function wrongDigest(name: string, actual: string): TsrunError {
  return new TsrunError('VERIFICATION', `${JSON.stringify(name)} in the archive has the digest ${actual}`, {
    hint: 'the archive is damaged: write it again',
  });
}

function contentOf(index: ArchiveIndex, layer: Json): MemberContent {
  const name = layer.string();
  const content = index.find(name);
  if (content === undefined) throw archiveFault(`the archive has no ${JSON.stringify(name)}, which its manifest names`);
  return content;
}

function describe(bytes: Buffer, names: readonly string[], layers: MemberContent[]): Described {
  const config = parseConfig(bytes, { name: 'config of an image in the archive', code: 'ARCHIVE', hint: wrongArchive });
  if (config.diffIds.length !== layers.length) {
    throw archiveFault(`an image of the archive has ${layers.length} layers and its config ${config.diffIds.length}`);
  }
  return { bytes, config, references: names.map(parseReference), layers };
}

const refName = 'org.opencontainers.image.ref.name';
const containerdName = 'io.containerd.image.name';

function layoutImages(index: ArchiveIndex, layout: Buffer, platform: Platform): Described[] {
  const json = parseJson(layout, { name: 'index.json of the archive', code: 'ARCHIVE', hint: wrongArchive });
  const names = new Map<Digest, string[]>();
  for (const item of json.get('manifests').array(maxImages)) {
    const annotations = item.get('annotations').stringMap(1000);
    const name = annotations[containerdName] ?? annotations[refName] ?? '';
    const digest = item.get('digest').string() as Digest;
    // A tag alone does not say of what.
    const list = /[/:]/.test(name) ? [name] : [];
    names.set(digest, [...(names.get(digest) ?? []), ...list]);
  }
  const parsed = parseManifest(layout, '', { name: 'index.json of the archive', code: 'ARCHIVE', hint: wrongArchive });
  if (parsed.kind !== 'index') throw archiveFault('index.json of the archive is no index');
  const images = new Map<Digest, Described>();
  for (const entry of parsed.entries) {
    if (images.has(entry.digest)) continue;
    images.set(entry.digest, layoutImage(index, entry, names.get(entry.digest) ?? [], platform));
  }
  if (images.size === 0) throw archiveFault('the archive holds no image: its index is empty');
  return [...images.values()];
}

function layoutImage(index: ArchiveIndex, top: Descriptor, names: readonly string[], platform: Platform): Described {
  let descriptor = top;
  for (let depth = 0; depth < 4; depth++) {
    const source = {
      name: `manifest ${descriptor.digest} of the archive`,
      code: 'ARCHIVE',
      hint: wrongArchive,
    } as const;
    const parsed = parseManifest(blob(index, descriptor.digest, maxManifestBytes), descriptor.mediaType, source);
    if (parsed.kind === 'index') {
      descriptor = chooseEntry(parsed, platform, names[0] ?? 'the archive');
      continue;
    }
    const layers = parsed.layers.map(({ digest }) => {
      const content = index.find(blobPath(digest));
      if (content === undefined) throw archiveFault(`the archive has no blob ${digest}`);
      return content;
    });
    return describe(blob(index, parsed.config.digest, maxConfigBytes), names, layers);
  }
  throw archiveFault('the index of the archive leads to ever more indexes');
}

function blobPath(digest: Digest): string {
  return `blobs/${digestAlgorithm(digest)}/${digestHex(digest)}`;
}

function blob(index: ArchiveIndex, digest: Digest, max: number): Buffer {
  const bytes = index.bytes(blobPath(digest), max);
  if (bytes === undefined) throw archiveFault(`the archive has no blob ${digest}`);
  if (!matchesDigest(bytes, digest)) throw wrongDigest(blobPath(digest), digestOf(bytes));
  return bytes;
}

async function unpackLayers(
  store: ImageStore,
  index: ArchiveIndex,
  { config, layers }: Described,
  made: Digest[],
  signal: AbortSignal | undefined,
): Promise<StoredLayer[]> {
  const chain = chainIds(config.diffIds);
  const below: StoredLayer[] = [];
  for (const [at, content] of layers.entries()) {
    const present = presentLayer(store.layers, chain[at] as Digest);
    if (present !== undefined) {
      below.push(present);
      continue;
    }
    const existed = store.layers.has(chain[at] as Digest);
    const layer = await makeLayer(store.layers, below, {
      source: 'load',
      diffId: config.diffIds[at] as Digest,
      async fill(unpacker) {
        for (const chunk of index.chunks(content)) {
          await unpacker.write(chunk);
          await new Promise(setImmediate);
          throwIfInterrupted(signal);
        }
      },
      ...(signal === undefined ? {} : { signal }),
    });
    if (!existed) made.push(layer.chainId);
    below.push(layer);
  }
  return below;
}
