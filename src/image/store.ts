/**
 * The images of a data root: their names, their documents (`blobs/<algorithm>/<hex>`: manifests, indexes, configs) and
 * their unpacked layers. What people ask for is found as docker finds it.
 */
import { mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { TsrunError } from '../error.ts';
import { readOwn } from '../linux/own-file.ts';
import { rootDirectory } from '../linux/paths.ts';
import { type Catalogue, CatalogueFile, type ImageEntry, type StoredLayer } from './catalogue.ts';
import { type ImageConfig, parseConfig } from './config.ts';
import { type Digest, digestAlgorithm, digestHex, matchesDigest } from './digest.ts';
import { errorCode, storeError } from './errors.ts';
import { type Held, LayerStore } from './layers.ts';
import { findImage, noSuchImage } from './lookup.ts';
import type { Platform } from './platform.ts';
import { ReadableLayers } from './readable-layers.ts';
import { familiarName, formatReference, parseReference, type Reference } from './reference.ts';
import { type ImageUser, type Removal, removeFromCatalogue } from './removal.ts';

/** An image as the store has it. */
export interface StoredImage {
  /** Digest of the config: what people see as the image's id. */
  readonly id: Digest;
  /** Of the manifest for this platform. */
  readonly manifestDigest: Digest;
  /** Full names with a tag: `docker.io/library/debian:latest`. */
  readonly references: readonly string[];
  /** Full names with a digest: `docker.io/library/debian@sha256:…`. */
  readonly repoDigests: readonly string[];
  readonly platform: Platform;
  /** RFC 3339, or empty. */
  readonly created: string;
  /** Lowest first. */
  readonly layers: readonly StoredLayer[];
  /** Bytes of all files in its layers. */
  readonly size: number;
  /** The image that it was made from here, if it is still there. */
  readonly parent?: Digest | undefined;
  /** When it got a name last (RFC 3339), if that is known. */
  readonly tagged?: string | undefined;
  /** Read when it is asked for. Throws `CORRUPT` when its file is missing or not what its name says. */
  readonly config: ImageConfig;
}

/** What a pull hands over. */
export interface NewImage {
  id: Digest;
  entry: ImageEntry;
  /** Names that it has from now on. */
  references: Reference[];
  /** The documents that its entry and its id name. */
  blobs: { digest: Digest; bytes: Uint8Array }[];
}

export interface RemoveOptions {
  force?: boolean;
  /** Containers made from an image. Asked while no name changes. */
  usersOf: (id: Digest) => readonly ImageUser[];
  /**
   * Whether a container still stands on this layer, whatever became of its image. Asked while no one holds layers (`hold`):
   * it has to look at the containers then, not before, or it misses one that was made in between.
   */
  layerInUse: (chainId: Digest) => boolean;
}

class CataloguedImage implements StoredImage {
  readonly id: Digest;
  readonly references: readonly string[];
  readonly repoDigests: readonly string[];
  readonly #entry: ImageEntry;
  readonly #store: ImageStore;
  #config: ImageConfig | undefined;

  constructor(store: ImageStore, id: Digest, entry: ImageEntry, names: readonly string[]) {
    this.id = id;
    this.#entry = entry;
    this.#store = store;
    this.references = names.filter((name) => !name.includes('@')).sort();
    this.repoDigests = names.filter((name) => name.includes('@')).sort();
  }

  get manifestDigest(): Digest {
    return this.#entry.manifest;
  }

  get platform(): Platform {
    return this.#entry.platform;
  }

  get created(): string {
    return this.#entry.created;
  }

  get layers(): readonly StoredLayer[] {
    return this.#entry.layers;
  }

  get size(): number {
    return this.#entry.bytes;
  }

  get parent(): Digest | undefined {
    return this.#entry.parent;
  }

  get tagged(): string | undefined {
    return this.#entry.tagged;
  }

  get config(): ImageConfig {
    this.#config ??= this.#store.readConfig(this.id, this.references[0]);
    return this.#config;
  }
}

export class ImageStore {
  readonly root: string;
  readonly layers: LayerStore;
  readonly #catalogue: CatalogueFile;

  constructor(root = rootDirectory()) {
    this.root = root;
    this.layers = new LayerStore(root);
    this.#catalogue = new CatalogueFile(root);
  }

  /** Names which images there are and what they are called; undefined while that may change without another name. */
  version(): string | undefined {
    return this.#catalogue.version();
  }

  /** All images, newest first. Throws `CORRUPT`. */
  list(): StoredImage[] {
    const catalogue = this.#catalogue.read();
    const names = new Map<Digest, string[]>();
    for (const [name, id] of catalogue.references) {
      const list = names.get(id);
      if (list === undefined) names.set(id, [name]);
      else list.push(name);
    }
    const images: StoredImage[] = [];
    for (const [id, entry] of catalogue.images) images.push(new CataloguedImage(this, id, entry, names.get(id) ?? []));
    return images.sort((a, b) => (Date.parse(b.created) || 0) - (Date.parse(a.created) || 0));
  }

  /**
   * The image that `text` means: an id, a name, or the beginning of an id, in this order.
   * Throws `CONFLICT` for a beginning of several ids, `CORRUPT`; undefined: there is none.
   */
  resolve(text: string): StoredImage | undefined {
    const catalogue = this.#catalogue.read();
    const found = findImage(catalogue, text);
    return found === undefined ? undefined : this.#image(catalogue, found.id);
  }

  /** `resolve` for those who cannot go on without. Throws `NOT_FOUND` in docker's words, with the name in full or as typed. */
  require(text: string, naming?: 'full' | 'typed'): StoredImage {
    const image = this.resolve(text);
    if (image === undefined) throw noSuchImage(text, naming);
    return image;
  }

  #image(catalogue: Catalogue, id: Digest): StoredImage | undefined {
    const entry = catalogue.images.get(id);
    if (entry === undefined) return undefined;
    const names = [...catalogue.references].filter(([, owner]) => owner === id).map(([name]) => name);
    return new CataloguedImage(this, id, entry, names);
  }

  /** What people are shown as the place of a layer: `layers/<hex>/fs`, or the file that is mounted. */
  layerPath(chainId: string): string {
    return this.layers.path(chainId as Digest);
  }

  /**
   * The layers of an image or container, lowest first, to be read until they are closed. Throws `CORRUPT` when one is not
   * there; `name` is what to pull again then.
   */
  openLayers(chainIds: readonly string[], name?: string): ReadableLayers {
    const places = chainIds.map((chainId) => {
      const place = this.layers.place(chainId as Digest);
      if (place !== undefined) return place;
      throw corrupt(`layer "${this.layers.base(chainId as Digest)}" is missing or incomplete`, name);
    });
    return new ReadableLayers(places);
  }

  /** Throws `CORRUPT` when a layer of the image is not there. */
  checkLayers(image: Pick<StoredImage, 'layers' | 'references'>): void {
    this.openImage(image).close();
  }

  /** `openLayers` for an image. */
  openImage(image: Pick<StoredImage, 'layers' | 'references'>): ReadableLayers {
    const chainIds = image.layers.map((layer) => layer.chainId);
    return this.openLayers(chainIds, image.references[0]);
  }

  /** Keeps every layer until it is released: for who makes a container and has not recorded it yet. */
  hold(): Held {
    return this.layers.hold();
  }

  /** Gives an image another name; the name leaves the image that had it. Throws `NOT_FOUND`, `USAGE`. */
  tag(text: string, reference: Reference): void {
    if (reference.digest !== undefined) {
      throw new TsrunError('USAGE', 'refusing to create a tag with a digest reference', {
        hint: 'write NAME:TAG without @sha256:…',
      });
    }
    this.#catalogue.update((catalogue) => {
      const found = findImage(catalogue, text);
      if (found === undefined) throw noSuchImage(text);
      catalogue.references.set(formatReference(reference), found.id);
      const entry = catalogue.images.get(found.id);
      if (entry !== undefined) entry.tagged = new Date().toISOString();
    });
  }

  /**
   * Removes a name, or an image when it was its last one, and the layers that nothing needs any more.
   * Returns what rmi prints. Throws `NOT_FOUND`, `CONFLICT`.
   */
  remove(text: string, options: RemoveOptions): Removal[] {
    const documents: Digest[] = [];
    const remove = (catalogue: Catalogue): Removal[] => {
      const found = findImage(catalogue, text);
      if (found === undefined) throw noSuchImage(text);
      const { id, reference } = found;
      const entry = catalogue.images.get(id);
      const request = { id, typed: text, force: options.force ?? false, users: options.usersOf(id) };
      const result = removeFromCatalogue(catalogue, reference === undefined ? request : { ...request, reference });
      if (entry !== undefined && !catalogue.images.has(id)) documents.push(...unneededDocuments(catalogue, id, entry));
      return result;
    };
    // When no image names them any more, and under the lock: no killed removal leaves an image without its config.
    const removals = this.#catalogue.update(remove, undefined, () => {
      for (const digest of documents) rmSync(this.#blobPath(digest), { force: true });
    });
    this.collectGarbage(options.layerInUse);
    return removals;
  }

  /** Gives up layers that were made for an image which did not come about, unless another one has them meanwhile. */
  discardLayers(chainIds: readonly Digest[], layerInUse: (chainId: Digest) => boolean): void {
    this.#catalogue.update((catalogue) => {
      const used = new Set<Digest>();
      for (const entry of catalogue.images.values()) for (const layer of entry.layers) used.add(layer.chainId);
      for (const chainId of chainIds) if (!used.has(chainId)) catalogue.removing.add(chainId);
    });
    this.collectGarbage(layerInUse);
  }

  /**
   * Deletes layers that no image has: what a pull or a load left that was killed after its layers and before its image.
   * Those of one that is under way stay, since it holds them, and so do `kept`. Returns the bytes of their files.
   */
  removeOrphans(layerInUse: (chainId: Digest) => boolean, kept: ReadonlySet<Digest>): number {
    const layers = this.layers.chainIds().filter((chainId) => !kept.has(chainId));
    const bytes = new Map(layers.map((chainId) => [chainId, this.layers.record(chainId)?.bytes ?? 0]));
    this.layers.sweep();
    this.discardLayers(layers, layerInUse);
    const left = new Set(this.layers.chainIds());
    return layers.reduce((sum, chainId) => sum + (left.has(chainId) ? 0 : (bytes.get(chainId) ?? 0)), 0);
  }

  /** Deletes layers that `remove` could not delete at its time. Cheap when there are none. */
  collectGarbage(layerInUse: (chainId: Digest) => boolean): void {
    const { removing } = this.#catalogue.read();
    if (removing.size === 0) return;
    const exclusive = this.layers.tryExclusive();
    // Someone pulls or makes a container: the next removal will do it.
    if (exclusive === undefined) return;
    const finish: (() => void)[] = [];
    try {
      this.#catalogue.update((catalogue) => {
        // What was pulled again since then is not in the list any more.
        for (const chainId of [...catalogue.removing]) {
          const deletion = layerInUse(chainId) ? undefined : this.layers.detach(chainId);
          if (deletion === undefined) continue;
          finish.push(deletion);
          catalogue.removing.delete(chainId);
        }
      });
    } finally {
      exclusive.release();
      for (const deletion of finish) deletion();
    }
  }

  /**
   * Records an image whose layers are all there. What its names meant before is returned by name.
   * @param onDamaged called when images.json did not read and was set aside under the name that it is told
   */
  add(image: NewImage, onDamaged?: (path: string) => void): Map<string, Digest | undefined> {
    return this.#catalogue.update((catalogue) => {
      // Under the lock, so that a removal of an image with the same documents comes before or after all of this.
      for (const blob of image.blobs) this.#writeBlob(blob.digest, blob.bytes);
      const before = new Map<string, Digest | undefined>();
      const existing = catalogue.images.get(image.id);
      const documents = new Set([...(existing?.documents ?? []), ...image.entry.documents]);
      const parent = image.entry.parent ?? existing?.parent;
      // A name that it has already is no new one.
      const isNew = image.references.some((name) => catalogue.references.get(formatReference(name)) !== image.id);
      const tagged = isNew ? new Date().toISOString() : existing?.tagged;
      catalogue.images.set(image.id, {
        ...image.entry,
        documents: [...documents],
        ...(parent === undefined ? {} : { parent }),
        ...(tagged === undefined ? {} : { tagged }),
      });
      for (const reference of image.references) {
        const name = formatReference(reference);
        before.set(name, catalogue.references.get(name));
        catalogue.references.set(name, image.id);
      }
      for (const layer of image.entry.layers) catalogue.removing.delete(layer.chainId);
      return before;
    }, onDamaged);
  }

  /** An image that is there is known by a digest too: that of `manifest`, under which a registry has it. */
  addDigest(id: Digest, reference: Reference, manifest: { digest: Digest; bytes: Uint8Array }): void {
    this.#catalogue.update((catalogue) => {
      const entry = catalogue.images.get(id);
      // Removed meanwhile.
      if (entry === undefined) return;
      this.#writeBlob(manifest.digest, manifest.bytes);
      const documents = [...new Set([...entry.documents, manifest.digest])];
      catalogue.images.set(id, { ...entry, documents });
      catalogue.references.set(formatReference(reference), id);
    });
  }

  #blobPath(digest: Digest): string {
    return join(this.root, 'blobs', digestAlgorithm(digest), digestHex(digest));
  }

  /** A document by its digest; undefined where it is absent or its content is another one. */
  readBlob(digest: Digest): Buffer | undefined {
    try {
      const bytes = readOwn(this.#blobPath(digest));
      return matchesDigest(bytes, digest) ? bytes : undefined;
    } catch (error) {
      if (errorCode(error) === 'ENOENT') return undefined;
      throw storeError(error, `cannot read "${this.#blobPath(digest)}"`);
    }
  }

  /** Under the catalogue's lock: so one temporary name serves all, and the next writer overwrites what a kill left. */
  #writeBlob(digest: Digest, bytes: Uint8Array): void {
    if (this.readBlob(digest) !== undefined) return;
    const path = this.#blobPath(digest);
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    const temporary = join(dirname(path), '.tmp');
    try {
      writeFileSync(temporary, bytes, { mode: 0o600 });
      renameSync(temporary, path);
    } catch (error) {
      rmSync(temporary, { force: true });
      throw error;
    }
  }

  /** The config of an image, verified. Throws `CORRUPT`; `name` is what to pull again. */
  readConfig(id: Digest, name?: string): ImageConfig {
    const source = { name: `"${this.#blobPath(id)}"`, code: 'CORRUPT', hint: repairHint(name) } as const;
    return parseConfig(this.configBytes(id, name), source);
  }

  /** The config as it stands. Throws as `readConfig` does, and `NOT_FOUND` when the image was removed since it was looked up. */
  configBytes(id: Digest, name?: string): Buffer {
    const bytes = this.readBlob(id);
    if (bytes === undefined && !this.#catalogue.read().images.has(id)) throw noSuchImage(name ?? id);
    if (bytes === undefined) throw corrupt(`"${this.#blobPath(id)}" is missing or not what its name says`, name);
    return bytes;
  }
}

/** The documents of an image that is gone, but for those that another one has too. */
function unneededDocuments(catalogue: Catalogue, id: Digest, entry: ImageEntry): Digest[] {
  const needed = new Set<Digest>();
  for (const [otherId, other] of catalogue.images)
    for (const digest of [otherId, ...other.documents]) needed.add(digest);
  return [id, ...entry.documents].filter((digest) => !needed.has(digest));
}

function repairHint(name: string | undefined): string {
  return name === undefined
    ? 'remove the image and pull it again'
    : `pull it again: tsrun pull ${familiarName(parseReference(name))}`;
}

function corrupt(problem: string, name: string | undefined): TsrunError {
  return new TsrunError('CORRUPT', problem, { hint: repairHint(name) });
}
