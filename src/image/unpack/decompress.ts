/**
 * Inflates a layer as it comes: gzip (several members too), zstd, or a plain tar archive, told apart by their first bytes,
 * because media types lie.
 */
import { createGunzip } from 'node:zlib';
import { archiveError } from './byte-path.ts';
import type { Decompressor, Output } from './decompressor.ts';
import { InflatePipe, inflatedChunkSize } from './inflate-pipe.ts';
import { createZstdDecompressor } from './zstd.ts';
import { beginsWithZstd } from './zstd-frames.ts';

/** Bytes that tell formats apart; an archive that is shorter is told by what there is. */
export const magicSize = 6;

const refused: readonly [bytes: readonly number[], name: string][] = [
  [[0x42, 0x5a, 0x68], 'bzip2'],
  [[0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00], 'xz'],
  [[0x04, 0x22, 0x4d, 0x18], 'lz4'],
  [[0x4c, 0x5a, 0x49, 0x50], 'lzip'],
  [[0x5d, 0x00, 0x00], 'lzma'],
  [[0x1f, 0x9d], 'compress'],
  [[0x50, 0x4b, 0x03, 0x04], 'zip'],
];

/** Chooses by the first bytes of the layer. Throws `ARCHIVE` for compressions that images do not use. */
export function createDecompressor(magic: Buffer, output: Output): Decompressor {
  const begins = (bytes: readonly number[]) =>
    magic.length >= bytes.length && bytes.every((byte, i) => magic[i] === byte);
  if (begins([0x1f, 0x8b])) return new GzipDecompressor(output);
  if (beginsWithZstd(magic)) return createZstdDecompressor(output);
  const unknown = refused.find(([bytes]) => begins(bytes));
  if (unknown !== undefined) {
    throw archiveError(
      undefined,
      `is compressed with ${unknown[1]}`,
      'images have layers compressed with gzip or zstd, or not at all; push the image again with one of these',
    );
  }
  return { write: async (chunk) => output(chunk), end: async () => {}, destroy: () => {} };
}

/** gzip (RFC 1952). What follows the last member may be zeros, as tape writers leave them, and nothing else. */
class GzipDecompressor implements Decompressor {
  private readonly pipe: InflatePipe;
  private given = 0;

  constructor(output: Output) {
    this.pipe = new InflatePipe(createGunzip({ chunkSize: inflatedChunkSize }), 'gzip', output);
  }

  async write(chunk: Buffer): Promise<void> {
    this.given += chunk.length;
    await this.pipe.write(chunk);
    if (!this.pipe.ended) return;
    const behind = Math.min(chunk.length, this.given - this.pipe.consumed);
    if (chunk.subarray(chunk.length - behind).some((byte) => byte !== 0)) {
      throw archiveError(undefined, 'has something behind its gzip data');
    }
  }

  end(): Promise<void> {
    return this.pipe.end();
  }

  destroy(): void {
    this.pipe.destroy();
  }
}
