/**
 * The header of one member of a tar archive as it is written: ustar, with a pax header before it for what ustar cannot
 * say (POSIX.1-2017 pax(1); attributes as star and docker write them, `SCHILY.xattr.NAME`). As Go's archive/tar in its
 * PAX format, so that docker and others read back what was there.
 */
import type { BytePath } from '../unpack/byte-path.ts';
import type { EntryType, Timestamp } from '../unpack/entry.ts';
import { blockSize } from '../unpack/header.ts';

/** What a member is. Names are bytes (`BytePath`); a directory's needs no slash at its end. */
export interface TarMember {
  path: BytePath;
  type: EntryType;
  /** Permission bits with setuid, setgid and sticky. */
  mode: number;
  uid: number;
  gid: number;
  /** Bytes of content that follow; 0 for everything but files. */
  size: number;
  mtime: Timestamp;
  /** Target of a symbolic or hard link. */
  linkPath?: BytePath;
  xattrs?: ReadonlyMap<BytePath, Uint8Array> | undefined;
  /** Of devices. */
  major?: number;
  minor?: number;
}

const typeFlags: Readonly<Record<EntryType, string>> = {
  file: '0',
  hardlink: '1',
  symlink: '2',
  character: '3',
  block: '4',
  directory: '5',
  fifo: '6',
};

const nameSize = 100;

/** Whole blocks. With `subsecond` times keep their nanoseconds, else they are cut to seconds, as docker does. */
export function encodeHeader(member: TarMember, subsecond = false): Buffer {
  const path = member.type === 'directory' && !member.path.endsWith('/') ? `${member.path}/` : member.path;
  const linkPath = member.linkPath ?? '';
  const records: Buffer[] = [];
  const record = (key: string, value: string | Uint8Array) => records.push(paxRecord(key, value));
  if (needsPax(path)) record('path', path);
  if (needsPax(linkPath)) record('linkpath', linkPath);
  if (member.size >= 8 ** 11) record('size', String(member.size));
  if (member.uid >= 8 ** 7) record('uid', String(member.uid));
  if (member.gid >= 8 ** 7) record('gid', String(member.gid));
  const { seconds, nanoseconds } = member.mtime;
  if (subsecond && nanoseconds !== 0) record('mtime', formatTime(member.mtime));
  else if (seconds < 0 || seconds >= 8 ** 11) record('mtime', String(seconds));
  for (const [name, value] of [...(member.xattrs ?? [])].sort(([a], [b]) => (a < b ? -1 : 1))) {
    record(`SCHILY.xattr.${name}`, value);
  }
  const own = ustarBlock({ ...member, path, linkPath }, typeFlags[member.type]);
  if (records.length === 0) return own;
  const body = Buffer.concat(records);
  const header = ustarBlock(
    { path: paxName(path), linkPath: '', mode: 0, uid: 0, gid: 0, size: body.length, mtime: { seconds: 0 } },
    'x',
  );
  return Buffer.concat([header, body, Buffer.alloc(paddingOf(body.length)), own]);
}

/** Bytes of zeros behind content of `size` bytes. */
export function paddingOf(size: number): number {
  return (blockSize - (size % blockSize)) % blockSize;
}

/** What is not ASCII has no defined encoding in ustar, and in pax it is bytes. */
function needsPax(text: BytePath): boolean {
  return text.length > nameSize || /[^\x01-\x7f]/.test(text);
}

/** The name of the extended header, which only readers without pax look at. */
function paxName(path: BytePath): BytePath {
  const components = path.replace(/\/$/, '').split('/');
  const name = components.pop() ?? '';
  return [...components, 'PaxHeaders.0', name].join('/');
}

/** `30 mtime=1350244992.023960108\n`: the length counts itself. Text is bytes. */
function paxRecord(key: BytePath, value: BytePath | Uint8Array): Buffer {
  const bytes = typeof value === 'string' ? Buffer.from(value, 'latin1') : value;
  const rest = key.length + bytes.length + 3;
  let length = rest + 1;
  while (String(length).length + rest !== length) length = String(length).length + rest;
  return Buffer.concat([Buffer.from(`${length} ${key}=`, 'latin1'), bytes, Buffer.from('\n')]);
}

/** Decimal seconds; the fraction goes the same way as the sign, so times before 1970 are turned round. */
function formatTime({ seconds, nanoseconds }: Timestamp): string {
  const negative = seconds < 0;
  const whole = negative ? -(seconds + 1) : seconds;
  const fraction = negative ? 1e9 - nanoseconds : nanoseconds;
  return `${negative ? '-' : ''}${whole}.${String(fraction).padStart(9, '0').replace(/0+$/, '')}`;
}

interface UstarFields {
  path: BytePath;
  linkPath: BytePath;
  mode: number;
  uid: number;
  gid: number;
  size: number;
  mtime: { seconds: number };
  major?: number;
  minor?: number;
}

function ustarBlock(fields: UstarFields, type: string): Buffer {
  const block = Buffer.alloc(blockSize);
  putText(block, fields.path, 0);
  putOctal(block, fields.mode, 100, 8);
  putOctal(block, fields.uid, 108, 8);
  putOctal(block, fields.gid, 116, 8);
  putOctal(block, fields.size, 124, 12);
  putOctal(block, fields.mtime.seconds, 136, 12);
  block.write(type, 156, 'latin1');
  putText(block, fields.linkPath, 157);
  block.write('ustar\x0000', 257, 'latin1');
  putOctal(block, fields.major ?? 0, 329, 8);
  putOctal(block, fields.minor ?? 0, 337, 8);
  block.fill(0x20, 148, 156);
  let sum = 0;
  for (const byte of block) sum += byte;
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
  return block;
}

/** What fits; the rest is in the pax header. What is not ASCII is left out, and the slash of a cut directory too. */
function putText(block: Buffer, text: BytePath, offset: number): void {
  const ascii = text.replace(/[^\x01-\x7f]/g, '').slice(0, nameSize);
  block.write(text.length > nameSize ? ascii.replace(/\/+$/, '') : ascii, offset, 'latin1');
}

/** Digits and a NUL; 0 for what does not fit and stands in the pax header. */
function putOctal(block: Buffer, value: number, offset: number, length: number): void {
  const digits = value < 0 || value >= 8 ** (length - 1) ? '0' : value.toString(8);
  block.write(digits.padStart(length - 1, '0'), offset, 'latin1');
}
