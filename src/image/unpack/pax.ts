/**
 * pax extended headers: records `LENGTH KEY=VALUE\n`, where LENGTH counts the whole record (POSIX.1-2017 pax(1), "pax
 * Extended Header"). Values are bytes; what means text (path, linkpath) stays bytes as well.
 */
import type { BytePath } from './byte-path.ts';
import { Malformed, type Timestamp } from './entry.ts';

/** The records of one extended header, the last of each key; sparse format 0.0 alone repeats keys, in a meaningful order. */
export interface PaxRecords {
  values: Map<string, Buffer>;
  /** offset, length, offset, length, … of `GNU.sparse.offset` and `GNU.sparse.numbytes`. */
  sparsePairs: number[];
}

export function noRecords(): PaxRecords {
  return { values: new Map(), sparsePairs: [] };
}

/** Reads the body of an extended header into `records`. Throws `Malformed` for anything that does not add up. */
export function parsePax(body: Buffer, records: PaxRecords): void {
  let position = 0;
  while (position < body.length) {
    const space = body.indexOf(0x20, position);
    if (space < 0 || space - position > 20) throw malformed('a record without a length');
    const length = decimal(body.toString('latin1', position, space), 'record length');
    const end = position + length;
    if (end > body.length || end <= space + 1) throw malformed('a record that is longer than its header');
    if (body[end - 1] !== 0x0a) throw malformed('a record that does not end where it says');
    const equals = body.indexOf(0x3d, space + 1);
    if (equals < 0 || equals >= end) throw malformed('a record without a key');
    const key = body.toString('latin1', space + 1, equals);
    if (key === '' || key.includes('\0')) throw malformed('a record without a valid key');
    addRecord(records, key, body.subarray(equals + 1, end - 1));
    position = end;
  }
}

function addRecord(records: PaxRecords, key: string, value: Buffer): void {
  if (key === 'GNU.sparse.offset' || key === 'GNU.sparse.numbytes') {
    const expectsOffset = records.sparsePairs.length % 2 === 0;
    if (expectsOffset !== (key === 'GNU.sparse.offset')) throw malformed('sparse offsets and lengths that do not pair');
    records.sparsePairs.push(decimal(value.toString('latin1'), key));
    return;
  }
  records.values.set(key, value);
}

function malformed(why: string): Malformed {
  return new Malformed(`has a malformed extended header: ${why}`);
}

/** A record that holds a name. An empty value takes an earlier one back (pax(1)); undefined then. */
export function paxName(records: PaxRecords, key: string): BytePath | undefined {
  const value = records.values.get(key);
  return value === undefined || value.length === 0 ? undefined : value.toString('latin1');
}

/** A record that holds a number >= 0. */
export function paxNumber(records: PaxRecords, key: string): number | undefined {
  const value = records.values.get(key);
  return value === undefined || value.length === 0 ? undefined : decimal(value.toString('latin1'), key);
}

/** A record that holds a time: decimal seconds with a fraction of any length, of which nine digits are kept. */
export function paxTime(records: PaxRecords, key: string): Timestamp | undefined {
  const value = records.values.get(key);
  if (value === undefined || value.length === 0) return undefined;
  const match = /^(-?)(\d{1,15})(?:\.(\d*))?$/.exec(value.toString('latin1'));
  if (match === null) throw malformed(`${key} is not a time`);
  const [, sign = '', whole = '', fraction = ''] = match;
  const seconds = Number(whole);
  const nanoseconds = Number(fraction.slice(0, 9).padEnd(9, '0'));
  if (sign === '') return { seconds, nanoseconds };
  // The kernel counts nanoseconds upwards from the second before.
  return nanoseconds === 0
    ? { seconds: 0 - seconds, nanoseconds }
    : { seconds: -seconds - 1, nanoseconds: 1e9 - nanoseconds };
}

/** Decimal digits. Throws `Malformed` for signs, blanks, nothing, and what a double cannot hold exactly. */
export function decimal(text: string, what: string): number {
  const value = /^\d{1,16}$/.test(text) ? Number(text) : Number.NaN;
  if (!Number.isSafeInteger(value)) throw malformed(`${what} is not a number`);
  return value;
}

const schily = 'SCHILY.xattr.';
const libarchive = 'LIBARCHIVE.xattr.';

/**
 * Extended attributes: `SCHILY.xattr.NAME` with the value as it is (star, GNU tar, docker), else `LIBARCHIVE.xattr.NAME`
 * with the name URL-encoded and the value in base64 (bsdtar writes both).
 */
export function paxXattrs(records: PaxRecords): Map<BytePath, Uint8Array> | undefined {
  let found: Map<BytePath, Uint8Array> | undefined;
  for (const [key, value] of records.values) {
    if (key.startsWith(libarchive)) {
      const name = unescapeUrl(key.slice(libarchive.length));
      found ??= new Map();
      if (!found.has(name)) found.set(name, Buffer.from(value.toString('latin1'), 'base64'));
    }
  }
  for (const [key, value] of records.values) {
    if (key.startsWith(schily)) {
      found ??= new Map();
      found.set(key.slice(schily.length), value);
    }
  }
  return found;
}

function unescapeUrl(text: string): BytePath {
  return text.replace(/%([0-9a-fA-F]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
}
