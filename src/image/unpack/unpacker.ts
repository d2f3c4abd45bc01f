/** The pipeline of one layer: compressed bytes -> inflate -> diffID -> tar parser -> files, or an index (layer-form.ts). */
import { createHash } from '../../linux/hash.ts';
import { ErofsForm } from '../erofs/erofs-form.ts';
import { archiveError } from './byte-path.ts';
import { createDecompressor, magicSize } from './decompress.ts';
import type { Decompressor } from './decompressor.ts';
import type { UnpackedLayer } from './deferred.ts';
import { type LayerForm, UnpackedForm } from './layer-form.ts';
import type { UnpackOptions } from './messages.ts';

export class LayerUnpacker {
  private readonly hash = createHash('sha256');
  private readonly form: LayerForm;
  private decompressor: Decompressor | undefined;
  private magic: Buffer = Buffer.alloc(0);
  private inflated = 0;
  private result: UnpackedLayer | undefined;

  /** `umask`: of the thread that runs this. */
  constructor(
    private readonly options: UnpackOptions,
    umask: number,
  ) {
    this.form = options.form === 'erofs' ? new ErofsForm(options, umask) : new UnpackedForm(options, umask);
  }

  /** Takes compressed bytes; when it resolves, their memory may be used again. Rejects with `ARCHIVE`, `NO_SPACE`, … */
  async write(chunk: Buffer): Promise<void> {
    if (this.decompressor !== undefined) return this.decompressor.write(chunk);
    const start = this.magic.length === 0 ? chunk : Buffer.concat([this.magic, chunk]);
    if (start.length < magicSize) {
      this.magic = Buffer.from(start);
      return;
    }
    this.magic = Buffer.alloc(0);
    await this.begin(start).write(start);
  }

  /** The archive is complete: finishes directories and returns what it came to. */
  async finish(): Promise<UnpackedLayer> {
    const decompressor = this.decompressor ?? this.begin(this.magic);
    if (this.magic.length > 0) await decompressor.write(this.magic);
    await decompressor.end();
    return this.complete();
  }

  /** As `finish`, for an archive that came by `take`. */
  complete(): UnpackedLayer {
    const deferred = this.form.finish();
    this.result = {
      diffId: `sha256:${this.hash.digest('hex')}`,
      bytes: this.form.bytes,
      entries: this.form.entries,
      archiveSize: this.inflated,
      deferred,
    };
    return this.result;
  }

  /** The last step: fits the layer onto those below, `lowers` being their trees, the lowest first. */
  settle(lowers: readonly string[]): void {
    if (this.result === undefined) throw new RangeError('a layer is settled when its archive is complete');
    this.form.settle(this.result, lowers);
  }

  /** Closes all descriptors; to be called in every case, once. */
  close(): void {
    this.decompressor?.destroy();
    this.form.close();
  }

  private begin(start: Buffer): Decompressor {
    this.decompressor = createDecompressor(start, (chunk) => this.take(chunk));
    return this.decompressor;
  }

  /** Takes bytes of the archive itself, not compressed. Throws as `write` rejects. */
  take(chunk: Buffer): void {
    this.inflated += chunk.length;
    if (this.inflated > this.options.maxBytes) {
      throw archiveError(
        undefined,
        `inflates to more than ${this.options.maxBytes} bytes`,
        'this may be a decompression bomb; raise the limit if you trust the image',
      );
    }
    this.hash.update(chunk);
    this.form.take(chunk);
  }
}
