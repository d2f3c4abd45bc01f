/** Digests of content as the OCI image-spec has them (descriptor.md, "Digests"), and chain ids (config.md, "Layer ChainID"). */
import { createHash, type Hasher } from '../linux/hash.ts';

/** `algorithm:hex`, checked: safe to use in a path. */
export type Digest = string & { readonly __brand: 'Digest' };

/** Length of the hexadecimal part by algorithm: those that the image-spec registers and Node hashes natively. */
const hexLength: Readonly<Record<string, number>> = { sha256: 64, sha512: 128 };

/** Why `text` is no digest, in docker's words; undefined where it is one. */
export function digestProblem(text: string): string | undefined {
  const match = /^([A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*):([0-9a-fA-F]+)$/.exec(text);
  if (match === null) return 'invalid checksum digest format';
  const length = hexLength[match[1] as string];
  if (length === undefined || !Object.hasOwn(hexLength, match[1] as string)) return 'unsupported digest algorithm';
  if ((match[2] as string).length !== length) return 'invalid checksum digest length';
  if (/[A-F]/.test(match[2] as string)) return 'invalid checksum digest format';
  return undefined;
}

export function isDigest(text: string): text is Digest {
  return digestProblem(text) === undefined;
}

/** `sha256` of `sha256:abc…`. */
export function digestAlgorithm(digest: Digest): string {
  return digest.slice(0, digest.indexOf(':'));
}

/** `abc…` of `sha256:abc…`. */
export function digestHex(digest: string): string {
  return digest.slice(digest.indexOf(':') + 1);
}

/** The twelve digits that people see: of an image id, of a layer in the progress. */
export function shortDigest(digest: string): string {
  return digestHex(digest).slice(0, 12);
}

/** Hashes with an algorithm of a digest, a chunk at a time. */
export class Digester {
  readonly #algorithm: string;
  readonly #hash: Hasher;

  constructor(algorithm = 'sha256') {
    this.#algorithm = algorithm;
    this.#hash = createHash(algorithm);
  }

  update(bytes: Uint8Array): void {
    this.#hash.update(bytes);
  }

  /** Ends the hashing. */
  digest(): Digest {
    return `${this.#algorithm}:${this.#hash.digest('hex')}` as Digest;
  }
}

/** The digest of `bytes`, by default sha256; `algorithm` is taken from a digest to compare with. */
export function digestOf(bytes: Uint8Array | string, algorithm = 'sha256'): Digest {
  return `${algorithm}:${createHash(algorithm).update(bytes).digest('hex')}` as Digest;
}

/** Whether `bytes` are what `digest` names. */
export function matchesDigest(bytes: Uint8Array, digest: Digest): boolean {
  return digestOf(bytes, digestAlgorithm(digest)) === digest;
}

/**
 * Chain ids of layers, lowest first: the first is its diffID, each further one the hash of the one below and its own
 * diffID. A chain id names the stack up to a layer; that is what an unpacked layer depends on.
 */
export function chainIds(diffIds: readonly Digest[]): Digest[] {
  const chain: Digest[] = [];
  for (const diffId of diffIds) {
    const below = chain.at(-1);
    chain.push(below === undefined ? diffId : digestOf(`${below} ${diffId}`));
  }
  return chain;
}
