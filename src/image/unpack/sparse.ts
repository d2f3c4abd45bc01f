/**
 * Files with holes: the four ways of GNU tar to say where an entry's bytes belong (GNU tar manual, "Storing Sparse
 * Files"): type S with its map in header blocks, and the pax formats 0.0, 0.1 and 1.0.
 */
import { archiveError, type BytePath } from './byte-path.ts';
import { blockSize, parseNumber } from './header.ts';
import { decimal, type PaxRecords, paxName, paxNumber } from './pax.ts';

/** Where the bytes of a sparse file are; everything else of it is a hole. */
export interface SparseMap {
  /** offset, length, offset, length, … in bytes; ascending, not overlapping. */
  segments: number[];
  /** Size of the file with its holes, in bytes. */
  realSize: number;
}

/** A map of more segments than this is an attack on memory: it would be 1 GiB of 4 KiB segments. */
const segmentsMax = 262_144;

/** Throws `ARCHIVE` unless the segments ascend, stay within the file and hold exactly `stored` bytes. */
export function checkSparse(map: SparseMap, stored: number, path: BytePath): SparseMap {
  let previousEnd = 0;
  let sum = 0;
  for (let i = 0; i < map.segments.length; i += 2) {
    const offset = map.segments[i] ?? -1;
    const length = map.segments[i + 1] ?? -1;
    const end = offset + length;
    if (offset < previousEnd || length < 0 || !Number.isSafeInteger(end) || end > map.realSize) {
      throw archiveError(path, 'has a sparse map whose pieces overlap or leave the file');
    }
    previousEnd = end;
    sum += length;
  }
  if (sum !== stored) throw archiveError(path, `has a sparse map of ${sum} bytes for ${stored} bytes of content`);
  return map;
}

function checkCount(count: number, path: BytePath): void {
  if (count > segmentsMax) throw archiveError(path, `has a sparse map of more than ${segmentsMax} pieces`);
}

/** Reads `count` pairs of 12-byte numbers; a pair whose first byte is NUL ends them. */
function readPairs(buffer: Buffer, offset: number, count: number, segments: number[]): void {
  for (let i = 0; i < count; i++) {
    const at = offset + i * 24;
    if (buffer[at] === 0) return;
    segments.push(parseNumber(buffer, at, 12, 'sparse map'), parseNumber(buffer, at + 12, 12, 'sparse map'));
  }
}

/** The map in the header block of type S: four pairs at 386, "more follows" at 482, the real size at 483. */
export function gnuSparseHeader(buffer: Buffer, offset: number): { map: SparseMap; extended: boolean } {
  const segments: number[] = [];
  readPairs(buffer, offset + 386, 4, segments);
  const realSize = parseNumber(buffer, offset + 483, 12, 'real size');
  return { map: { segments, realSize }, extended: buffer[offset + 482] !== 0 };
}

/** A further block of such a map: 21 pairs, and at 504 whether yet another follows. */
export function gnuSparseExtension(buffer: Buffer, offset: number, map: SparseMap, path: BytePath): boolean {
  readPairs(buffer, offset, 21, map.segments);
  checkCount(map.segments.length / 2, path);
  return buffer[offset + 504] !== 0;
}

/** What the pax records of an entry say about holes. */
export type PaxSparse = { name: BytePath | undefined; realSize: number } & (
  | { segments: number[] }
  | { mapInContent: true }
);

/** Formats 0.0 and 0.1 (the map is in the records) and 1.0 (it precedes the content); undefined for ordinary files. */
export function paxSparse(records: PaxRecords, path: BytePath): PaxSparse | undefined {
  const major = paxNumber(records, 'GNU.sparse.major');
  const minor = paxNumber(records, 'GNU.sparse.minor');
  const name = paxName(records, 'GNU.sparse.name');
  if (major !== undefined || minor !== undefined) {
    if (major === 1 && minor === 0) {
      const realSize = paxNumber(records, 'GNU.sparse.realsize');
      if (realSize === undefined) throw archiveError(path, 'is sparse but does not say how large it is');
      return { name, realSize, mapInContent: true };
    }
    if (major !== 0) throw archiveError(path, `is sparse in a format that is not known (${major}.${minor ?? 0})`);
  }
  const size = paxNumber(records, 'GNU.sparse.size');
  const count = paxNumber(records, 'GNU.sparse.numblocks');
  const text = paxName(records, 'GNU.sparse.map');
  if (size === undefined && count === undefined && text === undefined) return undefined;
  if (size === undefined) throw archiveError(path, 'is sparse but does not say how large it is');
  const segments =
    text === undefined ? records.sparsePairs : text.split(',').map((part) => decimal(part, 'GNU.sparse.map'));
  if (segments.length % 2 !== 0 || (count !== undefined && segments.length !== count * 2)) {
    throw archiveError(path, 'has a sparse map with a piece missing');
  }
  checkCount(segments.length / 2, path);
  return { name, realSize: size, segments };
}

/** Collects the map of format 1.0 from the blocks before the content: decimal numbers, one a line, the first their count. */
export class SparseMapReader {
  private count: number | undefined;
  private digits = '';
  private readonly segments: number[] = [];
  /** Bytes of the map read so far, with padding. */
  bytes = 0;

  constructor(
    private readonly path: BytePath,
    private readonly realSize: number,
  ) {}

  /** Takes one block; returns the map when it is complete. */
  block(buffer: Buffer, offset: number): SparseMap | undefined {
    this.bytes += blockSize;
    for (let i = offset; i < offset + blockSize; i++) {
      const byte = buffer[i] ?? 0;
      if (byte !== 0x0a) {
        this.digits += String.fromCharCode(byte);
        if (this.digits.length > 20) throw archiveError(this.path, 'has a malformed sparse map');
        continue;
      }
      const value = decimal(this.digits, 'sparse map');
      this.digits = '';
      if (this.count === undefined) {
        checkCount(value, this.path);
        this.count = value;
      } else {
        this.segments.push(value);
      }
      if (this.segments.length === this.count * 2) return { segments: this.segments, realSize: this.realSize };
    }
    return undefined;
  }
}
