/**
 * `images.json`: which images there are and what they are called. It has one writer at a time (flock on images.lock) and
 * changes by rename, so that readers need no lock and a kill at any moment leaves the old or the new file.
 */
import {
  closeSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { TsrunError } from '../error.ts';
import { isSettled } from '../linux/change-times.ts';
import { O_CREAT, O_NOFOLLOW, O_RDWR } from '../linux/constants.ts';
import { AT_FDCWD, close, flock, openat } from '../linux/fs.ts';
import { readOwnText } from '../linux/own-file.ts';
import { type Digest, isDigest } from './digest.ts';
import { errorCode, storeError } from './errors.ts';
import { type Json, parseJson } from './json.ts';
import type { Platform } from './platform.ts';
import { formatReference, parseReference } from './reference.ts';

/**
 * One layer of an image. The compressed blob is not kept once it is unpacked (it would double what an image takes on
 * disk); what is recorded here is what a registry needs to be offered the layer again.
 */
export interface StoredLayer {
  /** Of the blob as it came. */
  digest: Digest;
  mediaType: string;
  /** Bytes of the blob. */
  size: number;
  diffId: Digest;
  /** Names the unpacked directory. */
  chainId: Digest;
  /** Bytes of the files in it. */
  bytes: number;
}

export interface ImageEntry {
  manifest: Digest;
  /** The JSON blobs that belong to it: its indexes and manifests. The config is the image's id. */
  readonly documents: readonly Digest[];
  /** RFC 3339, or empty. */
  created: string;
  platform: Platform;
  /** Bytes of the files of all layers. */
  bytes: number;
  /** Lowest first. */
  readonly layers: readonly StoredLayer[];
  /** The image that it was made from here, by `commit`; it may be gone. */
  parent?: Digest | undefined;
  /** When it got a name last (RFC 3339). */
  tagged?: string | undefined;
}

export interface Catalogue {
  /** Full names (`docker.io/library/debian:latest`, `docker.io/library/debian@sha256:…`) to image ids. */
  references: Map<string, Digest>;
  images: Map<Digest, ImageEntry>;
  /** Chain ids of layers that no image has any more and that are still to be deleted. */
  removing: Set<Digest>;
}

const repairHint =
  'pull any image: that sets the damaged file aside; layers are kept, so that pulling the others again is quick';

const maxImages = 100_000;
const maxReferences = 1_000_000;
const maxLayersOfImage = 10_000;

function digest(json: Json): Digest {
  const text = json.string(200);
  if (!isDigest(text)) throw json.fail('is no digest');
  return text;
}

function parseLayer(json: Json): StoredLayer {
  return {
    digest: digest(json.get('digest')),
    mediaType: json.get('mediaType').string(),
    size: json.get('size').size(),
    diffId: digest(json.get('diffId')),
    chainId: digest(json.get('chainId')),
    bytes: json.get('bytes').size(),
  };
}

function parsePlatformFields(json: Json): Platform {
  return {
    os: json.get('os').string(),
    architecture: json.get('architecture').string(),
    variant: json.get('variant').string(),
  };
}

function isFullName(name: string): boolean {
  try {
    return formatReference(parseReference(name)) === name;
  } catch {
    return false;
  }
}

/** Lists are read when they are asked for: most commands look at one image of many, and at few of its fields. */
function parseEntry(json: Json): ImageEntry {
  let documents: Digest[] | undefined;
  let layers: StoredLayer[] | undefined;
  return {
    manifest: digest(json.get('manifest')),
    get documents() {
      documents ??= json.get('documents').array(maxLayersOfImage).map(digest);
      return documents;
    },
    created: json.get('created').string(),
    platform: parsePlatformFields(json.get('platform')),
    bytes: json.get('bytes').size(),
    ...(json.get('parent').absent ? {} : { parent: digest(json.get('parent')) }),
    ...(json.get('tagged').absent ? {} : { tagged: json.get('tagged').string() }),
    get layers() {
      layers ??= json.get('layers').array(maxLayersOfImage).map(parseLayer);
      return layers;
    },
  };
}

function emptyCatalogue(): Catalogue {
  return { references: new Map(), images: new Map(), removing: new Set() };
}

/** Reads the text of images.json. Throws `CORRUPT` naming `path`. */
export function parseCatalogue(text: string, path: string): Catalogue {
  const json = parseJson(text, {
    name: path,
    code: 'CORRUPT',
    hint: repairHint,
  });
  if (json.get('version').size() !== 1)
    throw json.get('version').fail('is not 1: it was written by another version of tsrun');
  const catalogue = emptyCatalogue();
  for (const [id, entry] of json.get('images').entries(maxImages)) {
    if (!isDigest(id)) throw entry.fail('has no digest as its name');
    catalogue.images.set(id, parseEntry(entry));
  }
  for (const [name, value] of json.get('references').entries(maxReferences)) {
    const id = digest(value);
    if (!isFullName(name)) throw value.fail('is not the full name of an image');
    if (!catalogue.images.has(id)) throw value.fail('names an image that is not there');
    catalogue.references.set(name, id);
  }
  for (const item of json.get('removing').array(maxReferences)) catalogue.removing.add(digest(item));
  return catalogue;
}

/** The text of images.json. */
export function formatCatalogue(catalogue: Catalogue): string {
  const content = {
    version: 1,
    references: Object.fromEntries([...catalogue.references].sort(([a], [b]) => (a < b ? -1 : 1))),
    images: Object.fromEntries(catalogue.images),
    removing: [...catalogue.removing],
  };
  return `${JSON.stringify(content, undefined, 1)}\n`;
}

/** Writes a file whole or not at all: temporary name (always the same: one writes at a time), fsync, rename. */
function replaceFile(path: string, text: string): void {
  const temporary = `${path}.tmp`;
  const fd = openSync(temporary, 'w', 0o600);
  try {
    try {
      writeSync(fd, text);
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
    renameSync(temporary, path);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw error;
  }
}

/** The file of one data root. */
export class CatalogueFile {
  readonly path: string;
  readonly #root: string;

  constructor(root: string) {
    this.#root = root;
    this.path = join(root, 'images.json');
  }

  /** What there is now; no file means no images. Throws `CORRUPT`, `PERMISSION`. */
  read(): Catalogue {
    let text: string;
    try {
      text = readOwnText(this.path);
    } catch (error) {
      if (errorCode(error) === 'ENOENT') return emptyCatalogue();
      if (error instanceof TsrunError && error.code === 'CORRUPT')
        throw new TsrunError('CORRUPT', `${this.path}: is no ordinary file`, { hint: repairHint });
      throw storeError(error, `cannot read "${this.path}"`);
    }
    return parseCatalogue(text, this.path);
  }

  /** Names what there is now: while it stays the same nothing changes. Undefined where that cannot be told. */
  version(): string | undefined {
    const now = Date.now();
    const stats = statSync(this.path, { throwIfNoEntry: false });
    if (stats === undefined) return 'none';
    return isSettled(stats.ctimeMs, now) ? `${stats.ino} ${stats.size} ${stats.ctimeMs}` : undefined;
  }

  /**
   * Changes the catalogue while no one else does. What `change` throws leaves the file as it was.
   * @param onDamaged called instead of throwing `CORRUPT`: the damaged file was renamed to what it is told
   * @param written called when the file is there, and before anyone else may change it
   */
  update<T>(
    change: (catalogue: Catalogue) => T,
    onDamaged?: (path: string) => void,
    written: () => void = () => {},
  ): T {
    try {
      mkdirSync(this.#root, { recursive: true, mode: 0o700 });
      const lock = openat(AT_FDCWD, join(this.#root, 'images.lock'), O_RDWR | O_CREAT | O_NOFOLLOW, 0o600);
      try {
        flock(lock, 'exclusive', true);
        const catalogue = this.#readOrSetAside(onDamaged);
        const before = formatCatalogue(catalogue);
        const result = change(catalogue);
        const after = formatCatalogue(catalogue);
        if (after !== before || !existsSync(this.path)) replaceFile(this.path, after);
        written();
        return result;
      } finally {
        close(lock);
      }
    } catch (error) {
      throw storeError(error, `cannot write "${this.path}"`);
    }
  }

  #readOrSetAside(onDamaged: ((path: string) => void) | undefined): Catalogue {
    try {
      return this.read();
    } catch (error) {
      if (onDamaged === undefined || !(error instanceof TsrunError) || error.code !== 'CORRUPT') throw error;
      const aside = `${this.path}.damaged-${Date.now()}`;
      renameSync(this.path, aside);
      onDamaged(aside);
      return emptyCatalogue();
    }
  }
}
