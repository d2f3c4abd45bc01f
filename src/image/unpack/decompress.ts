/**
 * Inflates a layer as it comes: gzip (several members too), zstd, or a plain tar archive, told apart by their first bytes,
 * because media types lie. gzip is inflated by Node's thread pool while this thread writes the bytes before.
 */
import { createGunzip, type Gunzip } from 'node:zlib';
import { TsrunError } from '../../error.ts';
import { archiveError } from './byte-path.ts';
import { ZstdFrames } from './zstd-frames.ts';

export interface Decompressor {
  /** Takes compressed bytes; resolves when it wants more. Rejects with `ARCHIVE`, or with what the output threw. */
  write(chunk: Buffer): Promise<void>;
  /** No more will come; resolves when all output has been delivered. */
  end(): Promise<void>;
  /** Gives up. */
  destroy(): void;
}

/** Receives inflated bytes, valid only during the call. */
export type Output = (chunk: Buffer) => void;

/** Bytes that tell formats apart; an archive that is shorter is told by what there is. */
export const magicSize = 6;

/** Inflated bytes at a time: the default of 16 KiB costs a third more (docs/decisions). */
const gzipChunkSize = 256 * 1024;

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
  if (ZstdFrames.begins(magic)) return new ZstdFrames(output);
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

class GzipDecompressor implements Decompressor {
  private readonly gunzip: Gunzip;
  private failure: unknown;
  private fail: (error: unknown) => void = () => {};
  private readonly failed: Promise<never>;
  /** zlib found the end of the last member and took nothing of what is behind it. */
  private ended = false;
  private given = 0;
  private wake: () => void = () => {};

  constructor(output: Output) {
    this.gunzip = createGunzip({ chunkSize: gzipChunkSize });
    this.failed = new Promise<never>((_, reject) => {
      this.fail = (error) => {
        this.failure ??= error;
        reject(this.failure);
        this.gunzip.destroy();
      };
    });
    this.failed.catch(() => {});
    this.gunzip.on('error', (error) => this.fail(this.translate(error)));
    // It ends by itself when something follows that is no member; a write that waits is then never answered.
    this.gunzip.once('end', () => {
      this.ended = true;
      this.wake();
    });
    this.gunzip.on('data', (chunk: Buffer) => {
      // Later in this turn: by then zlib has begun with the next piece in another thread.
      queueMicrotask(() => {
        if (this.failure !== undefined) return;
        try {
          output(chunk);
        } catch (error) {
          this.fail(error);
        }
      });
    });
  }

  private translate(error: unknown): unknown {
    const code = error instanceof Error && 'code' in error ? error.code : '';
    if (code === 'Z_BUF_ERROR') return archiveError(undefined, 'ends in the middle of its gzip data');
    const reason = error instanceof Error ? error.message : String(error);
    return archiveError(undefined, `has damaged gzip data (${reason})`);
  }

  async write(chunk: Buffer): Promise<void> {
    this.given += chunk.length;
    if (!this.ended) {
      const { promise, resolve } = wakeable();
      this.wake = resolve;
      this.gunzip.write(chunk, () => resolve());
      await Promise.race([this.failed, promise]);
    }
    if (!this.ended) return;
    const behind = Math.min(chunk.length, this.given - this.gunzip.bytesWritten);
    if (chunk.subarray(chunk.length - behind).some((byte) => byte !== 0)) {
      throw archiveError(undefined, 'has something behind its gzip data');
    }
  }

  async end(): Promise<void> {
    if (!this.ended) {
      const { promise, resolve } = wakeable();
      this.wake = resolve;
      this.gunzip.end();
      await Promise.race([this.failed, promise]);
    }
    if (this.failure !== undefined) throw this.failure;
  }

  destroy(): void {
    this.failure ??= new TsrunError('INTERRUPTED', 'unpacking was given up');
    this.gunzip.destroy();
  }
}

function wakeable(): { promise: Promise<void>; resolve: () => void } {
  let resolve = () => {};
  const promise = new Promise<void>((done) => {
    resolve = done;
  });
  return { promise, resolve };
}
