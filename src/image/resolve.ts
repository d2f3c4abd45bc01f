/**
 * From a reference to the manifest and config of one image: the registry's mirrors in order, then the registry; through
 * indexes to the platform that is wanted. Everything below the first document is named by digest and verified, and is
 * taken from the store where it is there already.
 */
import { TsrunError } from '../error.ts';
import { type ImageConfig, maxConfigBytes, parseConfig } from './config.ts';
import { type Digest, digestOf } from './digest.ts';
import { RequestError } from './errors.ts';
import { chooseEntry, type Index, type Manifest, parseManifest } from './manifest.ts';
import type { Platform } from './platform.ts';
import { familiarName, type Reference } from './reference.ts';
import type { Registry, Repository } from './registry.ts';
import { type RetryPolicy, withRetry } from './retry.ts';

/** A JSON document of an image with its name. */
export interface Document {
  digest: Digest;
  bytes: Uint8Array;
}

export interface ResolvedManifest {
  /** What the registry has under the name: the digest of the index, or of the manifest where there is no index. */
  topDigest: Digest;
  manifest: Manifest;
  manifestDigest: Digest;
  /** The indexes and the manifest. */
  documents: Document[];
  /** In the order in which blobs are to be asked for: the one that had the manifest first. */
  registries: readonly Registry[];
}

export interface ResolveOptions {
  reference: Reference;
  repository: Repository;
  registries: readonly Registry[];
  platform: Platform;
  policy: RetryPolicy;
  signal?: AbortSignal | undefined;
  /** Whether the store has an image of this name: then asking what the name means now may be enough. */
  known: boolean;
  /** A document that the store has. */
  stored: (digest: Digest) => Uint8Array | undefined;
  onWarning: (text: string) => void;
}

/** An index may list further indexes; nobody nests them deeper. */
const maxIndexDepth = 3;

interface Fetched extends Document {
  mediaType: string;
}

/** The first registry that has it, and what it has; the last error when none does. */
async function fromAny<T>(
  options: ResolveOptions,
  registries: readonly Registry[],
  action: (registry: Registry) => Promise<T>,
): Promise<{ value: T; registry: Registry }> {
  const failures: { registry: Registry; error: RequestError }[] = [];
  for (const [index, registry] of registries.entries()) {
    const last = index === registries.length - 1;
    try {
      // While there is another address, waiting for a broken one is no use.
      const policy = last ? options.policy : { ...options.policy, attempts: 2 };
      return { value: await withRetry(() => action(registry), { policy, signal: options.signal }), registry };
    } catch (error) {
      if (!(error instanceof RequestError)) throw error;
      failures.push({ registry, error });
    }
  }
  throw combine(failures);
}

/** One error for all addresses: the registry's own, and what the mirrors said before. */
function combine(failures: readonly { registry: Registry; error: RequestError }[]): TsrunError {
  const last = failures.at(-1);
  if (last === undefined) return new TsrunError('REGISTRY', 'there is no registry to ask');
  const mirrors = failures.slice(0, -1).map(({ registry, error }) => `${registry.name}: ${error.message}`);
  if (mirrors.length === 0) return last.error;
  return new TsrunError(last.error.code, `${last.error.message} (before that ${mirrors.join('; ')})`, {
    cause: last.error,
    hint: last.error.hint,
  });
}

function ordered(registries: readonly Registry[], first: Registry): Registry[] {
  return [first, ...registries.filter((registry) => registry !== first)];
}

/**
 * What the name means at one registry. Where it still means what the store has, its document is not fetched again: Docker
 * Hub counts fetched manifests as pulls. (A registry that lies here could as well serve the old manifest.)
 */
async function topFrom(registry: Registry, options: ResolveOptions): Promise<Fetched> {
  const { reference, repository } = options;
  if (reference.digest === undefined && options.known) {
    const digest = await registry.manifestDigest(repository, reference.tag ?? '');
    const bytes = digest === undefined ? undefined : options.stored(digest);
    if (digest !== undefined && bytes !== undefined) return { digest, bytes, mediaType: '' };
  }
  const answer = await registry.manifest(repository, reference.digest ?? reference.tag ?? '');
  return { digest: reference.digest ?? digestOf(answer.bytes), ...answer };
}

async function fetchTop(options: ResolveOptions): Promise<Fetched & { registry: Registry }> {
  const { value, registry } = await fromAny(options, options.registries, (candidate) => topFrom(candidate, options));
  return { ...value, registry };
}

/**
 * Finds the image's manifest. Throws `NOT_FOUND` (also for a platform that is not there, with those that are),
 * `UNAUTHORIZED`, `RATE_LIMIT`, `NETWORK`, `REGISTRY`, `VERIFICATION`, `UNSUPPORTED`.
 */
export async function resolveManifest(options: ResolveOptions): Promise<ResolvedManifest> {
  const name = familiarName(options.reference);
  const top = await fetchTop(options);
  const registries = ordered(options.registries, top.registry);
  for (const registry of options.registries) {
    if (registry === top.registry) break;
    options.onWarning(`${registry.name} did not have ${name}: using ${top.registry.name}`);
  }

  const documents: Document[] = [];
  let current: Fetched = top;
  for (let depth = 0; ; depth++) {
    documents.push({ digest: current.digest, bytes: current.bytes });
    const source = { name: `manifest of "${name}" (${current.digest})`, code: 'REGISTRY' } as const;
    const parsed: Manifest | Index = parseManifest(current.bytes, current.mediaType, source);
    if (parsed.kind === 'manifest') {
      return { topDigest: top.digest, manifest: parsed, manifestDigest: current.digest, documents, registries };
    }
    if (depth === maxIndexDepth) throw new TsrunError('REGISTRY', `the index of "${name}" leads to ever more indexes`);
    const entry = chooseEntry(parsed, options.platform, name);
    const stored = options.stored(entry.digest);
    if (stored !== undefined) {
      current = { digest: entry.digest, bytes: stored, mediaType: entry.mediaType };
      continue;
    }
    const { value } = await fromAny(options, registries, (registry) =>
      registry.manifest(options.repository, entry.digest),
    );
    if (value.bytes.length !== entry.size) {
      throw new TsrunError(
        'VERIFICATION',
        `manifest ${entry.digest} has ${value.bytes.length} bytes, its index says ${entry.size}`,
      );
    }
    current = { digest: entry.digest, bytes: value.bytes, mediaType: value.mediaType };
  }
}

/** The config that a manifest names, verified and parsed. Throws as `resolveManifest` does. */
export async function resolveConfig(
  resolved: ResolvedManifest,
  options: ResolveOptions,
): Promise<{ config: ImageConfig; document: Document }> {
  const { digest } = resolved.manifest.config;
  const name = familiarName(options.reference);
  let bytes = options.stored(digest);
  if (bytes === undefined) {
    const blob = await fromAny(options, resolved.registries, (registry) =>
      registry.smallBlob(options.repository, digest, maxConfigBytes),
    );
    bytes = blob.value;
  }
  const source = { name: `config of "${name}" (${digest})`, code: 'REGISTRY' } as const;
  const config = parseConfig(bytes, source);
  if (config.diffIds.length !== resolved.manifest.layers.length) {
    const counts = `${resolved.manifest.layers.length} layers and its config ${config.diffIds.length}`;
    throw new TsrunError('REGISTRY', `the manifest of "${name}" has ${counts}`, {
      hint: 'the image was built or copied wrongly',
    });
  }
  return { config, document: { digest, bytes } };
}
