/**
 * Hashes of the engine that runs this. Not by an import of node:crypto: it takes as long to load as a third of an empty
 * program, and the executable's engine has hashes without it.
 */

/** What is used of a hash, of either engine. */
export interface Hasher {
  update(bytes: Uint8Array | string): Hasher;
  digest(): Buffer;
  digest(encoding: 'hex'): string;
}

declare const Bun: { CryptoHasher: new (algorithm: string) => Hasher } | undefined;

/** A hash to be fed in parts; `algorithm` is `sha256` or `sha512`. */
export function createHash(algorithm: string): Hasher {
  return typeof Bun === 'undefined'
    ? process.getBuiltinModule('node:crypto').createHash(algorithm)
    : new Bun.CryptoHasher(algorithm);
}

/** SHA-256 of `bytes`, 32 bytes. */
export function sha256(bytes: Uint8Array | string): Buffer {
  return createHash('sha256').update(bytes).digest();
}
