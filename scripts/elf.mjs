/** What the build has to know about executable files: ELF of 64 bits, little-endian (elf(5)). */
import { closeSync, openSync, writeSync } from 'node:fs';

export const PF_X = 1;
export const PF_W = 2;
const PT_LOAD = 1;
/** Size of a huge page on the architectures that tsrun is built for, with base pages of 4 KiB. */
export const hugePage = 2 * 1024 * 1024;
/** Where a header says the place of its table, the size of an entry and how many there are. */
const tables = {
  program: { offset: 32, size: 54, count: 56, place: 8 },
  section: { offset: 40, size: 58, count: 60, place: 24 },
};

/** Where each entry of a table begins. */
function entries(file, { offset, size, count }) {
  const start = Number(file.readBigUInt64LE(offset));
  return Array.from({ length: file.readUInt16LE(count) }, (_, index) => start + index * file.readUInt16LE(size));
}

/** The loadable segments of a file, in the order of their addresses, as the format wants it; `header` is the place of their entry. */
export function loadable(file) {
  return entries(file, tables.program)
    .filter((at) => file.readUInt32LE(at) === PT_LOAD)
    .map((at) => {
      const number = (offset) => Number(file.readBigUInt64LE(at + offset));
      const [offset, address, length] = [8, 16, 32].map(number);
      return { header: at, flags: file.readUInt32LE(at + 4), offset, address, length };
    });
}

/**
 * Moves the segments within a file so that each lies as far behind a border of huge pages in the file as it will in memory:
 * the kernel can then map what its page cache holds in huge pages with one fault for 2 MiB instead of one for 64 KiB.
 * Addresses stay as they are. Returns the new file.
 */
export function alignSegments(file) {
  // Each piece of the file from one segment to the next, and how far it moves.
  const pieces = [];
  let moved = 0;
  for (const { offset, address } of loadable(file)) {
    const missing = (address - offset - moved) % hugePage;
    moved += missing < 0 ? missing + hugePage : missing;
    pieces.push({ from: offset, moved });
  }
  const ends = [...pieces.slice(1).map(({ from }) => from), file.length];
  const result = Buffer.alloc(file.length + moved);
  for (const [index, piece] of pieces.entries()) {
    file.copy(result, piece.from + piece.moved, piece.from, ends[index]);
  }
  const place = (offset) => offset + (pieces.findLast(({ from }) => from <= offset)?.moved ?? 0);
  const move = (at) => result.writeBigUInt64LE(BigInt(place(Number(result.readBigUInt64LE(at)))), at);
  move(tables.section.offset);
  for (const table of Object.values(tables)) for (const at of entries(result, table)) move(at + table.place);
  return result;
}

/** Writes where a segment lies, in the file and in memory, of which it fills as much. */
function setSegment(file, header, { offset, address, length }) {
  for (const [place, value] of [
    [8, offset],
    [16, address],
    [24, address],
    [32, length],
    [40, length],
  ]) {
    file.writeBigUInt64LE(BigInt(value), header + place);
  }
}

/**
 * Lets the segment of code begin at a border of huge pages: the data before it, which are only read and lie before it in the
 * file too, become part of it. What is not whole in one segment, the kernel does not map in one piece, and in this huge page
 * lies what the compiler found to be hot. Changes the bytes of the file, which alignSegments has made; none without such a segment.
 */
export function widenCode(file) {
  const segments = loadable(file);
  const index = segments.findIndex(({ flags }) => flags & PF_X);
  const [data, code] = [segments[index - 1], segments[index]];
  if (data === undefined || data.flags & PF_W) return;
  const more = code.address % hugePage;
  const kept = code.address - more - data.address;
  const contiguous = code.address - data.address === code.offset - data.offset;
  if (!contiguous || kept <= 0 || kept > data.length) return;
  setSegment(file, data.header, { ...data, length: kept });
  setSegment(file, code.header, {
    offset: code.offset - more,
    address: code.address - more,
    length: code.length + more,
  });
}

/**
 * Lets the first segment end at a border of huge pages too: what of the file lies behind it is mapped with it, and the kernel maps it in one
 * piece. Changes the bytes of the file, which must go on that far, with no other segment at these addresses.
 */
export function fillHugePage(file) {
  const [first, next] = loadable(file);
  const length = Math.ceil(first.length / hugePage) * hugePage;
  if (first.offset + length > file.length || (next !== undefined && next.address < first.address + length)) {
    throw new Error('the first segment cannot be made longer');
  }
  setSegment(file, first.header, { ...first, length });
}

/**
 * Writes an executable, a huge page at a time: what a single write(2) covers is what the kernel's page cache keeps in one piece,
 * where the filesystem lets it (ext4 since Linux 6.16, XFS, Btrfs). The file is the same whichever way it is written.
 */
export function writeExecutable(path, file) {
  const descriptor = openSync(path, 'w', 0o755);
  try {
    for (let at = 0; at < file.length; at += hugePage) {
      writeSync(descriptor, file, at, Math.min(hugePage, file.length - at));
    }
  } finally {
    closeSync(descriptor);
  }
}
