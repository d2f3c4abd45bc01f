/**
 * The integers of a Buffer, https://nodejs.org/docs/latest/api/buffer.html: read and written byte by byte, which an
 * interpreter does faster than by a DataView. What is out of range throws a RangeError with Node's code.
 */
import { coded, outOfRange } from './errors.ts';

/** Uint8Array without its static side, which Buffer's differs from; what it cuts is of the class it was cut from. */
export interface Bytes extends Uint8Array<ArrayBuffer> {
  subarray(start?: number, end?: number): this;
}
const Bytes: new (source: number | ArrayLike<number> | ArrayBufferLike, offset?: number, length?: number) => Bytes =
  Uint8Array as never;

/** Eight bytes as an integer of 64 bits: both architectures of tsrun are little-endian. */
const eight = new Uint8Array(8);
const unsigned = new BigUint64Array(eight.buffer);
const signed = new BigInt64Array(eight.buffer);

const maxUnsigned = 0xffffffffffffffffn;
const maxSigned = 0x7fffffffffffffffn;

export class Integers extends Bytes {
  readUInt8(offset = 0): number {
    const value = this[offset];
    if (value === undefined) throw this.outside(offset, 1);
    return value;
  }

  readInt8(offset = 0): number {
    return (this.readUInt8(offset) << 24) >> 24;
  }

  readUInt16LE(offset = 0): number {
    const low = this[offset];
    const high = this[offset + 1];
    if (low === undefined || high === undefined) throw this.outside(offset, 2);
    return low | (high << 8);
  }

  readUInt16BE(offset = 0): number {
    const high = this[offset];
    const low = this[offset + 1];
    if (low === undefined || high === undefined) throw this.outside(offset, 2);
    return low | (high << 8);
  }

  readInt16LE(offset = 0): number {
    return (this.readUInt16LE(offset) << 16) >> 16;
  }

  readInt16BE(offset = 0): number {
    return (this.readUInt16BE(offset) << 16) >> 16;
  }

  readInt32LE(offset = 0): number {
    const first = this[offset];
    const last = this[offset + 3];
    if (first === undefined || last === undefined) throw this.outside(offset, 4);
    return first | ((this[offset + 1] as number) << 8) | ((this[offset + 2] as number) << 16) | (last << 24);
  }

  readInt32BE(offset = 0): number {
    const first = this[offset];
    const last = this[offset + 3];
    if (first === undefined || last === undefined) throw this.outside(offset, 4);
    return last | ((this[offset + 2] as number) << 8) | ((this[offset + 1] as number) << 16) | (first << 24);
  }

  readUInt32LE(offset = 0): number {
    const first = this[offset];
    const last = this[offset + 3];
    if (first === undefined || last === undefined) throw this.outside(offset, 4);
    return (first | ((this[offset + 1] as number) << 8) | ((this[offset + 2] as number) << 16) | (last << 24)) >>> 0;
  }

  readUInt32BE(offset = 0): number {
    return this.readInt32BE(offset) >>> 0;
  }

  readBigUInt64LE(offset = 0): bigint {
    this.take(offset);
    return unsigned[0] as bigint;
  }

  readBigInt64LE(offset = 0): bigint {
    this.take(offset);
    return signed[0] as bigint;
  }

  readBigUInt64BE(offset = 0): bigint {
    this.take(offset);
    eight.reverse();
    return unsigned[0] as bigint;
  }

  readBigInt64BE(offset = 0): bigint {
    this.take(offset);
    eight.reverse();
    return signed[0] as bigint;
  }

  /** @param size in bytes, from 1 to 6 */
  readUIntLE(offset: number, size: number): number {
    this.known(offset, size);
    let value = 0;
    for (let at = size - 1; at >= 0; at--) value = value * 256 + (this[offset + at] as number);
    return value;
  }

  /** @param size in bytes, from 1 to 6 */
  readUIntBE(offset: number, size: number): number {
    this.known(offset, size);
    let value = 0;
    for (let at = 0; at < size; at++) value = value * 256 + (this[offset + at] as number);
    return value;
  }

  writeUInt8(value: number, offset = 0): number {
    if (value > 0xff || value < 0) throw outOfRange('value', '>= 0 and <= 255', value);
    if (this[offset] === undefined) throw this.outside(offset, 1);
    this[offset] = value;
    return offset + 1;
  }

  writeInt8(value: number, offset = 0): number {
    if (value > 0x7f || value < -0x80) throw outOfRange('value', '>= -128 and <= 127', value);
    if (this[offset] === undefined) throw this.outside(offset, 1);
    this[offset] = value;
    return offset + 1;
  }

  writeUInt16LE(value: number, offset = 0): number {
    if (value > 0xffff || value < 0) throw outOfRange('value', '>= 0 and <= 65535', value);
    return this.put16(value, offset, offset + 1);
  }

  writeUInt16BE(value: number, offset = 0): number {
    if (value > 0xffff || value < 0) throw outOfRange('value', '>= 0 and <= 65535', value);
    return this.put16(value, offset + 1, offset);
  }

  writeInt16LE(value: number, offset = 0): number {
    if (value > 0x7fff || value < -0x8000) throw outOfRange('value', '>= -32768 and <= 32767', value);
    return this.put16(value, offset, offset + 1);
  }

  writeInt16BE(value: number, offset = 0): number {
    if (value > 0x7fff || value < -0x8000) throw outOfRange('value', '>= -32768 and <= 32767', value);
    return this.put16(value, offset + 1, offset);
  }

  writeUInt32LE(value: number, offset = 0): number {
    if (value > 0xffffffff || value < 0) throw outOfRange('value', '>= 0 and <= 4294967295', value);
    if (this[offset] === undefined || this[offset + 3] === undefined) throw this.outside(offset, 4);
    this[offset] = value;
    this[offset + 1] = value >>> 8;
    this[offset + 2] = value >>> 16;
    this[offset + 3] = value >>> 24;
    return offset + 4;
  }

  writeInt32LE(value: number, offset = 0): number {
    if (value > 0x7fffffff || value < -0x80000000) throw outOfRange('value', '>= -2147483648 and <= 2147483647', value);
    if (this[offset] === undefined || this[offset + 3] === undefined) throw this.outside(offset, 4);
    this[offset] = value;
    this[offset + 1] = value >> 8;
    this[offset + 2] = value >> 16;
    this[offset + 3] = value >> 24;
    return offset + 4;
  }

  writeUInt32BE(value: number, offset = 0): number {
    if (value > 0xffffffff || value < 0) throw outOfRange('value', '>= 0 and <= 4294967295', value);
    return this.put32BE(value, offset);
  }

  writeInt32BE(value: number, offset = 0): number {
    if (value > 0x7fffffff || value < -0x80000000) throw outOfRange('value', '>= -2147483648 and <= 2147483647', value);
    return this.put32BE(value, offset);
  }

  writeBigUInt64LE(value: bigint, offset = 0): number {
    if (value < 0n || value > maxUnsigned) throw outOfRange('value', '>= 0n and < 2n ** 64n', value);
    unsigned[0] = value;
    return this.put64(offset);
  }

  writeBigInt64LE(value: bigint, offset = 0): number {
    if (value < -maxSigned - 1n || value > maxSigned)
      throw outOfRange('value', '>= -(2n ** 63n) and < 2n ** 63n', value);
    signed[0] = value;
    return this.put64(offset);
  }

  writeBigUInt64BE(value: bigint, offset = 0): number {
    if (value < 0n || value > maxUnsigned) throw outOfRange('value', '>= 0n and < 2n ** 64n', value);
    unsigned[0] = value;
    eight.reverse();
    return this.put64(offset);
  }

  writeBigInt64BE(value: bigint, offset = 0): number {
    if (value < -maxSigned - 1n || value > maxSigned)
      throw outOfRange('value', '>= -(2n ** 63n) and < 2n ** 63n', value);
    signed[0] = value;
    eight.reverse();
    return this.put64(offset);
  }

  /** @param size in bytes, from 1 to 6 */
  writeUIntLE(value: number, offset: number, size: number): number {
    this.known(offset, size);
    this.fits(value, size);
    let left = value;
    for (let at = 0; at < size; at++) {
      this[offset + at] = left % 256;
      left = Math.floor(left / 256);
    }
    return offset + size;
  }

  /** @param size in bytes, from 1 to 6 */
  writeUIntBE(value: number, offset: number, size: number): number {
    this.known(offset, size);
    this.fits(value, size);
    let left = value;
    for (let at = size - 1; at >= 0; at--) {
      this[offset + at] = left % 256;
      left = Math.floor(left / 256);
    }
    return offset + size;
  }

  private put16(value: number, low: number, high: number): number {
    if (this[low] === undefined || this[high] === undefined) throw this.outside(low < high ? low : high, 2);
    this[low] = value;
    this[high] = value >> 8;
    return (low < high ? high : low) + 1;
  }

  private put32BE(value: number, offset: number): number {
    if (this[offset] === undefined || this[offset + 3] === undefined) throw this.outside(offset, 4);
    this[offset] = value >>> 24;
    this[offset + 1] = value >>> 16;
    this[offset + 2] = value >>> 8;
    this[offset + 3] = value;
    return offset + 4;
  }

  private put64(offset: number): number {
    if (this[offset] === undefined || this[offset + 7] === undefined) throw this.outside(offset, 8);
    this.set(eight, offset);
    return offset + 8;
  }

  private take(offset: number): void {
    if (this[offset] === undefined || this[offset + 7] === undefined) throw this.outside(offset, 8);
    eight[0] = this[offset] as number;
    eight[1] = this[offset + 1] as number;
    eight[2] = this[offset + 2] as number;
    eight[3] = this[offset + 3] as number;
    eight[4] = this[offset + 4] as number;
    eight[5] = this[offset + 5] as number;
    eight[6] = this[offset + 6] as number;
    eight[7] = this[offset + 7] as number;
  }

  private known(offset: number, size: number): void {
    if (!Number.isInteger(size) || size < 1 || size > 6) throw outOfRange('byteLength', '>= 1 and <= 6', size);
    if (this[offset] === undefined || this[offset + size - 1] === undefined) throw this.outside(offset, size);
  }

  private fits(value: number, size: number): void {
    const max = 256 ** size - 1;
    if (value > max || value < 0) throw outOfRange('value', `>= 0 and <= ${max}`, value);
  }

  /** @returns what Node throws for an integer of `size` bytes that does not lie within */
  private outside(offset: unknown, size: number): Error {
    if (typeof offset !== 'number') {
      const text = `The "offset" argument must be of type number. Received type ${typeof offset}`;
      return coded(new TypeError(text), 'ERR_INVALID_ARG_TYPE');
    }
    if (!Number.isInteger(offset)) return outOfRange('offset', 'an integer', offset);
    if (this.length < size) {
      return coded(new RangeError('Attempt to access memory outside buffer bounds'), 'ERR_BUFFER_OUT_OF_BOUNDS');
    }
    return outOfRange('offset', `>= 0 and <= ${this.length - size}`, offset);
  }
}
