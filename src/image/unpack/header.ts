/**
 * The 512-byte header block of tar: V7, POSIX ustar, GNU and star (POSIX.1-2017 pax(1) "ustar Interchange Format";
 * GNU tar manual "Basic Tar Format"). Offsets below are those of the format.
 */
import type { BytePath } from './byte-path.ts';
import { Malformed } from './entry.ts';

export const blockSize = 512;

export type Dialect = 'v7' | 'ustar' | 'gnu' | 'star';

/** A header block as it stands, before any extension is applied. */
export interface Header {
  dialect: Dialect;
  path: BytePath;
  mode: number;
  uid: number;
  gid: number;
  /** Bytes that follow the header, without padding. */
  size: number;
  /** Seconds since the epoch, may be negative. */
  mtime: number;
  /** The type flag as a character; V7's NUL is `'0'`. */
  type: string;
  linkPath: BytePath;
  major: number;
  minor: number;
}

/** True for a block of zeros: two of them end an archive. */
export function isZeroBlock(buffer: Uint8Array, offset: number): boolean {
  for (let i = offset; i < offset + blockSize; i++) if (buffer[i] !== 0) return false;
  return true;
}

/** A text field: up to the first NUL or the field's end. */
function text(buffer: Buffer, offset: number, length: number): BytePath {
  let end = offset;
  while (end < offset + length && buffer[end] !== 0) end++;
  if (end === offset) return '';
  return buffer.toString('latin1', offset, end);
}

/**
 * A numeric field: octal digits between spaces and NULs, or, with the first bit set, base 256 in two's complement (GNU).
 * An empty field is 0. Throws `Malformed` for anything else, and for what a double cannot hold exactly.
 */
export function parseNumber(buffer: Uint8Array, offset: number, length: number, field: string): number {
  const first = buffer[offset] ?? 0;
  let value = 0;
  if ((first & 0x80) !== 0) {
    const negative = (first & 0x40) !== 0;
    // Bits are inverted for negative numbers, so that the sum stays exact: -(~n) - 1.
    for (let i = 0; i < length; i++) {
      let byte = buffer[offset + i] ?? 0;
      if (negative) byte ^= 0xff;
      if (i === 0) byte &= 0x7f;
      value = value * 256 + byte;
      if (value > Number.MAX_SAFE_INTEGER) throw new Malformed(`has a header whose ${field} is out of range`);
    }
    return negative ? -value - 1 : value;
  }
  let i = offset;
  let end = offset + length;
  while (i < end && (buffer[i] === 0x20 || buffer[i] === 0)) i++;
  while (end > i && (buffer[end - 1] === 0x20 || buffer[end - 1] === 0)) end--;
  for (; i < end; i++) {
    const byte = buffer[i] ?? 0;
    // A NUL ends the number; some writers leave garbage behind it.
    if (byte === 0) break;
    if (byte < 0x30 || byte > 0x37) throw new Malformed(`has a header whose ${field} is not a number`);
    value = value * 8 + (byte - 0x30);
  }
  if (value > Number.MAX_SAFE_INTEGER) throw new Malformed(`has a header whose ${field} is out of range`);
  return value;
}

/** The sum of all bytes with the checksum field as spaces; some old writers summed signed bytes. */
function checksumMatches(buffer: Uint8Array, offset: number, expected: number): boolean {
  let unsigned = 8 * 0x20;
  let high = 0;
  for (let i = offset; i < offset + 148; i++) {
    const byte = buffer[i] as number;
    unsigned += byte;
    high += byte >> 7;
  }
  for (let i = offset + 156; i < offset + blockSize; i++) {
    const byte = buffer[i] as number;
    unsigned += byte;
    high += byte >> 7;
  }
  return unsigned === expected || unsigned - 256 * high === expected;
}

/** `ustar` and what is behind it: compared as bytes, because this runs for every entry. */
function dialectOf(buffer: Buffer, offset: number): Dialect {
  if (!hasText(buffer, offset + 257, 'ustar')) return 'v7';
  if (hasText(buffer, offset + 262, '  \0')) return 'gnu';
  if (buffer[offset + 262] !== 0) return 'v7';
  return hasText(buffer, offset + 508, 'tar\0') ? 'star' : 'ustar';
}

function hasText(buffer: Buffer, offset: number, expected: string): boolean {
  for (let i = 0; i < expected.length; i++) if (buffer[offset + i] !== expected.charCodeAt(i)) return false;
  return true;
}

/**
 * Reads the header block at `offset`. Throws `Malformed` when the checksum is wrong (then this is no tar archive, or a
 * damaged one) or a number is not one. `first` says that no header came before, for the message.
 */
export function parseHeader(buffer: Buffer, offset: number, first: boolean): Header {
  let sum = -1;
  try {
    sum = parseNumber(buffer, offset + 148, 8, 'checksum');
  } catch {
    // A checksum that is no number is a wrong one.
  }
  if (!checksumMatches(buffer, offset, sum)) {
    throw new Malformed(first ? 'is not a tar archive' : 'has a header whose checksum is wrong');
  }
  const dialect = dialectOf(buffer, offset);
  const name = text(buffer, offset, 100);
  // GNU keeps times and the sparse map where ustar has the prefix; star's prefix ends earlier.
  const prefix =
    dialect === 'ustar' ? text(buffer, offset + 345, 155) : dialect === 'star' ? text(buffer, offset + 345, 131) : '';
  const flag = buffer[offset + 156] as number;
  const type = flag === 0 ? '0' : String.fromCharCode(flag);
  const device = dialect !== 'v7' && (type === '3' || type === '4');
  return {
    dialect,
    path: prefix === '' ? name : `${prefix}/${name}`,
    mode: parseNumber(buffer, offset + 100, 8, 'mode') & 0o7777,
    uid: parseNumber(buffer, offset + 108, 8, 'uid'),
    gid: parseNumber(buffer, offset + 116, 8, 'gid'),
    size: parseNumber(buffer, offset + 124, 12, 'size'),
    mtime: parseNumber(buffer, offset + 136, 12, 'mtime'),
    type,
    linkPath: text(buffer, offset + 157, 100),
    major: device ? parseNumber(buffer, offset + 329, 8, 'device number') : 0,
    minor: device ? parseNumber(buffer, offset + 337, 8, 'device number') : 0,
  };
}
