/** The manifest that is pushed: the one that the image came with, or that one with the layers as they are called now. */
import type { Digest } from '../digest.ts';
import { parseJson } from '../json.ts';
import type { Descriptor } from '../manifest.ts';
import { dockerConfig, dockerManifest, ociConfig, ociManifest } from '../media-types.ts';

export interface PushedManifest {
  mediaType: string;
  bytes: Buffer;
}

const ociGzip = 'application/vnd.oci.image.layer.v1.tar+gzip';
const dockerGzip = 'application/vnd.docker.image.rootfs.diff.tar.gzip';

/** What a layer compressed by us is called, in a manifest of this type. */
export function gzipLayerType(manifestType: string): string {
  return manifestType === dockerManifest ? dockerGzip : ociGzip;
}

/**
 * The manifest as it is, or where `layers` are others than it says with these in their places: everything else (annotations,
 * the order of its fields) stays. `layers` are as many as it has.
 */
export function manifestWith(bytes: Buffer, layers: readonly Descriptor[]): PushedManifest {
  const json = parseJson(bytes, { name: 'the manifest of the image', code: 'CORRUPT' });
  const stated = json.get('mediaType').optionalString();
  const before = json.get('layers').array(layers.length);
  const configType = json.get('config').get('mediaType').optionalString();
  const mediaType = stated ?? (configType === dockerConfig ? dockerManifest : ociManifest);
  const same = before.every((layer, index) => layer.get('digest').string() === layers[index]?.digest);
  if (same && before.length === layers.length) return { mediaType, bytes };
  const document = JSON.parse(bytes.toString('utf8')) as { layers?: unknown[] };
  document.layers = layers.map(({ mediaType: type, digest, size }, index) =>
    before[index]?.get('digest').string() === digest ? document.layers?.[index] : { mediaType: type, digest, size },
  );
  return { mediaType, bytes: Buffer.from(JSON.stringify(document)) };
}

const dockerTypes: Readonly<Record<string, string>> = {
  [ociManifest]: dockerManifest,
  [ociConfig]: dockerConfig,
  [ociGzip]: dockerGzip,
};

/**
 * The same image in Docker's form, for registries that know no other; undefined where it is in that form, or has something that
 * the form has no word for.
 */
export function inDockerForm(manifest: PushedManifest): PushedManifest | undefined {
  if (manifest.mediaType !== ociManifest) return undefined;
  const json = parseJson(manifest.bytes, { name: 'the manifest of the image', code: 'CORRUPT' });
  const descriptor = (item: ReturnType<typeof json.get>): object | undefined => {
    const mediaType = dockerTypes[item.get('mediaType').string()];
    if (mediaType === undefined) return undefined;
    return { mediaType, size: item.get('size').size(), digest: item.get('digest').string() as Digest };
  };
  const config = descriptor(json.get('config'));
  const layers = json.get('layers').array(1000).map(descriptor);
  if (config === undefined || layers.includes(undefined)) return undefined;
  const document = { schemaVersion: 2, mediaType: dockerManifest, config, layers };
  return { mediaType: dockerManifest, bytes: Buffer.from(JSON.stringify(document, undefined, 3)) };
}
