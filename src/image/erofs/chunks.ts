/**
 * Where the content of a file is in the archive (erofs_fs.h, struct erofs_inode_chunk_index): one chunk for a file that
 * stands there in one piece, several for one with holes.
 */
import { blockBytes, chunkBitsMax, holeAddress } from './format.ts';
import type { Inode } from './inode.ts';
import { Unfit } from './unfit.ts';

/** A file that needs more is unpacked: 8 MiB of indexes. */
const chunksMax = 1024 * 1024;

export interface Chunks {
  /** A chunk has so many blocks, as a power of two. */
  bits: number;
  /** Block of the archive that each chunk begins with, or `holeAddress`. */
  addresses: number[];
}

/** Throws `Unfit` where holes do not lie on whole blocks. */
export function chunksOf({ size, offset, segments }: Inode): Chunks {
  if (segments !== undefined) return sparseChunks(size, offset, segments);
  let bits = 0;
  while (bits < chunkBitsMax && blockBytes * 2 ** bits < size) bits++;
  const chunk = blockBytes * 2 ** bits;
  const addresses: number[] = [];
  for (let at = 0; at < size; at += chunk) addresses.push(blockOf(offset + at));
  return { bits, addresses };
}

function blockOf(offset: number): number {
  const block = offset / blockBytes;
  if (!Number.isInteger(block) || block >= holeAddress) throw new Unfit('a file that begins within a block');
  return block;
}

function sparseChunks(size: number, offset: number, segments: readonly number[]): Chunks {
  const pieces: { start: number; end: number }[] = [];
  for (let i = 0; i < segments.length; i += 2) {
    const [start = 0, length = 0] = segments.slice(i, i + 2);
    if (length > 0) pieces.push({ start, end: start + length });
  }
  let bits = chunkBitsMax;
  for (const { start, end } of pieces) {
    bits = Math.min(bits, alignment(start), end === size ? bits : alignment(end));
  }
  const chunk = blockBytes * 2 ** bits;
  const count = Math.ceil(size / chunk);
  if (count > chunksMax) throw new Unfit('a file with too many holes');
  const addresses = new Array<number>(count).fill(holeAddress);
  let stored = offset;
  for (const { start, end } of pieces) {
    for (let at = start; at < end; at += chunk) addresses[at / chunk] = blockOf(stored + at - start);
    stored += end - start;
  }
  return { bits, addresses };
}

/** How many blocks, as a power of two, a place is a multiple of. Throws `Unfit` for one within a block. */
function alignment(place: number): number {
  if (place % blockBytes !== 0) throw new Unfit('a hole that begins or ends within a block');
  let bits = 0;
  while (bits < chunkBitsMax && place % (blockBytes * 2 ** (bits + 1)) === 0) bits++;
  return bits;
}
