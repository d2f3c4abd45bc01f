/** Media types of the OCI image-spec (media-types.md) and of Docker's image manifest v2 schema 2, and what they are. */

export const ociIndex = 'application/vnd.oci.image.index.v1+json';
export const ociManifest = 'application/vnd.oci.image.manifest.v1+json';
export const ociConfig = 'application/vnd.oci.image.config.v1+json';
export const dockerManifestList = 'application/vnd.docker.distribution.manifest.list.v2+json';
export const dockerManifest = 'application/vnd.docker.distribution.manifest.v2+json';
export const dockerConfig = 'application/vnd.docker.container.image.v1+json';

/** What a manifest request asks for; with less, a registry converts or refuses. */
export const acceptManifests = [ociIndex, dockerManifestList, ociManifest, dockerManifest].join(', ');

export type ManifestKind = 'index' | 'manifest' | 'schema1';

const manifestKinds: Readonly<Record<string, ManifestKind>> = {
  [ociIndex]: 'index',
  [dockerManifestList]: 'index',
  [ociManifest]: 'manifest',
  [dockerManifest]: 'manifest',
  'application/vnd.docker.distribution.manifest.v1+json': 'schema1',
  'application/vnd.docker.distribution.manifest.v1+prettyjws': 'schema1',
};

/** `Application/JSON; charset=utf-8` -> `application/json`. */
export function bareMediaType(contentType: string | undefined): string {
  return (contentType ?? '').replace(/;.*$/s, '').trim().toLowerCase();
}

/** What a document of this type is; undefined for types such as application/json, which say nothing. */
export function manifestKind(mediaType: string): ManifestKind | undefined {
  return Object.hasOwn(manifestKinds, mediaType) ? manifestKinds[mediaType] : undefined;
}

export function isImageConfig(mediaType: string): boolean {
  return mediaType === ociConfig || mediaType === dockerConfig;
}

const layerTypes = new Set([
  'application/vnd.oci.image.layer.v1.tar',
  'application/vnd.oci.image.layer.v1.tar+gzip',
  'application/vnd.oci.image.layer.v1.tar+zstd',
  'application/vnd.oci.image.layer.nondistributable.v1.tar',
  'application/vnd.oci.image.layer.nondistributable.v1.tar+gzip',
  'application/vnd.oci.image.layer.nondistributable.v1.tar+zstd',
  'application/vnd.docker.image.rootfs.diff.tar',
  'application/vnd.docker.image.rootfs.diff.tar.gzip',
  'application/vnd.docker.image.rootfs.diff.tar.zstd',
  'application/vnd.docker.image.rootfs.foreign.diff.tar',
  'application/vnd.docker.image.rootfs.foreign.diff.tar.gzip',
]);

/** Whether it is a tar archive of a layer, plain or compressed. */
export function isLayer(mediaType: string): boolean {
  return layerTypes.has(mediaType);
}
