/**
 * A layer's archive, byte for byte: as it was kept, or made again from its tree and the record that unpacking left
 * (unpack/archive-recorder.ts).
 * Whether it is the same is known at its end, by its digest.
 */

import { closeSync, existsSync, openSync, readSync } from 'node:fs';
import { join } from 'node:path';
import { TsrunError } from '../../error.ts';
import { AT_FDCWD, O_DIRECTORY, O_NOFOLLOW, O_NONBLOCK, O_PATH, O_RDONLY, S_IFREG } from '../../linux/constants.ts';
import { errno } from '../../linux/errno.ts';
import { addressOf, keepAlive, rawSyscall } from '../../linux/ffi.ts';
import { createHash } from '../../linux/hash.ts';
import { numbersOf } from '../../linux/syscalls.ts';
import type { Digest } from '../digest.ts';
import { archiveFile } from '../erofs/names.ts';
import { archiveName, keptName } from '../unpack/archive-recorder.ts';
import { archiveRecords } from '../unpack/archive-records.ts';
import { type BytePath, bytePath, printable } from '../unpack/byte-path.ts';
import * as calls from '../unpack/calls.ts';
import { unpackError } from '../unpack/failures.ts';
import { splitLast } from '../unpack/layer-access.ts';
import type { ByteSink } from './sink.ts';

const NR = numbersOf('read');

/** The longest piece of an archive that is yielded, in bytes. */
export const pieceMax = 1024 * 1024;

/** A layer as the store has it. */
export interface StoredArchive {
  /** `layers/<chain id>`. */
  base: string;
  diffId: Digest;
  /** Bytes of the archive; undefined where it was not remembered. */
  archiveSize: number | undefined;
}

/** The size of a layer's archive in bytes. Throws `UNSUPPORTED` where the layer was stored without a record of it. */
export function archiveSizeOf(layer: StoredArchive): number {
  const names = [archiveName, archiveFile];
  if (layer.archiveSize !== undefined && names.some((name) => existsSync(join(layer.base, name)))) {
    return layer.archiveSize;
  }
  throw new TsrunError('UNSUPPORTED', `the archive of layer ${layer.diffId} is not known`, {
    hint: 'an older tsrun stored this layer, which kept unpacked files only: remove the image and pull it again',
  });
}

/** Writes the archive to `sink`. Throws `CORRUPT` when files are missing or the digest is another, `UNSUPPORTED`. */
export function writeLayerArchive(layer: StoredArchive, sink: ByteSink): void {
  for (const piece of layerArchivePieces(layer)) sink.write(piece);
}

/**
 * The archive piece by piece; each is valid until the next is asked for. Throws as `writeLayerArchive` does, for the digest at
 * the end: whoever takes the pieces must not pass on an archive whose last piece never came.
 */
export function* layerArchivePieces(layer: StoredArchive): Generator<Uint8Array, void, void> {
  const size = archiveSizeOf(layer);
  const hash = createHash('sha256');
  let written = 0;
  const whole = join(layer.base, archiveFile);
  for (const piece of existsSync(whole) ? copiedPieces(whole, size) : remadePieces(layer)) {
    hash.update(piece);
    written += piece.length;
    yield piece;
  }
  const digest = `sha256:${hash.digest('hex')}`;
  if (digest !== layer.diffId || written !== size) {
    throw damaged(layer, `its files make ${digest}`);
  }
}

/** A layer that is kept as its archive; more than `size` bytes would not fit where they go. */
function* copiedPieces(path: string, size: number): Generator<Uint8Array, void, void> {
  const fd = openSync(path, 'r');
  try {
    const buffer = Buffer.allocUnsafeSlow(pieceMax);
    for (let left = size; left > 0; ) {
      const got = readSync(fd, buffer, 0, Math.min(left, pieceMax), null);
      if (got === 0) break;
      yield buffer.subarray(0, got);
      left -= got;
    }
  } finally {
    closeSync(fd);
  }
}

function* remadePieces(layer: StoredArchive): Generator<Uint8Array, void, void> {
  const contents = new Contents(layer);
  try {
    for (const record of archiveRecords(layer.base)) {
      if (record.kind === 'inline') yield* contents.put(record.bytes);
      else yield* contents.putFile(record.index, record.path, record.size);
    }
    yield* contents.flush();
  } finally {
    contents.close();
  }
}

function damaged(layer: StoredArchive, why: string): TsrunError {
  return new TsrunError(
    'CORRUPT',
    `layer ${layer.diffId} in "${layer.base}" has changed since it was unpacked: ${why}`,
    {
      hint: 'remove the image and pull it again',
    },
  );
}

/** Joins pieces into chunks, and finds the contents of files. */
class Contents {
  private readonly buffer = Buffer.allocUnsafeSlow(pieceMax);
  private readonly address = Number(addressOf(this.buffer));
  private fill = 0;
  private readonly root: number;
  private readonly kept: number;
  private directory: { path: BytePath; fd: number } | undefined;

  constructor(private readonly layer: StoredArchive) {
    const base = calls.openName(AT_FDCWD, bytePath(layer.base), O_PATH | O_DIRECTORY, 0);
    if (base < 0) throw unpackError('open', bytePath(layer.base), base);
    this.root = calls.openName(base, 'fs', O_PATH | O_DIRECTORY | O_NOFOLLOW, 0);
    this.kept = calls.openName(base, keptName, O_PATH | O_DIRECTORY | O_NOFOLLOW, 0);
    calls.closeDescriptor(base);
    if (this.root < 0) throw damaged(layer, 'its tree is missing');
  }

  close(): void {
    this.forgetDirectory();
    calls.closeDescriptor(this.root);
    calls.closeDescriptor(this.kept);
  }

  *put(bytes: Uint8Array): Generator<Uint8Array, void, void> {
    for (let at = 0; at < bytes.length; ) {
      const step = Math.min(bytes.length - at, pieceMax - this.fill);
      this.buffer.set(bytes.subarray(at, at + step), this.fill);
      this.fill += step;
      at += step;
      if (this.fill === pieceMax) yield* this.flush();
    }
  }

  *flush(): Generator<Uint8Array, void, void> {
    const { fill } = this;
    this.fill = 0;
    if (fill > 0) yield this.buffer.subarray(0, fill);
  }

  *putFile(index: number, path: BytePath, size: number): Generator<Uint8Array, void, void> {
    const fd = this.open(index, path);
    try {
      const stat = calls.stat(fd, '');
      if (typeof stat === 'number' || stat.type !== S_IFREG || stat.size !== size) {
        throw damaged(this.layer, `${printable(path)} is not the file that it was`);
      }
      for (let left = size; left > 0; ) {
        const got = rawSyscall(NR.read, fd, this.address + this.fill, Math.min(left, pieceMax - this.fill));
        if (got === -errno.EINTR) continue;
        if (got < 0) throw unpackError('read', path, got);
        if (got === 0) throw damaged(this.layer, `${printable(path)} is shorter than it was`);
        this.fill += got;
        left -= got;
        if (this.fill === pieceMax) yield* this.flush();
      }
      keepAlive(this.buffer);
    } finally {
      calls.closeDescriptor(fd);
    }
  }

  private open(index: number, path: BytePath): number {
    const flags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK;
    const kept = this.kept < 0 ? -errno.ENOENT : calls.openName(this.kept, String(index), flags, 0);
    if (kept >= 0) return kept;
    const [directoryPath, name] = splitLast(path);
    if (this.directory?.path !== directoryPath) {
      this.forgetDirectory();
      const fd = calls.openHandleBeneath(this.root, directoryPath === '' ? '.' : directoryPath);
      if (fd < 0) throw damaged(this.layer, `${printable(directoryPath)} is missing`);
      this.directory = { path: directoryPath, fd };
    }
    const fd = calls.openName(this.directory.fd, name, flags, 0);
    if (fd < 0) throw damaged(this.layer, `${printable(path)} is missing`);
    return fd;
  }

  private forgetDirectory(): void {
    if (this.directory !== undefined) calls.closeDescriptor(this.directory.fd);
    this.directory = undefined;
  }
}
