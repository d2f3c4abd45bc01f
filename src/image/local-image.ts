/**
 * Images that are made here and not pulled: by `commit`, `import` and `load`. Their layers come as archives and are
 * unpacked like pulled ones; a manifest is made for them, so that they are like pulled ones in everything else.
 */
import { TsrunError } from '../error.ts';
import { stepAsync } from '../trace.ts';
import type { StoredLayer } from './catalogue.ts';
import { parseConfig } from './config.ts';
import { chainIds, type Digest, digestOf } from './digest.ts';
import type { LayerRecord, LayerStore } from './layers.ts';
import { ociConfig, ociManifest } from './media-types.ts';
import { OpenedLayers } from './readable-layers.ts';
import type { Reference } from './reference.ts';
import type { ImageStore, StoredImage } from './store.ts';
import type { LayerUnpacker } from './unpack/unpacker.ts';

const tarLayer = 'application/vnd.oci.image.layer.v1.tar';

export interface LayerSource {
  /** Noted in the layer's record: `commit`, `import`, `load`. */
  source: string;
  /** What the archive must be, where somebody said. */
  diffId?: Digest;
  /** Hands the archive over: `write` takes it compressed or not, `take` as it is. */
  fill(unpacker: LayerUnpacker): Promise<void> | void;
  signal?: AbortSignal;
}

/**
 * Unpacks a layer over those `below` (the lowest first); one that is there already is not made twice. The caller holds the
 * store's layers. Throws `ARCHIVE`, `VERIFICATION`, `NO_SPACE` and others; nothing is left then.
 */
export async function makeLayer(
  store: LayerStore,
  below: readonly StoredLayer[],
  options: LayerSource,
): Promise<StoredLayer> {
  const info = {
    phase: 'image',
    title: `layer of ${options.source}`,
    why: `a part of the image's files`,
    shell: `tar -x -C ${store.directory}/NEW/fs`,
  } as const;
  return stepAsync(info, () => unpackLayer(store, below, options));
}

async function unpackLayer(
  store: LayerStore,
  below: readonly StoredLayer[],
  options: LayerSource,
): Promise<StoredLayer> {
  // A build that finds all in its cache makes no layer: it does not load what unpacks.
  const [form, { defaultMaxBytes, defaultMaxEntries }, { LayerUnpacker }] = await Promise.all([
    store.form(),
    import('./unpack/index.ts'),
    import('./unpack/unpacker.ts'),
  ]);
  const draft = store.beginUnnamed();
  const opened = new OpenedLayers(store);
  let record: LayerRecord;
  try {
    const unpacker = new LayerUnpacker(
      {
        directory: draft.directory,
        archive: draft.base,
        form,
        mediaType: '',
        maxBytes: defaultMaxBytes,
        maxEntries: defaultMaxEntries,
      },
      process.umask(),
    );
    try {
      await options.fill(unpacker);
      const unpacked = await unpacker.finish();
      const diffId = unpacked.diffId as Digest;
      if (options.diffId !== undefined && options.diffId !== diffId) {
        throw new TsrunError('VERIFICATION', `a layer unpacks to ${diffId}, the image says ${options.diffId}`, {
          hint: 'the archive is damaged, or its config does not belong to its layers',
        });
      }
      const chainId = chainIds([...below.map((layer) => layer.diffId), diffId]).at(-1) as Digest;
      const needed = unpacked.deferred.length === 0 ? [] : below;
      unpacker.settle(needed.map((layer) => opened.path(layer.chainId)));
      const parent = below.at(-1)?.chainId;
      record = {
        chainId,
        ...(parent === undefined ? {} : { parent }),
        diffId,
        digest: diffId,
        mediaType: tarLayer,
        size: unpacked.archiveSize,
        source: options.source,
        bytes: unpacked.bytes,
        entries: unpacked.entries,
        archiveSize: unpacked.archiveSize,
      };
    } finally {
      unpacker.close();
    }
  } catch (error) {
    draft.discard();
    throw error;
  } finally {
    opened.close();
  }
  await draft.commit(record, options.signal);
  return layerOf(record);
}

function layerOf({ digest, mediaType, size, diffId, chainId, bytes }: LayerRecord): StoredLayer {
  return { digest, mediaType, size, diffId, chainId, bytes };
}

/** A layer that the store has, as an image that is made here names it; undefined where it is not there. */
export function presentLayer(store: LayerStore, chainId: Digest): StoredLayer | undefined {
  const record = store.record(chainId);
  if (record?.archiveSize === undefined || store.place(chainId) === undefined) return undefined;
  const { diffId, bytes, archiveSize } = record;
  return { digest: diffId, mediaType: tarLayer, size: archiveSize, diffId, chainId, bytes };
}

/** The media type that an OCI manifest has for a layer. */
function ociLayerType(mediaType: string): string {
  if (mediaType.endsWith('gzip')) return `${tarLayer}+gzip`;
  return mediaType.endsWith('zstd') ? `${tarLayer}+zstd` : tarLayer;
}

/** A manifest for an image: of its config's bytes and its layers as they are recorded. */
function localManifest({ config, layers, annotations = {} }: LocalImage): Buffer {
  const manifest = {
    schemaVersion: 2,
    mediaType: ociManifest,
    config: { mediaType: ociConfig, digest: digestOf(config), size: config.length },
    layers: layers.map(({ mediaType, digest, size }) => ({ mediaType: ociLayerType(mediaType), digest, size })),
    ...(Object.keys(annotations).length === 0 ? {} : { annotations }),
  };
  return Buffer.from(JSON.stringify(manifest));
}

export interface LocalImage {
  /** The config as it stands; its digest is the image's id. */
  config: Uint8Array;
  /** Lowest first, as many as the config has diffIDs. */
  layers: readonly StoredLayer[];
  references: readonly Reference[];
  parent?: Digest | undefined;
  /** Of the manifest. */
  annotations?: Readonly<Record<string, string>>;
}

/** Records an image whose layers are there. Returns it, and what its names meant before. */
export function addLocalImage(
  store: ImageStore,
  local: LocalImage,
): { image: StoredImage; before: Map<string, Digest | undefined> } {
  const { config, layers, references, parent } = local;
  const id = digestOf(config);
  const parsed = parseConfig(config, { name: `config of the image (${id})`, code: 'ARCHIVE' });
  const manifest = localManifest(local);
  const digest = digestOf(manifest);
  const before = store.add({
    id,
    entry: {
      manifest: digest,
      documents: [digest],
      created: parsed.created,
      platform: parsed.platform,
      bytes: layers.reduce((sum, layer) => sum + layer.bytes, 0),
      layers,
      ...(parent === undefined ? {} : { parent }),
    },
    references: [...references],
    blobs: [
      { digest: id, bytes: config },
      { digest, bytes: manifest },
    ],
  });
  return { image: store.require(id), before };
}
