/**
 * `save`: images as one archive, in docker's format (manifest.json, and what docker before 1.10 wanted; moby
 * image/tarexport/save.go) or as an OCI image layout. Layers are the very archives that they were unpacked from, so that
 * the image keeps its id.
 */
import { archiveSizeOf, type StoredArchive, writeLayerArchive } from './archive/layer-archive.ts';
import type { ByteSink } from './archive/sink.ts';
import type { TarMember } from './archive/tar-header.ts';
import { TarWriter } from './archive/tar-writer.ts';
import { emptyExecution, executionDocument, goJson, noContainer } from './config-json.ts';
import { chainIds, type Digest, digestHex, digestOf } from './digest.ts';
import { parseJson } from './json.ts';
import { ociConfig, ociIndex, ociManifest } from './media-types.ts';
import { familiarName, familiarRepository, formatReference, type Reference } from './reference.ts';
import type { ImageStore, StoredImage } from './store.ts';

export type ArchiveFormat = 'docker-archive' | 'oci-archive';

export interface SavedImage {
  image: Pick<StoredImage, 'id' | 'created' | 'config' | 'layers' | 'references'> &
    Partial<Pick<StoredImage, 'manifestDigest'>>;
  /** Names that go along. */
  references: Reference[];
  /** Of an image that only its layers are stored of: its config as it stands. */
  configBytes?: Buffer;
  /** Of the manifest, in the OCI's form; left out: those that the image has in the store. */
  annotations?: Readonly<Record<string, string>>;
}

/** What stands in the archive: bytes, a layer, a link, or a directory. */
type Content =
  | { kind: 'bytes'; bytes: Buffer }
  | { kind: 'layer'; layer: StoredArchive }
  | { kind: 'link'; target: string }
  | { kind: 'directory' };

interface Member {
  content: Content;
  /** RFC 3339; the epoch if left out. */
  time?: string;
}

/** Writes the archive. Throws `UNSUPPORTED` for layers whose archive is not known, before anything is written. */
export function saveImages(
  store: ImageStore,
  images: readonly SavedImage[],
  format: ArchiveFormat,
  sink: ByteSink,
): void {
  const members = new Map<string, Member>();
  if (format === 'docker-archive') addDockerImages(store, images, members);
  else addLayoutImages(store, images, members);
  const paths = [...members.keys()].sort();
  for (const path of paths) sizeOf((members.get(path) as Member).content);
  const writer = new TarWriter(sink);
  for (const path of paths) write(writer, path, members.get(path) as Member);
  writer.finish();
}

function sizeOf(content: Content): number {
  if (content.kind === 'bytes') return content.bytes.length;
  return content.kind === 'layer' ? archiveSizeOf(content.layer) : 0;
}

function write(writer: TarWriter, path: string, { content, time }: Member): void {
  const seconds = Math.floor((Date.parse(time ?? '') || 0) / 1000);
  const member: TarMember = {
    path,
    type: content.kind === 'directory' ? 'directory' : content.kind === 'link' ? 'symlink' : 'file',
    mode: content.kind === 'directory' ? 0o755 : content.kind === 'link' ? 0o777 : 0o644,
    uid: 0,
    gid: 0,
    size: sizeOf(content),
    mtime: { seconds, nanoseconds: 0 },
    ...(content.kind === 'link' ? { linkPath: content.target } : {}),
  };
  writer.header(member);
  if (content.kind === 'bytes') writer.content(content.bytes);
  if (content.kind === 'layer') writeLayerArchive(content.layer, { write: (bytes) => writer.content(bytes) });
}

/** The layers of an image as the store can write them, lowest first. Throws `CORRUPT` for one that is missing. */
function archivesOf(store: ImageStore, image: SavedImage['image']): (StoredArchive & { chainId: Digest })[] {
  store.checkLayers(image);
  return image.layers.map(({ chainId, diffId }) => ({
    base: store.layers.base(chainId),
    chainId,
    diffId,
    archiveSize: store.layers.record(chainId)?.archiveSize,
  }));
}

function configOf(store: ImageStore, { image, configBytes }: SavedImage): Buffer {
  return configBytes ?? store.configBytes(image.id, image.references[0]);
}

function annotationsOf(store: ImageStore, { manifestDigest }: SavedImage['image']): Record<string, string> {
  const manifest = manifestDigest === undefined ? undefined : store.readBlob(manifestDigest);
  if (manifest === undefined) return {};
  const stated = parseJson(manifest, { name: 'the manifest of the image', code: 'CORRUPT' }).get('annotations');
  return stated.absent ? {} : stated.stringMap(1000);
}

const bytes = (text: string): Content => ({ kind: 'bytes', bytes: Buffer.from(text) });

function addDockerImages(store: ImageStore, images: readonly SavedImage[], members: Map<string, Member>): void {
  const manifest: object[] = [];
  const repositories = new Map<string, Map<string, string>>();
  const written = new Map<Digest, string>();
  for (const saved of images) {
    const { image, references } = saved;
    const layers = archivesOf(store, image);
    const legacy = legacyIds(image);
    layers.forEach((layer, index) => {
      const { id, json } = legacy[index] as LegacyImage;
      if (members.has(`${id}/layer.tar`)) return;
      const first = written.get(layer.chainId);
      const path = `${id}/layer.tar`;
      const time = image.created;
      members.set(`${id}/`, { content: { kind: 'directory' }, time });
      members.set(`${id}/VERSION`, { content: bytes('1.0'), time });
      members.set(`${id}/json`, { content: bytes(json), time });
      members.set(path, { content: first === undefined ? { kind: 'layer', layer } : link(first), time });
      if (first === undefined) written.set(layer.chainId, path);
    });
    const config = `${digestHex(image.id)}.json`;
    members.set(config, {
      content: { kind: 'bytes', bytes: configOf(store, saved) },
      time: image.created,
    });
    manifest.push({
      Config: config,
      RepoTags: references.length === 0 ? null : references.map(familiarName),
      // Not by the links, which not all readers follow.
      Layers: layers.map(({ chainId }) => written.get(chainId)),
    });
    const top = legacy.at(-1)?.id;
    for (const reference of top === undefined ? [] : references) {
      const repository = familiarRepository(reference);
      const tags = repositories.get(repository) ?? new Map<string, string>();
      repositories.set(repository, tags.set(reference.tag ?? 'latest', top ?? ''));
    }
  }
  members.set('manifest.json', { content: bytes(`${JSON.stringify(manifest)}\n`) });
  if (repositories.size > 0) {
    const sorted = [...repositories].sort(([a], [b]) => (a < b ? -1 : 1));
    const document = Object.fromEntries(sorted.map(([name, tags]) => [name, Object.fromEntries(tags)]));
    members.set('repositories', { content: bytes(`${JSON.stringify(document)}\n`) });
  }
}

/** A layer that is in the archive already, under the name that it had there. */
function link(path: string): Content {
  return { kind: 'link', target: `../${path}` };
}

interface LegacyImage {
  id: string;
  json: string;
}

/** What docker before 1.10 read instead of manifest.json: an image for each layer, whose id depends on those below. */
function legacyIds(image: SavedImage['image']): LegacyImage[] {
  const { config } = image;
  const chain = chainIds(config.diffIds);
  const result: LegacyImage[] = [];
  chain.forEach((chainId, index) => {
    const parent = result.at(-1)?.id;
    const top = index === chain.length - 1;
    const fields = {
      created: top ? config.created : '1970-01-01T00:00:00Z',
      container_config: executionDocument(emptyExecution(), noContainer),
      ...(top && config.author !== '' ? { author: config.author } : {}),
      ...(top ? { config: executionDocument(config.execution, noContainer) } : {}),
      ...(top && config.platform.architecture !== '' ? { architecture: config.platform.architecture } : {}),
    };
    const hashed = {
      ...fields,
      ...(top ? { os: config.platform.os } : {}),
      layer_id: chainId,
      ...(parent === undefined ? {} : { parent: `sha256:${parent}` }),
    };
    const sorted = Object.fromEntries(Object.entries(hashed).sort(([a], [b]) => (a < b ? -1 : 1)));
    const id = digestHex(digestOf(goJson(sorted)));
    const json = goJson({ id, ...(parent === undefined ? {} : { parent }), ...fields, os: config.platform.os });
    result.push({ id, json });
  });
  return result;
}

function addLayoutImages(store: ImageStore, images: readonly SavedImage[], members: Map<string, Member>): void {
  const manifests: object[] = [];
  const blob = (content: Content, digest: Digest) => members.set(`blobs/sha256/${digestHex(digest)}`, { content });
  for (const saved of images) {
    const { image, references, annotations = annotationsOf(store, image) } = saved;
    const layers = archivesOf(store, image);
    for (const layer of layers) blob({ kind: 'layer', layer }, layer.diffId);
    const config = configOf(store, saved);
    blob({ kind: 'bytes', bytes: config }, image.id);
    const manifest = Buffer.from(
      JSON.stringify({
        schemaVersion: 2,
        mediaType: ociManifest,
        config: { mediaType: ociConfig, digest: image.id, size: config.length },
        layers: layers.map((layer) => ({
          mediaType: 'application/vnd.oci.image.layer.v1.tar',
          digest: layer.diffId,
          size: archiveSizeOf(layer),
        })),
        ...(Object.keys(annotations).length === 0 ? {} : { annotations }),
      }),
    );
    const digest = digestOf(manifest);
    blob({ kind: 'bytes', bytes: manifest }, digest);
    const descriptor = { mediaType: ociManifest, digest, size: manifest.length };
    if (references.length === 0) manifests.push(descriptor);
    for (const reference of references) {
      const name = {
        'io.containerd.image.name': formatReference(reference),
        'org.opencontainers.image.ref.name': reference.tag ?? 'latest',
      };
      manifests.push({ ...descriptor, annotations: name });
    }
  }
  members.set('index.json', { content: bytes(JSON.stringify({ schemaVersion: 2, mediaType: ociIndex, manifests })) });
  members.set('oci-layout', { content: bytes('{"imageLayoutVersion":"1.0.0"}') });
}
