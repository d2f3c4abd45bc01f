/** Reads what `ArchiveRecorder` wrote: the records of a layer's archive in their order, a frame at a time. */
import { closeSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { inflateRawSync } from 'node:zlib';
import { TsrunError } from '../../error.ts';
import { readFully } from '../../linux/read-fully.ts';
import { archiveName, fileRecord, inlineRecord } from './archive-recorder.ts';
import { type BytePath, pathMax } from './byte-path.ts';

/** Frames are at most this long; more is damage. */
const frameMax = 1024 * 1024;

export type ArchiveRecord =
  /** Bytes of the archive; valid until the next record. A long piece may come in several. */
  | { kind: 'inline'; bytes: Uint8Array }
  /** The content of file number `index`. */
  | { kind: 'file'; index: number; path: BytePath; size: number };

/** All records. `directory` is that of the layer. Throws `CORRUPT` for what is no such file, ENOENT where there is none. */
export function* archiveRecords(directory: string): Generator<ArchiveRecord> {
  const path = join(directory, archiveName);
  const fd = openSync(path, 'r');
  try {
    yield* new RecordReader(fd, path).records();
  } finally {
    closeSync(fd);
  }
}

class RecordReader {
  private frame: Buffer = Buffer.alloc(0);
  private at = 0;
  private files = 0;

  constructor(
    private readonly fd: number,
    private readonly path: string,
  ) {}

  *records(): Generator<ArchiveRecord> {
    while (this.at < this.frame.length || this.nextFrame()) {
      const kind = this.take(1)[0];
      if (kind === inlineRecord) yield* this.inline(this.take(4).readUInt32LE(0));
      else if (kind === fileRecord) yield this.file();
      else throw this.damaged();
    }
  }

  private *inline(length: number): Generator<ArchiveRecord> {
    for (let left = length; left > 0; ) {
      if (this.at === this.frame.length && !this.nextFrame()) throw this.damaged();
      const bytes = this.frame.subarray(this.at, this.at + left);
      this.at += bytes.length;
      left -= bytes.length;
      yield { kind: 'inline', bytes };
    }
  }

  private file(): ArchiveRecord {
    const head = this.take(10);
    const size = Number(head.readBigUInt64LE(0));
    const length = head.readUInt16LE(8);
    if (!Number.isSafeInteger(size) || length > pathMax) throw this.damaged();
    return { kind: 'file', index: this.files++, path: this.take(length).toString('latin1'), size };
  }

  /** The next `length` bytes, which may lie across frames. */
  private take(length: number): Buffer {
    const parts: Buffer[] = [];
    for (let left = length; left > 0; ) {
      if (this.at === this.frame.length && !this.nextFrame()) throw this.damaged();
      const part = this.frame.subarray(this.at, this.at + left);
      this.at += part.length;
      left -= part.length;
      parts.push(part);
    }
    return parts.length === 1 ? (parts[0] as Buffer) : Buffer.concat(parts);
  }

  private nextFrame(): boolean {
    const lengths = Buffer.alloc(8);
    const got = readFully(this.fd, lengths);
    if (got === 0) return false;
    const [packed, whole] = [lengths.readUInt32LE(0), lengths.readUInt32LE(4)];
    if (got < 8 || packed > 2 * frameMax || whole > frameMax) throw this.damaged();
    const buffer = Buffer.allocUnsafe(packed);
    if (readFully(this.fd, buffer) < packed) throw this.damaged();
    try {
      this.frame = inflateRawSync(buffer, { maxOutputLength: whole });
    } catch (cause) {
      throw this.damaged(cause);
    }
    this.at = 0;
    if (this.frame.length !== whole || whole === 0) throw this.damaged();
    return true;
  }

  private damaged(cause?: unknown): TsrunError {
    return new TsrunError('CORRUPT', `"${this.path}" is damaged`, {
      cause,
      hint: 'remove the image and pull it again',
    });
  }
}
