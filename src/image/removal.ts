/**
 * What `rmi` takes away, decided on the catalogue alone: docker's rules for untagging and deleting, in docker's words.
 */
import { TsrunError } from '../error.ts';
import type { Catalogue, ImageEntry } from './catalogue.ts';
import { type Digest, shortDigest } from './digest.ts';
import { familiarName, parseReference, type Reference, repositoryName } from './reference.ts';

/** One line of rmi's output. */
export type Removal = { untagged: string } | { deleted: Digest };

/** A container made from an image. */
export interface ImageUser {
  /** The container's id. */
  id: string;
  running: boolean;
}

export interface RemovalRequest {
  id: Digest;
  /** The full name that was given; absent where the image was named by its id. */
  reference?: string;
  /** As the user typed it, for messages. */
  typed: string;
  /** Untag all names, and do not mind containers that are stopped. */
  force: boolean;
  /** Containers of the image. */
  users: readonly ImageUser[];
}

interface Name {
  full: string;
  reference: Reference;
}

function namesOf(catalogue: Catalogue, id: Digest): Name[] {
  const names: Name[] = [];
  for (const [full, owner] of catalogue.references) {
    if (owner === id) names.push({ full, reference: parseReference(full) });
  }
  // Tags before digests, as docker lists them.
  return names.sort((a, b) => Number(a.reference.digest !== undefined) - Number(b.reference.digest !== undefined));
}

/** Whether all names are one tag and digests of its repository, so that they go together. */
function isSingleName(names: readonly Name[]): boolean {
  const tags = names.filter((name) => name.reference.digest === undefined);
  const repositories = new Set(names.map((name) => repositoryName(name.reference)));
  return names.length > 0 && tags.length <= 1 && repositories.size === 1;
}

function untag(catalogue: Catalogue, names: readonly Name[]): Removal[] {
  for (const name of names) catalogue.references.delete(name.full);
  return names.map((name) => ({ untagged: familiarName(name.reference) }));
}

/** The layers of `entry` that no other image has, topmost first. */
function ownLayers(catalogue: Catalogue, id: Digest, entry: ImageEntry): Digest[] {
  const shared = new Set<Digest>();
  for (const [otherId, other] of catalogue.images) {
    if (otherId !== id) for (const layer of other.layers) shared.add(layer.chainId);
  }
  return entry.layers
    .map((layer) => layer.chainId)
    .filter((chainId) => !shared.has(chainId))
    .reverse();
}

function conflict(message: string, hint: string): TsrunError {
  return new TsrunError('CONFLICT', `conflict: ${message}`, { hint });
}

function userConflict(request: RemovalRequest): TsrunError | undefined {
  const image = shortDigest(request.id);
  const running = request.users.find((user) => user.running);
  if (running !== undefined) {
    const container = running.id.slice(0, 12);
    return conflict(
      `unable to delete ${image} (cannot be forced) - image is being used by running container ${container}`,
      `stop and remove it first: tsrun rm -f ${container}`,
    );
  }
  const stopped = request.users[0];
  if (stopped === undefined || request.force) return undefined;
  const container = stopped.id.slice(0, 12);
  return conflict(
    `unable to delete ${image} (must be forced) - image is being used by stopped container ${container}`,
    `remove it first: tsrun rm ${container}`,
  );
}

/** Takes the image out of the catalogue; its own layers are noted as to be deleted. */
function deleteImage(catalogue: Catalogue, id: Digest): Removal[] {
  const entry = catalogue.images.get(id);
  if (entry === undefined) return [];
  const layers = ownLayers(catalogue, id, entry);
  catalogue.images.delete(id);
  for (const chainId of layers) catalogue.removing.add(chainId);
  return [{ deleted: id }, ...layers.map((chainId) => ({ deleted: chainId }))];
}

function removeByName(catalogue: Catalogue, request: RemovalRequest, given: string): Removal[] {
  const names = namesOf(catalogue, request.id);
  const user = request.users[0];
  if (!request.force && isSingleName(names) && user !== undefined) {
    const using = `container ${user.id.slice(0, 12)} is using its referenced image ${shortDigest(request.id)}`;
    throw conflict(
      `unable to remove repository reference "${request.typed}" (must force) - ${using}`,
      `remove the container first: tsrun rm ${user.id.slice(0, 12)}`,
    );
  }
  const name = names.find((candidate) => candidate.full === given);
  if (name === undefined) return [];
  const removals = untag(catalogue, [name]);
  let rest = names.filter((candidate) => candidate !== name);
  if (name.reference.digest === undefined) {
    // With its last tag the repository's digests go too.
    const repository = repositoryName(name.reference);
    const ofRepository = rest.filter((candidate) => repositoryName(candidate.reference) === repository);
    if (ofRepository.every((candidate) => candidate.reference.digest !== undefined)) {
      removals.push(...untag(catalogue, ofRepository));
      rest = rest.filter((candidate) => !ofRepository.includes(candidate));
    }
  }
  // An image that a container uses stays, without a name.
  if (rest.length > 0 || userConflict(request) !== undefined) return removals;
  return [...removals, ...deleteImage(catalogue, request.id)];
}

/**
 * Removes a name or an image from the catalogue and says what went, as rmi prints it.
 * Throws `CONFLICT` in docker's words.
 */
export function removeFromCatalogue(catalogue: Catalogue, request: RemovalRequest): Removal[] {
  if (request.reference !== undefined) return removeByName(catalogue, request, request.reference);
  const names = namesOf(catalogue, request.id);
  const inUse = userConflict(request);
  if (inUse !== undefined) throw inUse;
  if (names.length > 0 && !isSingleName(names) && !request.force) {
    throw conflict(
      `unable to delete ${shortDigest(request.id)} (must be forced) - image is referenced in multiple repositories`,
      'name the one to remove, or use -f for all of them',
    );
  }
  return [...untag(catalogue, names), ...deleteImage(catalogue, request.id)];
}
