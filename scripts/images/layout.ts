/**
 * Writes OCI image layouts (image-spec, image-layout.md) for tests, demo and benchmarks. Independent of src/image on
 * purpose: what tests tsrun must not be made by it.
 */
import { createHash } from 'node:crypto';
import { createReadStream, createWriteStream, mkdirSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { createGzip, gzipSync } from 'node:zlib';

export interface Descriptor {
  mediaType: string;
  digest: string;
  size: number;
  platform?: Platform;
  annotations?: Record<string, string>;
}

export interface Platform {
  os: string;
  architecture: string;
  variant?: string;
}

/** A layer's blob and the digest of its uncompressed archive. */
export interface Layer {
  descriptor: Descriptor;
  diffId: string;
}

/** The `config` object of an image configuration, as far as images here need it (image-spec, config.md). */
export interface ContainerConfig {
  User?: string;
  Env?: string[];
  Entrypoint?: string[];
  Cmd?: string[];
  WorkingDir?: string;
  ExposedPorts?: Record<string, object>;
  Volumes?: Record<string, object>;
  Labels?: Record<string, string>;
  StopSignal?: string;
}

export interface MediaTypes {
  index: string;
  manifest: string;
  config: string;
  layer: string;
}

export const ociTypes: MediaTypes = {
  index: 'application/vnd.oci.image.index.v1+json',
  manifest: 'application/vnd.oci.image.manifest.v1+json',
  config: 'application/vnd.oci.image.config.v1+json',
  layer: 'application/vnd.oci.image.layer.v1.tar+gzip',
};

/** Docker's image manifest, version 2, schema 2: what most images of Docker Hub have. */
export const dockerTypes: MediaTypes = {
  index: 'application/vnd.docker.distribution.manifest.list.v2+json',
  manifest: 'application/vnd.docker.distribution.manifest.v2+json',
  config: 'application/vnd.docker.container.image.v1+json',
  layer: 'application/vnd.docker.image.rootfs.diff.tar.gzip',
};

export const defaultPath = 'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

const sha256 = (bytes: Uint8Array) => `sha256:${createHash('sha256').update(bytes).digest('hex')}`;

/** This machine's architecture by its name in images. */
export function hostArchitecture(): string {
  return process.arch === 'x64' ? 'amd64' : process.arch;
}

/** One layout directory: blobs are written at once, `index.json` by `finish`. */
export class LayoutWriter {
  private readonly tags: Descriptor[] = [];

  constructor(readonly directory: string) {
    rmSync(directory, { recursive: true, force: true });
    mkdirSync(join(directory, 'blobs/sha256'), { recursive: true });
  }

  private path(digest: string): string {
    return join(this.directory, 'blobs', digest.replace(':', '/'));
  }

  /** Stores bytes under their digest. */
  blob(bytes: Uint8Array, mediaType: string): Descriptor {
    const digest = sha256(bytes);
    writeFileSync(this.path(digest), bytes);
    return { mediaType, digest, size: bytes.length };
  }

  /** A layer from an archive in memory. */
  layer(tar: Uint8Array, types: MediaTypes = ociTypes): Layer {
    return { descriptor: this.blob(gzipSync(tar), types.layer), diffId: sha256(tar) };
  }

  /** A layer from an archive on disk, streamed. */
  async layerFromFile(tarPath: string, types: MediaTypes = ociTypes): Promise<Layer> {
    const part = join(this.directory, 'layer.part');
    const inner = createHash('sha256');
    const outer = createHash('sha256');
    await pipeline(
      createReadStream(tarPath, { highWaterMark: 1 << 20 }),
      async function* (source) {
        for await (const chunk of source) {
          inner.update(chunk);
          yield chunk;
        }
      },
      createGzip(),
      async function* (source) {
        for await (const chunk of source) {
          outer.update(chunk);
          yield chunk;
        }
      },
      createWriteStream(part),
    );
    const digest = `sha256:${outer.digest('hex')}`;
    renameSync(part, this.path(digest));
    const descriptor = { mediaType: types.layer, digest, size: statSync(this.path(digest)).size };
    return { descriptor, diffId: `sha256:${inner.digest('hex')}` };
  }

  /** An image of these layers, lowest first; returns the descriptor of its manifest. */
  image(
    layers: readonly Layer[],
    config: ContainerConfig,
    options: { platform?: Platform; types?: MediaTypes; created?: string } = {},
  ): Descriptor {
    const types = options.types ?? ociTypes;
    const platform = options.platform ?? { os: 'linux', architecture: hostArchitecture() };
    const created = options.created ?? '2025-06-01T00:00:00Z';
    const configuration = {
      created,
      ...platform,
      config,
      rootfs: { type: 'layers', diff_ids: layers.map((layer) => layer.diffId) },
      history: layers.map((_, index) => ({ created, created_by: `layer ${index + 1}` })),
    };
    const manifest = {
      schemaVersion: 2,
      mediaType: types.manifest,
      config: this.blob(Buffer.from(JSON.stringify(configuration)), types.config),
      layers: layers.map((layer) => layer.descriptor),
    };
    return { ...this.blob(Buffer.from(JSON.stringify(manifest)), types.manifest), platform };
  }

  /** An index (or manifest list) of images for several platforms. */
  index(manifests: readonly Descriptor[], types: MediaTypes = ociTypes): Descriptor {
    return this.blob(Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: types.index, manifests })), types.index);
  }

  /** Gives a manifest or index a name: `REPOSITORY:TAG`. */
  tag(name: string, descriptor: Descriptor): void {
    this.tags.push({ ...descriptor, annotations: { 'org.opencontainers.image.ref.name': name } });
  }

  /** Writes what makes the directory a layout; nothing reads it as one before. */
  finish(): void {
    const index = { schemaVersion: 2, mediaType: ociTypes.index, manifests: this.tags };
    writeFileSync(join(this.directory, 'oci-layout'), JSON.stringify({ imageLayoutVersion: '1.0.0' }));
    writeFileSync(join(this.directory, 'index.json'), JSON.stringify(index));
  }
}
