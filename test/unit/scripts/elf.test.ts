import { expect, test } from 'vitest';
import { alignSegments, loadable, PF_W, PF_X, widenCode } from '../../../scripts/elf.mjs';

const mebibyte = 1024 * 1024;
const hugePage = 2 * mebibyte;

interface Segment {
  flags: number;
  offset: number;
  address: number;
  length: number;
}

/** A file with these segments, each full of bytes that tell its position, and what else elf(5) asks of one: nothing. */
function elf(segments: readonly Segment[]): Buffer {
  const file = Buffer.alloc(Math.max(...segments.map(({ offset, length }) => offset + length)));
  for (const [index, { flags, offset, address, length }] of segments.entries()) {
    for (let at = Math.max(offset, 4096); at < offset + length; at += 512) file.writeUInt32LE(at, at);
    const header = 64 + index * 56;
    file.writeUInt32LE(1, header);
    file.writeUInt32LE(4 | flags, header + 4);
    for (const [place, value] of [offset, address, address, length, length, 4096].entries()) {
      file.writeBigUInt64LE(BigInt(value), header + 8 + place * 8);
    }
  }
  file.writeBigUInt64LE(64n, 32);
  file.writeUInt16LE(56, 54);
  file.writeUInt16LE(segments.length, 56);
  return file;
}

/** What lies in memory at each 512th address. */
function memory(file: Buffer): Map<number, number> {
  const found = new Map<number, number>();
  for (const { offset, address, length } of loadable(file)) {
    for (let at = 4096; at + 4 <= length; at += 512) found.set(address + at, file.readUInt32LE(offset + at));
  }
  return found;
}

const data = { flags: 0, offset: 0, address: hugePage, length: 2.5 * mebibyte };
const code = { flags: PF_X, offset: 2.75 * mebibyte, address: hugePage + 2.75 * mebibyte + 4096, length: mebibyte };
const variables = { flags: PF_W, offset: 4 * mebibyte, address: 5 * hugePage, length: mebibyte };

test('segments move in the file as far behind a border as they lie in memory', () => {
  const before = elf([data, code, variables]);
  const after = alignSegments(before);
  for (const { offset, address } of loadable(after)) expect(offset % hugePage).toBe(address % hugePage);
  expect(memory(after)).toEqual(memory(before));
});

test('code begins at a border of huge pages, and nothing in memory changes', () => {
  const file = alignSegments(elf([data, code, variables]));
  const before = memory(file);
  widenCode(file);
  const [first, second, third] = loadable(file);
  expect(second).toMatchObject({ flags: 4 | PF_X, address: 2 * hugePage, offset: (first?.offset ?? 0) + hugePage });
  expect(first).toMatchObject({ flags: 4, address: hugePage, length: hugePage });
  expect(third).toMatchObject({ flags: 4 | PF_W, address: variables.address });
  const after = memory(file);
  for (const [address, value] of before) {
    // The first page of a segment is left out by memory(): what was data there is code now.
    if (address >= 2 * hugePage && address < 2 * hugePage + 4096) continue;
    expect(after.get(address)).toBe(value);
  }
});

test.each([
  ['writable data lie before it', [{ ...data, flags: PF_W }, code, variables]],
  ['what lies before it in memory does not in the file', [{ ...data, address: data.address - hugePage }, code]],
  ['nothing lies before it', [code, variables]],
])('code stays where it is when %s', (_, segments) => {
  const file = elf(segments);
  const before = Buffer.from(file);
  widenCode(file);
  expect(file.equals(before)).toBe(true);
});
