/**
 * Remembers what a layer's archive was, byte for byte, without keeping it: everything but the contents of files as it
 * came, and for these which file of the unpacked layer has them. `save` and `push` make the same archive again from that
 * (archive/layer-archive.ts), with the same digest. The idea is that of tar-split.
 *
 *     layers/<chain id>/archive    frames: length and inflated length (u32 LE each), raw deflate (RFC 1951) of records
 *     layers/<chain id>/kept/<n>   the content of file n, where the tree has it no more under its name
 *
 *     records:  'I' length:u32 bytes            as they stand in the archive
 *               'F' size:u64 length:u16 path    the content of a file of the layer, at `path` (bytes)
 *
 * Files are numbered as their records come, from 0. What a later entry of the archive replaces, and what settling moves,
 * is kept beside the tree by another name before that (rename, link: no content is copied).
 */
import { join } from 'node:path';
import { deflateRawSync } from 'node:zlib';
import { O_CREAT, O_DIRECTORY, O_EXCL, O_RDONLY, O_WRONLY } from '../../linux/constants.ts';
import { errno } from '../../linux/errno.ts';
import { AT_FDCWD, close, openat, writeAll } from '../../linux/fs.ts';
import { type BytePath, bytePath, pathMax } from './byte-path.ts';
import * as calls from './calls.ts';
import { checkCall, unpackError } from './failures.ts';

export const archiveName = 'archive';
export const keptName = 'kept';
export const inlineRecord = 0x49;
export const fileRecord = 0x46;

/** Records of one frame together, in bytes: what is deflated at once. */
const frameSize = 1024 * 1024;

/** The directory of files that a layer's archive has and its tree has not; made when the first comes. */
export class KeptFiles {
  private fd = -1;

  /** `directory`: of the layer, beside its tree. */
  constructor(private readonly directory: string) {}

  /** Takes the name `name` from the directory `fd`: file `index` of the archive. */
  move(fd: number, name: BytePath, index: number): void {
    const result = calls.renameNew(fd, name, this.open(), String(index));
    if (result < 0) throw unpackError('keep', name, result);
  }

  /** As `move`, but the name stays as well. */
  link(fd: number, name: BytePath, index: number): void {
    const result = calls.link(fd, name, this.open(), String(index));
    if (result < 0 && result !== -errno.EEXIST) throw unpackError('keep', name, result);
  }

  has(index: number): boolean {
    return typeof calls.stat(this.open(), String(index)) === 'object';
  }

  close(): void {
    calls.closeDescriptor(this.fd);
    this.fd = -1;
  }

  private open(): number {
    if (this.fd >= 0) return this.fd;
    const path = bytePath(join(this.directory, keptName));
    const made = calls.makeDirectory(AT_FDCWD, path, 0o700);
    if (made < 0 && made !== -errno.EEXIST) throw unpackError('make', path, made);
    this.fd = checkCall(calls.openName(AT_FDCWD, path, O_RDONLY | O_DIRECTORY, 0), 'openat', path);
    return this.fd;
  }
}

export class ArchiveRecorder {
  readonly kept: KeptFiles;
  private readonly fd: number;
  private readonly frame = Buffer.allocUnsafeSlow(frameSize);
  private fill = 0;
  /** Where the fixed part of a record is put together; the longest has a path in it. */
  private readonly scratch = Buffer.alloc(11 + pathMax + 1);
  private files = 0;
  private chunk: Uint8Array | undefined;
  /** Up to where the chunk has been recorded. */
  private cursor = 0;
  /** A file whose first content has not come yet. */
  private announced: { path: BytePath; size: number } | undefined;

  /** `directory`: of the layer, beside its tree. */
  constructor(directory: string) {
    this.kept = new KeptFiles(directory);
    this.fd = openat(AT_FDCWD, join(directory, archiveName), O_WRONLY | O_CREAT | O_EXCL, 0o600);
  }

  /** The next piece of the archive is about to be parsed; its memory must stay until `endChunk`. */
  beginChunk(chunk: Uint8Array): void {
    this.chunk = chunk;
    this.cursor = 0;
  }

  endChunk(): void {
    this.inlineUpTo(this.chunk?.length ?? 0);
    this.chunk = undefined;
  }

  /** The content that comes now is that of a file of the layer. Returns its number. */
  file(path: BytePath, size: number): number {
    this.announced = { path, size };
    return this.files++;
  }

  /** Bytes of the current chunk that are content of the file. */
  content(start: number, end: number): void {
    this.inlineUpTo(start);
    if (this.announced !== undefined) this.recordFile(this.announced);
    this.announced = undefined;
    this.cursor = end;
  }

  /** All of the archive has come. */
  finish(): void {
    this.flush();
  }

  close(): void {
    close(this.fd);
    this.kept.close();
  }

  private recordFile({ path, size }: { path: BytePath; size: number }): void {
    const { scratch } = this;
    scratch[0] = fileRecord;
    scratch.writeUInt32LE(size % 0x1_0000_0000, 1);
    scratch.writeUInt32LE(Math.floor(size / 0x1_0000_0000), 5);
    scratch.writeUInt16LE(path.length, 9);
    scratch.write(path, 11, 'latin1');
    this.put(scratch, 0, 11 + path.length);
  }

  private inlineUpTo(end: number): void {
    const { chunk, cursor } = this;
    if (chunk === undefined || end <= cursor) return;
    const { scratch } = this;
    scratch[0] = inlineRecord;
    scratch.writeUInt32LE(end - cursor, 1);
    this.put(scratch, 0, 5);
    this.put(chunk, cursor, end);
    this.cursor = end;
  }

  private put(bytes: Uint8Array, start: number, end: number): void {
    for (let at = start; at < end; ) {
      if (this.fill === frameSize) this.flush();
      const step = Math.min(end - at, frameSize - this.fill);
      this.frame.set(bytes.subarray(at, at + step), this.fill);
      this.fill += step;
      at += step;
    }
  }

  private flush(): void {
    if (this.fill === 0) return;
    const packed = deflateRawSync(this.frame.subarray(0, this.fill), { level: 1 });
    const lengths = Buffer.alloc(8);
    lengths.writeUInt32LE(packed.length, 0);
    lengths.writeUInt32LE(this.fill, 4);
    const frame = Buffer.concat([lengths, packed]);
    writeAll(this.fd, frame);
    this.fill = 0;
  }
}
