/**
 * Manifests and indexes: OCI image-spec manifest.md and image-index.md, and Docker's image manifest v2 schema 2. One
 * document can only be one of them: what has the fields of both is refused, since readers would disagree on what it
 * names (GHSA-mc8v-mgrf-8f4m).
 */
import { TsrunError } from '../error.ts';
import { maxConfigBytes, maxLayers } from './config.ts';
import { type Digest, digestProblem, isDigest } from './digest.ts';
import { type Json, type JsonSource, parseJson } from './json.ts';
import { bareMediaType, isImageConfig, isLayer, type ManifestKind, manifestKind } from './media-types.ts';
import { formatPlatform, normalizePlatform, type Platform, platformScore } from './platform.ts';

/** The distribution-spec asks registries to take manifests of 4 MiB, and clients need to read no more. */
export const maxManifestBytes = 4 * 1024 * 1024;

const maxIndexEntries = 1000;

/** What names a blob: OCI image-spec descriptor.md. */
export interface Descriptor {
  mediaType: string;
  digest: Digest;
  /** Bytes. */
  size: number;
}

export interface Manifest {
  kind: 'manifest';
  config: Descriptor;
  /** Lowest first. */
  layers: Descriptor[];
}

export interface IndexEntry extends Descriptor {
  /** Absent where the index does not say; then only the image's config tells. */
  platform?: Platform;
}

export interface Index {
  kind: 'index';
  entries: IndexEntry[];
}

function parseDescriptor(json: Json, defaultMediaType = ''): Descriptor {
  const digest = json.get('digest').string(200);
  if (!isDigest(digest)) throw json.get('digest').fail(`is no digest (${digestProblem(digest)})`);
  const mediaType = json.get('mediaType').optionalString(256) ?? defaultMediaType;
  return { mediaType, digest, size: json.get('size').size() };
}

/** Whether an entry is something about an image and not an image: attestations and signatures of BuildKit. */
function isAttachment(entry: Json): boolean {
  const annotations = entry.get('annotations').stringMap(1000);
  if (Object.hasOwn(annotations, 'vnd.docker.reference.type')) return true;
  const platform = entry.get('platform');
  return !platform.absent && platform.get('os').optionalString(64) === 'unknown';
}

function parseIndex(json: Json): Index {
  const entries: IndexEntry[] = [];
  for (const item of json.get('manifests').array(maxIndexEntries)) {
    const descriptor = parseDescriptor(item);
    const kind = manifestKind(descriptor.mediaType);
    if ((kind !== 'manifest' && kind !== 'index') || isAttachment(item)) continue;
    const platform = item.get('platform');
    if (platform.absent) {
      entries.push(descriptor);
      continue;
    }
    const os = platform.get('os').string(64);
    const variant = platform.get('variant').optionalString(64) ?? '';
    const parsed = normalizePlatform(os, platform.get('architecture').string(64), variant);
    entries.push({ ...descriptor, platform: parsed });
  }
  return { kind: 'index', entries };
}

function parseManifestFields(json: Json): Manifest {
  const config = parseDescriptor(json.get('config'));
  if (!isImageConfig(config.mediaType)) {
    throw json
      .get('config')
      .fail(`is of type ${JSON.stringify(config.mediaType)}: this is an artifact, not an image that can run`);
  }
  if (config.size > maxConfigBytes) throw json.get('config').fail(`has more than ${maxConfigBytes} bytes`);
  const layers = json
    .get('layers')
    .array(maxLayers)
    .map((item) => {
      const layer = parseDescriptor(item);
      if (isLayer(layer.mediaType)) return layer;
      const encrypted = layer.mediaType.includes('encrypted') ? ': it is encrypted, which tsrun cannot read' : '';
      throw item.fail(`is of type ${JSON.stringify(layer.mediaType)}, which is no layer of a filesystem${encrypted}`);
    });
  return { kind: 'manifest', config, layers };
}

/** What the document is, by the type it was served as, the type it says and the fields it has. */
function kindOf(json: Json, contentType: string): ManifestKind {
  const stated = bareMediaType(json.get('mediaType').optionalString(256));
  const served = manifestKind(bareMediaType(contentType));
  const inner = stated === '' ? undefined : manifestKind(stated);
  if (stated !== '' && inner === undefined) {
    throw json.fail(`is of type ${JSON.stringify(stated)}, which is neither a manifest nor an index`);
  }
  if (json.get('schemaVersion').size() === 1) return 'schema1';
  const looksLikeIndex = !json.get('manifests').absent;
  const looksLikeManifest = !json.get('layers').absent || !json.get('config').absent;
  if (looksLikeIndex && looksLikeManifest) throw json.fail('has the fields of both a manifest and an index');
  const kind = inner ?? served ?? (looksLikeIndex ? 'index' : 'manifest');
  if (served !== undefined && served !== kind) {
    throw json.fail(`was served as ${JSON.stringify(contentType)} but says that it is ${JSON.stringify(stated)}`);
  }
  if (kind === 'index' && looksLikeManifest) throw json.fail('is served as an index but has the fields of a manifest');
  if (kind === 'manifest' && looksLikeIndex) throw json.fail('is served as a manifest but has the fields of an index');
  return kind;
}

/**
 * Reads a manifest or an index.
 * @param contentType what the registry or the index says that it is; empty where nobody did
 * Throws with the source's code when it is malformed, `UNSUPPORTED` for Docker's schema 1.
 */
export function parseManifest(bytes: Uint8Array, contentType: string, source: JsonSource): Manifest | Index {
  const json = parseJson(bytes, source);
  const kind = kindOf(json, contentType);
  if (kind === 'schema1') {
    throw new TsrunError('UNSUPPORTED', `${source.name}: is an image manifest of version 2, schema 1`, {
      hint: 'that format was given up years ago; pull and push the image with a current tool to convert it',
    });
  }
  if (json.get('schemaVersion').size() !== 2) throw json.get('schemaVersion').fail('must be 2');
  return kind === 'index' ? parseIndex(json) : parseManifestFields(json);
}

/**
 * The entry for `wanted`: the one of its very platform, else the best that such a machine runs; the first of equals.
 * Throws `NOT_FOUND` with the platforms that there are. `name` is the image's, for the message.
 */
export function chooseEntry(index: Index, wanted: Platform, name: string): IndexEntry {
  let best: IndexEntry | undefined;
  let bestScore = -1;
  for (const entry of index.entries) {
    // An index that names no platform still means its only image.
    const unsaid = entry.platform === undefined && index.entries.length === 1 ? 0 : undefined;
    const score = entry.platform === undefined ? unsaid : platformScore(wanted, entry.platform);
    if (score === undefined || score <= bestScore) continue;
    best = entry;
    bestScore = score;
  }
  if (best !== undefined) return best;
  const available = new Set(
    index.entries.map((entry) => (entry.platform === undefined ? 'unknown' : formatPlatform(entry.platform))),
  );
  const list = available.size === 0 ? 'it holds no image at all' : `it has ${[...available].join(', ')}`;
  throw new TsrunError('NOT_FOUND', `no image for ${formatPlatform(wanted)} in "${name}": ${list}`, {
    hint:
      available.size === 0
        ? undefined
        : 'choose one with --platform; code of another architecture needs an emulator (qemu-user-static)',
  });
}
