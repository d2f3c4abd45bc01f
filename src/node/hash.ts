/** Hashes, by the host: all bytes at once, since nobody hashes here what does not fit into memory anyway. */
import { engine } from './engine.ts';

class Sha256 {
  private readonly parts: Uint8Array[] = [];

  update(data: Uint8Array | string): this {
    this.parts.push(Buffer.from(data as Uint8Array));
    return this;
  }

  digest(encoding?: 'hex'): Buffer | string {
    const bytes = Buffer.from(engine.sha256(Buffer.concat(this.parts)));
    return encoding === undefined ? bytes : bytes.toString(encoding);
  }
}

/** As `createHash` of `node:crypto`, for SHA-256; others are the large engine's. */
export function hashOf(algorithm: string): Sha256 {
  return algorithm === 'sha256' ? new Sha256() : engine.handOver();
}
