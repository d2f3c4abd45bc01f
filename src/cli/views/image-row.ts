/** The lines of `images`: one for each name of an image. */
import { familiarRepository, parseReference } from '../../image/reference.ts';
import type { StoredImage } from '../../image/store.ts';
import type { Struct, Value } from '../format/value.ts';
import { humanSize, timeAgo } from '../units.ts';
import { localTime } from './status.ts';

export const imageTitles: Readonly<Record<string, Value>> = {
  Containers: 'CONTAINERS',
  CreatedAt: 'CREATED AT',
  CreatedSince: 'CREATED',
  Digest: 'DIGEST',
  ID: 'IMAGE ID',
  Repository: 'REPOSITORY',
  SharedSize: 'SHARED SIZE',
  Size: 'SIZE',
  Tag: 'TAG',
  UniqueSize: 'UNIQUE SIZE',
  VirtualSize: 'SIZE',
};

const none = '<none>';

/** One name of an image, as a line shows it. */
export interface ImageName {
  repository: string;
  tag: string;
  digest: string;
}

/**
 * The names of an image in docker's way: a line for each tag; for a repository without a tag one for each digest; with
 * `digests` a tag has a line for each digest of its repository.
 */
export function imageNames(image: StoredImage, digests: boolean): ImageName[] {
  const tagged = image.references.map((name) => parseReference(name));
  const digested = image.repoDigests.map((name) => parseReference(name));
  const names: ImageName[] = [];
  const repositories = new Set(tagged.map(familiarRepository));
  for (const reference of tagged) {
    const repository = familiarRepository(reference);
    const ofRepository = digested.filter((other) => familiarRepository(other) === repository);
    const shown = digests && ofRepository.length > 0 ? ofRepository.map((other) => other.digest ?? none) : [none];
    for (const digest of shown) names.push({ repository, tag: reference.tag ?? none, digest });
  }
  for (const reference of digested) {
    const repository = familiarRepository(reference);
    if (!repositories.has(repository)) names.push({ repository, tag: none, digest: reference.digest ?? none });
  }
  return names.length > 0 ? names : [{ repository: none, tag: none, digest: none }];
}

/** The row of one name of an image. */
export function imageRow(image: StoredImage, name: ImageName, options: { truncate: boolean; now?: Date }): Struct {
  return {
    Containers: 'N/A',
    get CreatedAt() {
      return localTime(image.created);
    },
    CreatedSince: timeAgo(new Date(image.created), options.now),
    Digest: name.digest,
    ID: options.truncate ? image.id.replace(/^sha256:/, '').slice(0, 12) : image.id,
    Repository: name.repository,
    SharedSize: 'N/A',
    Size: humanSize(image.size),
    Tag: name.tag,
    UniqueSize: 'N/A',
    VirtualSize: humanSize(image.size, 4),
  };
}
