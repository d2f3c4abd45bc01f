/**
 * A decompressing stream of node:zlib, driven so that two threads work: while zlib inflates a piece in Node's thread pool,
 * this thread does with the one before what `output` does.
 */
import type { Transform } from 'node:stream';
import { TsrunError } from '../../error.ts';
import { archiveError } from './byte-path.ts';
import type { Output } from './decompressor.ts';

/**
 * Inflated bytes at a time. Node's default of 16 KiB costs a third more; and in large pieces slow and fast files even out,
 * which keeps both threads busy.
 */
export const inflatedChunkSize = 1024 * 1024;

/** A stream of node:zlib; `bytesWritten` counts the compressed bytes that it has used. */
export type InflateStream = Transform & { readonly bytesWritten: number };

export class InflatePipe {
  /** The stream found the end of its data and took nothing of what is behind it. */
  ended = false;
  private failure: unknown;
  private fail: (error: unknown) => void = () => {};
  private readonly failed: Promise<never>;
  private wake: () => void = () => {};

  /** `format` is for messages. What `output` throws, `write` or `end` reject with. */
  constructor(
    private readonly stream: InflateStream,
    private readonly format: string,
    output: Output,
  ) {
    this.failed = new Promise<never>((_, reject) => {
      this.fail = (error) => {
        this.failure ??= error;
        reject(this.failure);
        stream.destroy();
      };
    });
    this.failed.catch(() => {});
    stream.on('error', (error) => this.fail(this.translate(error)));
    // It ends by itself when something follows that is none of its data; a write that waits is then never answered.
    stream.once('end', () => {
      this.ended = true;
      this.wake();
    });
    stream.on('data', (chunk: Buffer) => {
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

  /** Compressed bytes that were used. */
  get consumed(): number {
    return this.stream.bytesWritten;
  }

  /** Resolves when the bytes are used, or the end of the data was found in them. */
  async write(chunk: Buffer): Promise<void> {
    if (this.failure !== undefined) throw this.failure;
    if (this.ended) return;
    await this.until((done) => this.stream.write(chunk, done));
  }

  /** Resolves when everything has been delivered. */
  async end(): Promise<void> {
    if (!this.ended) await this.until(() => this.stream.end());
    if (this.failure !== undefined) throw this.failure;
  }

  destroy(): void {
    this.failure ??= new TsrunError('INTERRUPTED', 'unpacking was given up');
    this.stream.destroy();
  }

  private async until(begin: (done: () => void) => void): Promise<void> {
    const done = new Promise<void>((resolve) => {
      this.wake = resolve;
      begin(resolve);
    });
    await Promise.race([this.failed, done]);
  }

  private translate(error: unknown): unknown {
    const code = error instanceof Error && 'code' in error ? error.code : '';
    if (code === 'Z_BUF_ERROR') return archiveError(undefined, `ends in the middle of its ${this.format} data`);
    const reason = error instanceof Error ? error.message : String(error);
    return archiveError(undefined, `has damaged ${this.format} data (${reason})`);
  }
}
