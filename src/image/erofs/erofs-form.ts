/**
 * A layer that is kept as it came: its archive, and beside it the metadata of a filesystem whose files' contents are in that
 * archive. No file of the layer is ever made.
 *
 *     layers/<chain id>/archive.tar   the archive, inflated; filled up with zeros to a whole block
 *     layers/<chain id>/tree.erofs    its tree (format.ts); mounted with the archive as its second device
 */
import { closeSync, openSync, readSync, rmdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { O_CREAT, O_EXCL, O_RDWR } from '../../linux/constants.ts';
import { errno, SyscallError } from '../../linux/errno.ts';
import { AT_FDCWD, close, openat, writeAll } from '../../linux/fs.ts';
import type { DeferredEntry, UnpackedLayer } from '../unpack/deferred.ts';
import { unpackError } from '../unpack/failures.ts';
import { type LayerForm, UnpackedForm } from '../unpack/layer-form.ts';
import type { UnpackOptions } from '../unpack/messages.ts';
import { TarParser } from '../unpack/tar-parser.ts';
import { blockBytes } from './format.ts';
import { encodeImage } from './image.ts';
import { MemoryTree } from './memory-tree.ts';
import { archiveFile, metadataFile } from './names.ts';
import { settleInMemory } from './settle-memory.ts';
import { Unfit } from './unfit.ts';

/** Bytes that are read at a time from an archive that has to be unpacked after all. */
const chunkSize = 1024 * 1024;

export class ErofsForm implements LayerForm {
  private readonly tree: MemoryTree;
  private readonly parser: TarParser;
  private readonly base: string;
  private fd: number;
  private size = 0;

  /** `options.archive` is the layer's own directory. */
  constructor(
    private readonly options: UnpackOptions,
    private readonly umask: number,
  ) {
    if (options.archive === undefined) throw new RangeError('this form needs a directory for the archive');
    this.base = options.archive;
    this.tree = new MemoryTree(options.maxEntries);
    this.parser = new TarParser(this.tree);
    this.fd = openat(AT_FDCWD, join(this.base, archiveFile), O_RDWR | O_CREAT | O_EXCL, 0o600);
  }

  get bytes(): number {
    return this.tree.bytes;
  }

  get entries(): number {
    return this.tree.entries;
  }

  take(chunk: Buffer): void {
    this.tree.position = this.size;
    this.parser.push(chunk);
    storing(() => writeAll(this.fd, chunk));
    this.size += chunk.length;
  }

  finish(): DeferredEntry[] {
    this.parser.finish();
    // The kernel reads whole blocks; an archive may end within one, and its size is in the layer's record.
    const padding = (blockBytes - (this.size % blockBytes)) % blockBytes;
    if (padding > 0) storing(() => writeAll(this.fd, Buffer.alloc(padding)));
    return this.tree.finish();
  }

  settle(layer: UnpackedLayer, lowers: readonly string[]): void {
    const { deferred, diffId } = layer;
    try {
      settleInMemory(this.tree.root, deferred, lowers);
      const digest = diffId.slice(diffId.indexOf(':') + 1);
      const image = encodeImage(this.tree.root, { digest, size: this.size });
      storing(() => writeFileSync(join(this.base, metadataFile), image, { mode: 0o600, flag: 'wx' }));
      rmdirSync(this.options.directory);
    } catch (error) {
      if (!(error instanceof Unfit)) throw error;
      this.unpack(layer, lowers);
    }
  }

  /** For a layer that depends on others, or has what EROFS cannot say: its archive is here. */
  private unpack(layer: UnpackedLayer, lowers: readonly string[]): void {
    const form = new UnpackedForm(this.options, this.umask);
    const source = openSync(join(this.base, archiveFile), 'r');
    try {
      const buffer = Buffer.allocUnsafeSlow(chunkSize);
      for (let left = this.size; left > 0; ) {
        const got = readSync(source, buffer, 0, Math.min(left, chunkSize), null);
        if (got === 0) break;
        form.take(buffer.subarray(0, got));
        left -= got;
      }
      form.settle({ ...layer, deferred: form.finish() }, lowers);
    } finally {
      closeSync(source);
      form.close();
    }
    rmSync(join(this.base, archiveFile));
  }

  close(): void {
    close(this.fd);
    this.fd = -1;
  }
}

/** Runs what writes the layer's own files, and says of a full disk what it says everywhere. */
function storing(write: () => void): void {
  try {
    write();
  } catch (error) {
    const number = error instanceof SyscallError ? error.errno : (error as NodeJS.ErrnoException).errno;
    const full: number[] = [errno.ENOSPC, errno.EDQUOT, errno.EFBIG];
    if (number === undefined || !full.includes(Math.abs(number))) throw error;
    throw unpackError('write', '', number);
  }
}
