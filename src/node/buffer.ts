/**
 * node:buffer for an engine that has none, https://nodejs.org/docs/latest/api/buffer.html: Buffer with Node's results
 * and errors. There is no pool: each Buffer that is made has memory of its own.
 */
import { decode, encode, encodingOf } from './buffer-encodings.ts';
import { Integers } from './buffer-integers.ts';
import { engine } from './engine.ts';
import { coded, outOfRange } from './errors.ts';

/** @returns whether the bytes are UTF-8 */
export function isUtf8(bytes: Uint8Array): boolean {
  return engine.isUtf8(bytes);
}

function wrongType(name: string, expected: string, value: unknown): TypeError {
  const received = value === null || value === undefined ? String(value) : `type ${typeof value}`;
  const text = `The "${name}" argument must be ${expected}. Received ${received}`;
  return coded(new TypeError(text), 'ERR_INVALID_ARG_TYPE');
}

function checkedSize(size: number): number {
  if (typeof size !== 'number') throw wrongType('size', 'of type number', size);
  if (!(size >= 0 && size <= 0x7fffffff)) throw outOfRange('size', '>= 0 && <= 2147483647', size);
  return size;
}

function checkedBytes(name: string, value: unknown): void {
  if (!(value instanceof Uint8Array)) throw wrongType(name, 'an instance of Buffer or Uint8Array', value);
}

/** A position within, or Node's error. */
function checkedOffset(name: string, value: number, max: number): number {
  if (typeof value !== 'number') throw wrongType(name, 'of type number', value);
  if (!Number.isInteger(value)) throw outOfRange(name, 'an integer', value);
  if (value < 0 || value > max) throw outOfRange(name, `>= 0 && <= ${max}`, value);
  return value;
}

function isMemory(value: object): value is ArrayBufferLike {
  return (
    value instanceof ArrayBuffer || (typeof SharedArrayBuffer === 'function' && value instanceof SharedArrayBuffer)
  );
}

/** The first difference decides, then the length. */
function order(a: Uint8Array, b: Uint8Array): -1 | 0 | 1 {
  const length = a.length < b.length ? a.length : b.length;
  for (let at = 0; at < length; at++) {
    const one = a[at] as number;
    const other = b[at] as number;
    if (one !== other) return one < other ? -1 : 1;
  }
  return a.length === b.length ? 0 : a.length < b.length ? -1 : 1;
}

export class Buffer extends Integers {
  /** As it is inherited. */
  declare static readonly of: (...bytes: number[]) => Buffer;

  /** As new Uint8Array does it. The constructor is written out since that is three times faster than to leave it away. */
  constructor(source: number | ArrayLike<number> | ArrayBufferLike, offset?: number, length?: number) {
    super(source, offset, length);
  }

  static alloc(size: number, fill?: number | string | Uint8Array, encoding?: string): Buffer {
    const buffer = new Buffer(checkedSize(size));
    return fill === undefined || fill === 0 ? buffer : buffer.fill(fill, encoding);
  }

  static allocUnsafe(size: number): Buffer {
    return new Buffer(checkedSize(size));
  }

  static allocUnsafeSlow(size: number): Buffer {
    return new Buffer(checkedSize(size));
  }

  /** Text and arrays are copied, an ArrayBuffer is shared. */
  static from(
    source: string | ArrayLike<number> | ArrayBufferLike | { type: 'Buffer'; data: number[] },
    encodingOrOffset?: string | number,
    length?: number,
  ): Buffer {
    if (typeof source === 'string') {
      return new Buffer(
        typeof encodingOrOffset === 'string' ? encode(source, encodingOrOffset) : engine.encodeUtf8(source),
      );
    }
    if (typeof source !== 'object' || source === null) {
      const expected = 'of type string or an instance of Buffer, ArrayBuffer, or Array or an Array-like Object';
      const text = `The first argument must be ${expected}. Received ${source === null ? 'null' : typeof source}`;
      throw coded(new TypeError(text), 'ERR_INVALID_ARG_TYPE');
    }
    if (source instanceof Uint8Array || Array.isArray(source)) return new Buffer(source);
    if (isMemory(source)) return Buffer.over(source, Number(encodingOrOffset ?? 0), length);
    if ('type' in source) return new Buffer(source.data);
    return new Buffer(source as ArrayLike<number>);
  }

  private static over(memory: ArrayBufferLike, offset: number, length: number | undefined): Buffer {
    const room = memory.byteLength - offset;
    const outside = room < 0 ? 'offset' : length !== undefined && length > room ? 'length' : undefined;
    if (outside !== undefined) {
      throw coded(new RangeError(`"${outside}" is outside of buffer bounds`), 'ERR_BUFFER_OUT_OF_BOUNDS');
    }
    return new Buffer(memory, offset, length === undefined ? room : length > 0 ? length : 0);
  }

  /** @param length in bytes, to which the whole is cut or filled with zeros */
  static concat(list: readonly Uint8Array[], length?: number): Buffer {
    if (!Array.isArray(list)) throw wrongType('list', 'an instance of Array', list);
    let total = length;
    if (total === undefined) {
      total = 0;
      for (const bytes of list) total += bytes.length;
    } else checkedOffset('length', total, 0x7fffffff);
    const buffer = new Buffer(total);
    let at = 0;
    for (let index = 0; index < list.length; index++) {
      const bytes = list[index] as Uint8Array;
      checkedBytes(`list[${index}]`, bytes);
      if (at + bytes.length > total) {
        buffer.set(bytes.subarray(0, total - at), at);
        break;
      }
      buffer.set(bytes, at);
      at += bytes.length;
    }
    return buffer;
  }

  static byteLength(source: string | ArrayBufferView | ArrayBufferLike, encoding = 'utf8'): number {
    if (typeof source !== 'string') return source.byteLength;
    switch (encodingOf(encoding)) {
      case 'latin1':
      case 'ascii':
        return source.length;
      case 'utf16le':
        return source.length * 2;
      case 'hex':
        return source.length >>> 1;
      case 'base64':
      case 'base64url': {
        const padding = source.endsWith('==') ? 2 : source.endsWith('=') ? 1 : 0;
        return ((source.length - padding) * 3) >>> 2;
      }
      default:
        return engine.encodeUtf8(source).byteLength;
    }
  }

  static compare(one: Uint8Array, other: Uint8Array): -1 | 0 | 1 {
    checkedBytes('buf1', one);
    checkedBytes('buf2', other);
    return order(one, other);
  }

  static isBuffer(value: unknown): value is Buffer {
    return value instanceof Buffer;
  }

  static isEncoding(name: unknown): boolean {
    return typeof name === 'string' && encodingOf(name) !== undefined;
  }

  equals(other: Uint8Array): boolean {
    checkedBytes('otherBuffer', other);
    return this.length === other.length && order(this, other) === 0;
  }

  compare(
    target: Uint8Array,
    targetStart = 0,
    targetEnd = target.length,
    start = 0,
    end: number = this.length,
  ): -1 | 0 | 1 {
    checkedBytes('target', target);
    checkedOffset('targetStart', targetStart, Number.MAX_SAFE_INTEGER);
    checkedOffset('targetEnd', targetEnd, target.length);
    checkedOffset('sourceStart', start, Number.MAX_SAFE_INTEGER);
    checkedOffset('sourceEnd', end, this.length);
    if (start >= end) return targetStart >= targetEnd ? 0 : -1;
    if (targetStart >= targetEnd) return 1;
    return order(this.subarray(start, end), target.subarray(targetStart, targetEnd));
  }

  /** @returns how many bytes there was room for */
  copy(target: Uint8Array, targetStart = 0, start = 0, end: number = this.length): number {
    checkedBytes('target', target);
    if (targetStart < 0) throw outOfRange('targetStart', '>= 0', targetStart);
    if (start < 0 || start > this.length) throw outOfRange('sourceStart', `>= 0 && <= ${this.length}`, start);
    if (end < 0) throw outOfRange('sourceEnd', '>= 0', end);
    const room = target.length - targetStart;
    let count = (end > this.length ? this.length : end) - start;
    if (count > room) count = room;
    if (count <= 0) return 0;
    target.set(count === this.length ? this : this.subarray(start, start + count), targetStart);
    return count;
  }

  /** @param start or the encoding of a text, as `end` may be */
  override fill(
    value: number | string | Uint8Array,
    start?: number | string,
    end?: number | string,
    encoding?: string,
  ): this {
    const from = typeof start === 'number' ? checkedOffset('offset', start, 2 ** 32) : 0;
    const last = typeof start === 'number' && typeof end === 'number' ? end : undefined;
    const to = last === undefined ? this.length : checkedOffset('end', last, this.length);
    if (from >= to) return this;
    if (typeof value === 'number') return super.fill(value, from, to);
    const named = typeof start === 'string' ? start : typeof end === 'string' ? end : (encoding ?? 'utf8');
    const pattern = typeof value === 'string' ? new Uint8Array(encode(value, named)) : value;
    if (pattern.length === 0) {
      if (value === '') return super.fill(0, from, to);
      const text = `The argument 'value' is invalid. Received ${JSON.stringify(value)}`;
      throw coded(new TypeError(text), 'ERR_INVALID_ARG_VALUE');
    }
    for (let at = from; at < to; at += pattern.length) {
      this.set(at + pattern.length > to ? pattern.subarray(0, to - at) : pattern, at);
    }
    return this;
  }

  override indexOf(value: number | string | Uint8Array, start?: number | string, encoding?: string): number {
    if (typeof value === 'number') return super.indexOf(value & 0xff, start as number | undefined);
    const [pattern, from] = this.sought(value, start, encoding, 0);
    if (pattern.length === 0) return from > this.length ? this.length : from;
    const first = pattern[0] as number;
    for (let at = super.indexOf(first, from); at >= 0; at = super.indexOf(first, at + 1)) {
      if (at + pattern.length > this.length) return -1;
      if (this.holds(pattern, at)) return at;
    }
    return -1;
  }

  override lastIndexOf(value: number | string | Uint8Array, start?: number | string, encoding?: string): number {
    const bytes = typeof value === 'number' ? Uint8Array.of(value & 0xff) : value;
    const [pattern, from] = this.sought(bytes, start, encoding, this.length);
    if (from < 0) return -1;
    for (let at = Math.min(from, this.length - pattern.length); at >= 0; at--) if (this.holds(pattern, at)) return at;
    return -1;
  }

  override includes(value: number | string | Uint8Array, start?: number | string, encoding?: string): boolean {
    return this.indexOf(value, start, encoding) !== -1;
  }

  /** The bytes of what is sought, and where the search begins: negative starts count from the end. */
  private sought(
    value: string | Uint8Array,
    start: number | string | undefined,
    encoding: string | undefined,
    otherwise: number,
  ): [Uint8Array, number] {
    const named = typeof start === 'string' ? start : (encoding ?? 'utf8');
    const pattern = typeof value === 'string' ? new Uint8Array(encode(value, named)) : value;
    checkedBytes('value', pattern);
    let from = typeof start === 'number' && !Number.isNaN(start) ? Math.trunc(start) : otherwise;
    if (from < 0) from += this.length;
    return [pattern, from < 0 && otherwise === 0 ? 0 : from];
  }

  private holds(pattern: Uint8Array, at: number): boolean {
    for (let index = 0; index < pattern.length; index++) if (this[at + index] !== pattern[index]) return false;
    return true;
  }

  /** Shares its memory, other than that of a Uint8Array. */
  override slice(start?: number, end?: number): this {
    return this.subarray(start, end);
  }

  override toString(encoding = 'utf8', start = 0, end: number = this.length): string {
    const length = this.length;
    const from = start > 0 ? Math.trunc(start) : 0;
    const to = end < length ? Math.trunc(end) : length;
    if (to <= from) return '';
    if (encoding === 'utf8') return engine.decodeUtf8(this, from, to);
    if (encoding === 'latin1') return engine.decodeLatin1(this, from, to);
    return decode(this, encoding, from, to);
  }

  /**
   * write(text), write(text, encoding), write(text, offset), write(text, offset, encoding) and all four.
   *
   * @returns how many bytes there was room for; no character is cut
   */
  write(text: string, offset?: number | string, length?: number | string, encoding?: string): number {
    let at = 0;
    let room = this.length;
    let named = encoding;
    if (typeof offset === 'string') named = offset;
    else if (offset !== undefined) {
      at = checkedOffset('offset', offset, room);
      room -= at;
    }
    if (typeof length === 'string') named = length;
    else if (length !== undefined) room = Math.min(room, checkedOffset('length', length, this.length));
    const bytes = new Uint8Array(encode(text, named ?? 'utf8'));
    if (bytes.length <= room) {
      this.set(bytes, at);
      return bytes.length;
    }
    const kind = encodingOf(named ?? 'utf8');
    let count = room;
    if (kind === 'utf8') while (count > 0 && ((bytes[count] as number) & 0xc0) === 0x80) count--;
    else if (kind === 'utf16le') count -= count % 2;
    this.set(bytes.subarray(0, count), at);
    return count;
  }

  swap16(): this {
    return this.swap(2);
  }

  swap32(): this {
    return this.swap(4);
  }

  swap64(): this {
    return this.swap(8);
  }

  private swap(size: number): this {
    if (this.length % size !== 0) {
      const text = `Buffer size must be a multiple of ${size * 8}-bits`;
      throw coded(new RangeError(text), 'ERR_INVALID_BUFFER_SIZE');
    }
    for (let at = 0; at < this.length; at += size) this.subarray(at, at + size).reverse();
    return this;
  }

  toJSON(): { type: 'Buffer'; data: number[] } {
    return { type: 'Buffer', data: Array.from(this) };
  }
}

// A Buffer is constructed by Uint8Array at once: the integers have no constructor, and passing through it takes time.
Object.setPrototypeOf(Buffer, Uint8Array);
