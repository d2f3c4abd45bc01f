/**
 * Manifest lists that are being put together here, and not pushed yet: `manifest create`, `annotate`, `push`.
 *
 *     manifests/<sha256 of the list's full name>.json   {"version": 1, "name", "entries": [...]}
 */
import { mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { TsrunError } from '../error.ts';
import { readOwnText } from '../linux/own-file.ts';
import { digestHex, digestOf, isDigest } from './digest.ts';
import { errorCode, storeError } from './errors.ts';
import { type Json, parseJson } from './json.ts';
import type { Descriptor } from './manifest.ts';
import { dockerManifest, dockerManifestList, ociIndex } from './media-types.ts';
import { formatReference, parseReference, type Reference } from './reference.ts';

export interface ListedPlatform {
  architecture: string;
  os: string;
  osVersion: string;
  osFeatures: string[];
  variant: string;
}

export interface ListEntry extends Descriptor {
  /** In full: where the manifest is. */
  reference: string;
  platform: ListedPlatform;
}

export interface ManifestList {
  /** In full. */
  name: string;
  entries: ListEntry[];
}

const maxEntries = 1000;

function parseEntry(json: Json): ListEntry {
  const digest = json.get('digest').string(200);
  if (!isDigest(digest)) throw json.get('digest').fail('is no digest');
  const platform = json.get('platform');
  const text = (name: string): string => platform.get(name).optionalString() ?? '';
  return {
    reference: json.get('reference').string(),
    mediaType: json.get('mediaType').string(),
    digest,
    size: json.get('size').size(),
    platform: {
      architecture: text('architecture'),
      os: text('os'),
      osVersion: text('osVersion'),
      osFeatures: platform.get('osFeatures').strings(maxEntries),
      variant: text('variant'),
    },
  };
}

export class ManifestLists {
  readonly #directory: string;

  /** `root`: the data root. */
  constructor(root: string) {
    this.#directory = join(root, 'manifests');
  }

  #path(reference: Reference): string {
    return join(this.#directory, `${digestHex(digestOf(formatReference(reference)))}.json`);
  }

  /** The list of that name; undefined: there is none. Throws `CORRUPT`. */
  find(reference: Reference): ManifestList | undefined {
    const path = this.#path(reference);
    let text: string;
    try {
      text = readOwnText(path);
    } catch (error) {
      if (errorCode(error) === 'ENOENT') return undefined;
      throw storeError(error, `cannot read "${path}"`);
    }
    const hint = 'remove it: tsrun manifest rm';
    const json = parseJson(text, { name: path, code: 'CORRUPT', hint });
    return { name: json.get('name').string(), entries: json.get('entries').array(maxEntries).map(parseEntry) };
  }

  /** Writes a list; one of the same name is replaced. */
  save(reference: Reference, entries: readonly ListEntry[]): void {
    const path = this.#path(reference);
    const temporary = `${path}.${process.pid}`;
    const content = { version: 1, name: formatReference(reference), entries };
    try {
      mkdirSync(this.#directory, { recursive: true, mode: 0o700 });
      writeFileSync(temporary, `${JSON.stringify(content, undefined, 1)}\n`, { mode: 0o600 });
      renameSync(temporary, path);
    } catch (error) {
      rmSync(temporary, { force: true });
      throw storeError(error, `cannot write "${path}"`);
    }
  }

  /** Whether there was one. */
  remove(reference: Reference): boolean {
    try {
      rmSync(this.#path(reference));
      return true;
    } catch (error) {
      if (errorCode(error) === 'ENOENT') return false;
      throw storeError(error, `cannot remove the manifest list ${formatReference(reference)}`);
    }
  }
}

/** The entry that `text` means, by its name or its digest. Throws `NOT_FOUND` in docker's words. */
export function entryOf(list: ManifestList, text: string): ListEntry {
  const name = formatReference(parseReference(text));
  const found = list.entries.find(({ reference }) => reference === name);
  if (found !== undefined) return found;
  throw new TsrunError('NOT_FOUND', `manifest for image ${text} does not exist in ${list.name}`, {
    hint: 'tsrun manifest create --amend adds it',
  });
}

/** The list as registries keep it. All of Docker's: a list of Docker's; else an index of the OCI. */
export function formatManifestList(list: ManifestList): { mediaType: string; bytes: Buffer } {
  const docker = list.entries.every(({ mediaType }) => mediaType === dockerManifest);
  const mediaType = docker ? dockerManifestList : ociIndex;
  const manifests = list.entries.map(({ mediaType: type, size, digest, platform }) => ({
    mediaType: type,
    size,
    digest,
    platform: platformDocument(platform),
  }));
  const document = { schemaVersion: 2, mediaType, manifests };
  return { mediaType, bytes: Buffer.from(JSON.stringify(document, undefined, 3)) };
}

/** As the image-spec has it; what is not said is left out. */
export function platformDocument({ architecture, os, osVersion, osFeatures, variant }: ListedPlatform): object {
  return {
    architecture,
    os,
    ...(osVersion === '' ? {} : { 'os.version': osVersion }),
    ...(osFeatures.length === 0 ? {} : { 'os.features': osFeatures }),
    ...(variant === '' ? {} : { variant }),
  };
}
