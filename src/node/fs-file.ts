/** The content of files, of `node:fs`: open, read, write and what is made of them. */
import {
  AT_FDCWD,
  O_APPEND,
  O_CLOEXEC,
  O_CREAT,
  O_EXCL,
  O_RDONLY,
  O_RDWR,
  O_TRUNC,
  O_WRONLY,
} from '../linux/constants.ts';
import { engine } from './engine.ts';
import { coded, outOfRange } from './errors.ts';
import {
  call,
  checkDescriptor,
  EINTR,
  failure,
  invalidType,
  keptAddress,
  nr,
  onlyOptions,
  pathAddress,
  scratch,
} from './file-calls.ts';
import { sizeOf } from './fs-stat.ts';

const O_SYNC = 0o4010000;

const openFlags: Readonly<Record<string, number>> = {
  r: O_RDONLY,
  w: O_WRONLY | O_CREAT | O_TRUNC,
  a: O_WRONLY | O_CREAT | O_APPEND,
  'r+': O_RDWR,
  wx: O_WRONLY | O_CREAT | O_TRUNC | O_EXCL,
  xw: O_WRONLY | O_CREAT | O_TRUNC | O_EXCL,
  'w+': O_RDWR | O_CREAT | O_TRUNC,
  'wx+': O_RDWR | O_CREAT | O_TRUNC | O_EXCL,
  'xw+': O_RDWR | O_CREAT | O_TRUNC | O_EXCL,
  'a+': O_RDWR | O_CREAT | O_APPEND,
  ax: O_WRONLY | O_CREAT | O_APPEND | O_EXCL,
  xa: O_WRONLY | O_CREAT | O_APPEND | O_EXCL,
  'ax+': O_RDWR | O_CREAT | O_APPEND | O_EXCL,
  'xa+': O_RDWR | O_CREAT | O_APPEND | O_EXCL,
  rs: O_RDONLY | O_SYNC,
  sr: O_RDONLY | O_SYNC,
  'rs+': O_RDWR | O_SYNC,
  'sr+': O_RDWR | O_SYNC,
  as: O_WRONLY | O_CREAT | O_APPEND | O_SYNC,
  sa: O_WRONLY | O_CREAT | O_APPEND | O_SYNC,
  'as+': O_RDWR | O_CREAT | O_APPEND | O_SYNC,
  'sa+': O_RDWR | O_CREAT | O_APPEND | O_SYNC,
};

function flagsOf(flags: string | number | null): number {
  if (typeof flags === 'number') return flags;
  const name = flags ?? 'r';
  const bits = Object.hasOwn(openFlags, name) ? openFlags[name] : undefined;
  if (bits !== undefined) return bits;
  throw coded(new TypeError(`The argument 'flags' is invalid. Received '${String(flags)}'`), 'ERR_INVALID_ARG_VALUE');
}

/** The bits of a mode, which may be a text of octal digits. */
export function modeOf(mode: number | string, argument = 'mode'): number {
  if (typeof mode === 'number') {
    if (Number.isInteger(mode) && mode >= 0 && mode <= 0xffffffff) return mode;
    throw outOfRange(argument, Number.isInteger(mode) ? '>= 0 && <= 4294967295' : 'an integer', mode);
  }
  if (typeof mode !== 'string') throw invalidType(argument, 'of type number', mode);
  if (/^[0-7]+$/.test(mode)) return Number.parseInt(mode, 8);
  throw coded(
    new TypeError(
      `The argument '${argument}' must be a 32-bit unsigned integer or an octal string. Received '${mode}'`,
    ),
    'ERR_INVALID_ARG_VALUE',
  );
}

export function openSync(
  path: string,
  flags: string | number | null = 'r',
  mode: number | string | null = 0o666,
): number {
  const bits = flagsOf(flags);
  const fd = call(nr.openat, AT_FDCWD, pathAddress(path), bits | O_CLOEXEC, mode === null ? 0o666 : modeOf(mode));
  if (fd < 0) throw failure(fd, 'open', path);
  return fd;
}

export function closeSync(fd: number): void {
  checkDescriptor(fd);
  const result = engine.syscall(nr.close, fd, 0, 0, 0, 0, 0);
  if (result < 0 && result !== EINTR) throw failure(result, 'close');
}

/** Which part of a buffer is meant, and of the file where it is not the part that is next. */
export interface Part {
  offset?: number | undefined;
  length?: number | undefined;
  position?: number | bigint | null | undefined;
}

function checkPart(offset: number, length: number, size: number): void {
  if (typeof offset !== 'number') throw invalidType('offset', 'of type number', offset);
  if (!Number.isInteger(offset)) throw outOfRange('offset', 'an integer', offset);
  if (offset < 0) throw outOfRange('offset', '>= 0', offset);
  if (length < 0) throw outOfRange('length', '>= 0', length);
  if (length > size - offset) throw outOfRange('length', `<= ${size - offset}`, length);
}

function bytesOf(data: ArrayBufferView): Uint8Array {
  if (data instanceof Uint8Array) return data;
  if (!ArrayBuffer.isView(data)) {
    throw invalidType('buffer', 'an instance of Buffer, TypedArray, or DataView', data);
  }
  return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
}

/** -1 is what follows. */
function positionOf(position: number | bigint | null | undefined): number {
  if (position === undefined || position === null) return -1;
  if (typeof position !== 'number' && typeof position !== 'bigint') {
    throw invalidType('position', 'an integer', position);
  }
  return Number(position);
}

export function readSync(
  fd: number,
  buffer: ArrayBufferView,
  offset: number | Part | null = 0,
  length?: number,
  position?: number | bigint | null,
): number {
  checkDescriptor(fd);
  if (typeof offset === 'object') {
    const part = offset ?? {};
    onlyOptions('read', part, ' offset length position ');
    return readSync(fd, buffer, part.offset ?? 0, part.length, part.position);
  }
  const bytes = bytesOf(buffer);
  const size = length ?? bytes.length - offset;
  checkPart(offset, size, bytes.length);
  if (size === 0) return 0;
  const at = positionOf(position);
  const into = keptAddress(bytes) + offset;
  const result = at < 0 ? call(nr.read, fd, into, size) : call(nr.pread64, fd, into, size, at);
  if (result < 0) throw failure(result, 'read');
  return result;
}

export function writeSync(
  fd: number,
  data: ArrayBufferView | string,
  offset?: number | Part | null,
  length?: number | string | null,
  position?: number | bigint | null,
): number {
  checkDescriptor(fd);
  if (typeof data === 'string') {
    if (length !== undefined && length !== null && length !== 'utf8')
      return writeSync(fd, Buffer.from(data, length as 'latin1'), 0, undefined, offset as number);
    return writeBytes(fd, new Uint8Array(engine.encodeUtf8(data)), 0, undefined, offset as number);
  }
  if (typeof offset === 'object' && offset !== null) {
    onlyOptions('write', offset, ' offset length position ');
    return writeSync(fd, data, offset.offset, offset.length, offset.position);
  }
  return writeBytes(fd, bytesOf(data), offset ?? 0, typeof length === 'number' ? length : undefined, position);
}

function writeBytes(
  fd: number,
  bytes: Uint8Array,
  offset: number,
  length: number | undefined,
  position: number | bigint | null | undefined,
): number {
  if (offset > bytes.length) throw outOfRange('offset', `<= ${bytes.length}`, offset);
  const size = length ?? bytes.length - offset;
  checkPart(offset, size, bytes.length);
  const at = positionOf(position);
  const from = size === 0 ? 0 : keptAddress(bytes) + offset;
  const result = at < 0 ? call(nr.write, fd, from, size) : call(nr.pwrite64, fd, from, size, at);
  if (result < 0) throw failure(result, 'write');
  return result;
}

export function ftruncateSync(fd: number, length = 0): void {
  checkDescriptor(fd);
  const result = call(nr.ftruncate, fd, Math.max(0, length));
  if (result < 0) throw failure(result, 'ftruncate');
}

export function truncateSync(path: string, length = 0): void {
  const fd = openSync(path, 'r+');
  try {
    ftruncateSync(fd, length);
  } finally {
    closeSync(fd);
  }
}

export function fsyncSync(fd: number): void {
  checkDescriptor(fd);
  const result = call(nr.fsync, fd);
  if (result < 0) throw failure(result, 'fsync');
}

export function fdatasyncSync(fd: number): void {
  checkDescriptor(fd);
  const result = call(nr.fdatasync, fd);
  if (result < 0) throw failure(result, 'fdatasync');
}

/** What `encoding` may be beside Node's names of it: none is bytes. */
export interface FileOptions {
  encoding?: string | null | undefined;
  flag?: string | number | undefined;
  mode?: number | string | undefined;
  flush?: boolean | undefined;
}

/** The bytes of a file from where it stands: in `scratch` where they fit there, so that a text need not be copied once more. */
function readAll(fd: number): Uint8Array {
  let bytes = scratch();
  for (let length = 0; ; ) {
    const result = call(nr.read, fd, engine.address(bytes) + length, bytes.length - length);
    if (result < 0) throw failure(result, 'read');
    length += result;
    if (result === 0) return bytes.subarray(0, length);
    if (length === bytes.length) {
      // One byte more than it says, so that the read that finds the end needs no more room.
      const larger = new Uint8Array(Math.max(sizeOf(fd) + 1, 2 * length));
      larger.set(bytes);
      bytes = larger;
    }
  }
}

export function readFileSync(file: string | number, options?: string | FileOptions | null): string | Buffer {
  let encoding: string | null | undefined;
  let flag: string | number | undefined;
  if (typeof options === 'object' && options !== null) {
    onlyOptions('readFile', options, ' encoding flag ');
    encoding = options.encoding;
    flag = options.flag;
  } else {
    encoding = options;
  }
  const fd = typeof file === 'number' ? file : openSync(file, flag);
  try {
    const bytes = readAll(fd);
    if (encoding === 'utf8' || encoding === 'utf-8') return engine.decodeUtf8(bytes, 0, bytes.length);
    if (encoding === 'latin1') return engine.decodeLatin1(bytes, 0, bytes.length);
    const copy = Buffer.from(bytes);
    return encoding === undefined || encoding === null || encoding === 'buffer'
      ? copy
      : copy.toString(encoding as 'latin1');
  } finally {
    if (typeof file !== 'number') engine.syscall(nr.close, fd, 0, 0, 0, 0, 0);
  }
}

function writeWhole(
  file: string | number,
  data: ArrayBufferView | string,
  options: string | FileOptions | null | undefined,
  usual: string,
): void {
  const { encoding, flag, mode, flush }: FileOptions =
    typeof options === 'object' && options !== null ? options : { encoding: options };
  if (typeof options === 'object' && options !== null) onlyOptions('writeFile', options, ' encoding flag mode flush ');
  let bytes: Uint8Array;
  if (typeof data !== 'string') bytes = bytesOf(data);
  else if (encoding === undefined || encoding === null || encoding === 'utf8' || encoding === 'utf-8') {
    bytes = new Uint8Array(engine.encodeUtf8(data));
  } else bytes = Buffer.from(data, encoding as 'latin1');
  const fd = typeof file === 'number' ? file : openSync(file, flag ?? usual, mode);
  try {
    for (let offset = 0; offset < bytes.length; ) offset += writeBytes(fd, bytes, offset, undefined, null);
    if (flush === true) fsyncSync(fd);
  } finally {
    if (typeof file !== 'number') engine.syscall(nr.close, fd, 0, 0, 0, 0, 0);
  }
}

export function writeFileSync(
  file: string | number,
  data: ArrayBufferView | string,
  options?: string | FileOptions | null,
): void {
  writeWhole(file, data, options, 'w');
}

export function appendFileSync(
  file: string | number,
  data: ArrayBufferView | string,
  options?: string | FileOptions | null,
): void {
  writeWhole(file, data, options, 'a');
}
