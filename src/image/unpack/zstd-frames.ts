/**
 * Splits a zstd stream into frames and blocks (RFC 8878, 3.1). Decoders do not do that well enough for layers: these may
 * consist of thousands of frames with skippable ones between (zstd:chunked), where node:zlib stops after the first; a
 * frame may ask for a window of gigabytes; and an end that is missing must be seen.
 */
import { archiveError } from './byte-path.ts';

/** What zstd(1) accepts without being asked for more (`--long=27`), in bytes. */
const windowMax = 128 * 1024 * 1024;
export const frameMagic = 0xfd2fb528;
/** A block's content, compressed or not, is at most this long. */
export const blockMax = 128 * 1024;

/** Receives the frames; bytes are valid only during the call. */
export interface FrameSink {
  /** A frame begins; `window` is what it needs to look back, in bytes. */
  frame(header: Buffer, window: number): void;
  block(bytes: Buffer, last: boolean): void;
  /** The checksum that ends some frames. */
  checksum(bytes: Buffer): void;
}

/** Whether a stream that begins with `magic` is zstd. */
export function beginsWithZstd(magic: Buffer): boolean {
  if (magic.length < 4) return false;
  const number = magic.readUInt32LE(0);
  return number === frameMagic || isSkippable(number);
}

export class FrameSplitter {
  private state: 'frame' | 'skippable' | 'block' | 'checksum' = 'frame';
  private pending: Buffer = Buffer.alloc(0);
  private skip = 0;
  private hasChecksum = false;

  constructor(private readonly sink: FrameSink) {}

  /** Takes the next bytes. Throws `ARCHIVE`, and what the sink throws. */
  push(chunk: Buffer): void {
    const buffer = this.pending.length === 0 ? chunk : Buffer.concat([this.pending, chunk]);
    let position = 0;
    for (;;) {
      const used = this.step(buffer, position);
      if (used === 0) break;
      position += used;
    }
    // A copy: the sender wants the memory of the chunk back.
    this.pending = Buffer.from(buffer.subarray(position));
  }

  /** Throws `ARCHIVE` if the stream must not end here. */
  finish(): void {
    if (this.state !== 'frame' || this.pending.length > 0) {
      throw archiveError(undefined, 'ends in the middle of its zstd data');
    }
  }

  /** Takes one element from `at` on; returns its bytes, 0 when it is not complete yet. */
  private step(buffer: Buffer, at: number): number {
    const available = buffer.length - at;
    switch (this.state) {
      case 'frame':
        return available < 4 ? 0 : this.startFrame(buffer, at, available);
      case 'skippable': {
        const step = Math.min(this.skip, available);
        this.skip -= step;
        if (this.skip === 0) this.state = 'frame';
        return step;
      }
      case 'checksum':
        if (available < 4) return 0;
        this.sink.checksum(buffer.subarray(at, at + 4));
        this.state = 'frame';
        return 4;
      default:
        return available < 3 ? 0 : this.takeBlock(buffer, at, available);
    }
  }

  private startFrame(buffer: Buffer, at: number, available: number): number {
    const magic = buffer.readUInt32LE(at);
    if (isSkippable(magic)) {
      if (available < 8) return 0;
      this.skip = buffer.readUInt32LE(at + 4);
      if (this.skip > 0) this.state = 'skippable';
      return 8;
    }
    if (magic !== frameMagic) throw archiveError(undefined, 'has damaged zstd data (no frame where one must begin)');
    if (available < 6) return 0;
    const descriptor = buffer[at + 4] as number;
    const single = (descriptor & 0x20) !== 0;
    const dictionaryBytes = [0, 1, 2, 4][descriptor & 3] as number;
    const sizeFlag = descriptor >> 6;
    const sizeBytes = sizeFlag === 0 ? (single ? 1 : 0) : 1 << sizeFlag;
    const length = 5 + (single ? 0 : 1) + dictionaryBytes + sizeBytes;
    if (available < length) return 0;
    if ((descriptor & 8) !== 0) throw archiveError(undefined, 'has damaged zstd data (reserved bit)');
    if (dictionaryBytes > 0 && buffer.readUIntLE(at + length - sizeBytes - dictionaryBytes, dictionaryBytes) !== 0) {
      throw archiveError(undefined, 'needs a zstd dictionary, which images cannot have');
    }
    const window = single ? contentSize(buffer, at + length - sizeBytes, sizeBytes) : windowSize(buffer[at + 5] ?? 0);
    if (window > windowMax) {
      throw archiveError(undefined, `needs ${window} bytes of memory for zstd; the limit is ${windowMax}`);
    }
    this.hasChecksum = (descriptor & 4) !== 0;
    this.sink.frame(buffer.subarray(at, at + length), window);
    this.state = 'block';
    return length;
  }

  private takeBlock(buffer: Buffer, at: number, available: number): number {
    const header = buffer.readUIntLE(at, 3);
    const last = (header & 1) !== 0;
    const type = (header >> 1) & 3;
    const size = header >> 3;
    if (type === 3 || size > blockMax) throw archiveError(undefined, 'has damaged zstd data (impossible block)');
    const length = 3 + (type === 1 ? 1 : size);
    if (available < length) return 0;
    this.sink.block(buffer.subarray(at, at + length), last);
    if (last) this.state = this.hasChecksum ? 'checksum' : 'frame';
    return length;
  }
}

function isSkippable(magic: number): boolean {
  return (magic & 0xfffffff0) >>> 0 === 0x184d2a50;
}

/** RFC 8878, 3.1.1.1.2: exponent and mantissa. */
function windowSize(descriptor: number): number {
  const base = 2 ** (10 + (descriptor >> 3));
  return base + (base / 8) * (descriptor & 7);
}

/** RFC 8878, 3.1.1.1.4. */
function contentSize(buffer: Buffer, at: number, bytes: number): number {
  if (bytes === 8) return Number(buffer.readBigUInt64LE(at));
  const value = buffer.readUIntLE(at, bytes);
  return bytes === 2 ? value + 256 : value;
}
