/** The pipeline of one layer: compressed bytes -> inflate -> diffID -> tar parser -> files; man 2 umask, man 2 unshare. */
import { createHash } from 'node:crypto';
import { AT_FDCWD, O_DIRECTORY, O_RDONLY } from '../../linux/constants.ts';
import { close, openat } from '../../linux/fs.ts';
import { ArchiveRecorder } from './archive-recorder.ts';
import { archiveError } from './byte-path.ts';
import { createDecompressor, magicSize } from './decompress.ts';
import type { Decompressor } from './decompressor.ts';
import type { UnpackedLayer } from './deferred.ts';
import type { UnpackOptions } from './messages.ts';
import { TarParser } from './tar-parser.ts';
import { TreeWriter } from './tree-writer.ts';

export class LayerUnpacker {
  private readonly hash = createHash('sha256');
  private readonly root: number;
  private readonly writer: TreeWriter;
  private readonly recorder: ArchiveRecorder | undefined;
  private readonly parser: TarParser;
  private decompressor: Decompressor | undefined;
  private magic: Buffer = Buffer.alloc(0);
  private inflated = 0;

  /** `umask`: of the thread that runs this. */
  constructor(
    private readonly options: UnpackOptions,
    umask: number,
  ) {
    this.root = openat(AT_FDCWD, options.directory, O_RDONLY | O_DIRECTORY);
    try {
      this.recorder = options.archive === undefined ? undefined : new ArchiveRecorder(options.archive);
      this.writer = new TreeWriter(this.root, { maxEntries: options.maxEntries, umask, recorder: this.recorder });
      this.parser = new TarParser(this.writer);
    } catch (error) {
      this.recorder?.close();
      close(this.root);
      throw error;
    }
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
    this.parser.finish();
    this.recorder?.finish();
    const deferred = this.writer.finish();
    return {
      diffId: `sha256:${this.hash.digest('hex')}`,
      bytes: this.writer.bytes,
      entries: this.writer.entries,
      archiveSize: this.inflated,
      deferred,
    };
  }

  /** Closes all descriptors; to be called in every case, once. */
  close(): void {
    this.decompressor?.destroy();
    this.writer.close();
    this.recorder?.close();
    close(this.root);
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
    this.recorder?.beginChunk(chunk);
    this.parser.push(chunk);
    this.recorder?.endChunk();
  }
}
