/**
 * Netlink messages as bytes: headers, attributes and their nesting (man 7 netlink, linux/netlink.h).
 * All of it is host byte order, which is little-endian on every architecture that tsrun runs on; nf_tables has its own
 * integers in network byte order (`be16`, `be32`, `be64`).
 */
import { TsrunError } from '../error.ts';

export const NLM_F_REQUEST = 0x1;
export const NLM_F_MULTI = 0x2;
export const NLM_F_ACK = 0x4;
export const NLM_F_DUMP_INTR = 0x10;
export const NLM_F_DUMP = 0x300;
export const NLM_F_REPLACE = 0x100;
export const NLM_F_EXCL = 0x200;
export const NLM_F_CREATE = 0x400;
export const NLM_F_APPEND = 0x800;
export const NLMSG_ERROR = 2;
export const NLMSG_DONE = 3;
const NLMSG_HEADER = 16;
const NLA_HEADER = 4;
const NLA_F_NESTED = 0x8000;
const NLA_TYPE_MASK = 0x3fff;

export function u8(value: number): Buffer {
  return Buffer.of(value);
}

export function u16(value: number): Buffer {
  return Buffer.of(value & 0xff, value >>> 8);
}

export function u32(value: number): Buffer {
  const bytes = Buffer.allocUnsafe(4);
  bytes.writeUInt32LE(value >>> 0);
  return bytes;
}

export function be16(value: number): Buffer {
  return Buffer.of(value >>> 8, value & 0xff);
}

export function be32(value: number): Buffer {
  const bytes = Buffer.allocUnsafe(4);
  bytes.writeUInt32BE(value >>> 0);
  return bytes;
}

export function be64(value: number): Buffer {
  const bytes = Buffer.allocUnsafe(8);
  bytes.writeBigUInt64BE(BigInt(value));
  return bytes;
}

/** Text with its NUL, as the kernel wants names. */
export function text(value: string): Buffer {
  return Buffer.from(`${value}\0`);
}

/** One attribute (struct nlattr), padded to 4 bytes. Throws a RangeError where the value does not fit its 16-bit length. */
export function attribute(type: number, value: Uint8Array): Buffer {
  const length = NLA_HEADER + value.length;
  if (length > 0xffff) throw new RangeError(`a netlink attribute of ${value.length} bytes is too long`);
  const bytes = Buffer.alloc(align(length));
  bytes.writeUInt16LE(length, 0);
  bytes.writeUInt16LE(type, 2);
  bytes.set(value, NLA_HEADER);
  return bytes;
}

/** An attribute that holds attributes. */
export function nested(type: number, ...children: Uint8Array[]): Buffer {
  return attribute(type | NLA_F_NESTED, Buffer.concat(children));
}

/** A whole message: struct nlmsghdr and its body, padded. */
export function encodeMessage(type: number, flags: number, sequence: number, body: Uint8Array): Buffer {
  const length = NLMSG_HEADER + body.length;
  const bytes = Buffer.alloc(align(length));
  bytes.writeUInt32LE(length, 0);
  bytes.writeUInt16LE(type, 4);
  bytes.writeUInt16LE(flags, 6);
  bytes.writeUInt32LE(sequence, 8);
  bytes.set(body, NLMSG_HEADER);
  return bytes;
}

export interface NetlinkMessage {
  type: number;
  flags: number;
  sequence: number;
  body: Buffer;
}

/** Splits one datagram into messages. Throws `CORRUPT` for lengths that lie. */
export function decodeMessages(datagram: Buffer): NetlinkMessage[] {
  const messages: NetlinkMessage[] = [];
  for (let at = 0; at < datagram.length; ) {
    if (datagram.length - at < NLMSG_HEADER) throw malformed('a message ends inside its header');
    const length = datagram.readUInt32LE(at);
    if (length < NLMSG_HEADER || length > datagram.length - at) throw malformed(`a message claims ${length} bytes`);
    messages.push({
      type: datagram.readUInt16LE(at + 4),
      flags: datagram.readUInt16LE(at + 6),
      sequence: datagram.readUInt32LE(at + 8),
      body: datagram.subarray(at + NLMSG_HEADER, at + length),
    });
    at += align(length);
  }
  return messages;
}

/** The attributes behind a message's fixed header, or inside a nest: looked up by type, read as what they must be. */
export class Attributes {
  /** In the kernel's order; the same type may come again (lists). */
  readonly entries: { type: number; value: Buffer }[] = [];

  /** Throws `CORRUPT` for lengths that lie. */
  constructor(bytes: Buffer) {
    for (let at = 0; at < bytes.length; ) {
      if (bytes.length - at < NLA_HEADER) throw malformed('an attribute ends inside its header');
      const length = bytes.readUInt16LE(at);
      if (length < NLA_HEADER || length > bytes.length - at) throw malformed(`an attribute claims ${length} bytes`);
      const type = bytes.readUInt16LE(at + 2) & NLA_TYPE_MASK;
      this.entries.push({ type, value: bytes.subarray(at + NLA_HEADER, at + length) });
      at += align(length);
    }
  }

  bytes(type: number): Buffer | undefined {
    return this.entries.find((entry) => entry.type === type)?.value;
  }

  u8(type: number): number | undefined {
    return this.sized(type, 1)?.readUInt8();
  }

  u32(type: number): number | undefined {
    return this.sized(type, 4)?.readUInt32LE();
  }

  be16(type: number): number | undefined {
    return this.sized(type, 2)?.readUInt16BE();
  }

  be32(type: number): number | undefined {
    return this.sized(type, 4)?.readUInt32BE();
  }

  /** Beyond 2^53 it loses precision; handles and counters never come there. */
  be64(type: number): number | undefined {
    const bytes = this.sized(type, 8);
    return bytes === undefined ? undefined : Number(bytes.readBigUInt64BE());
  }

  text(type: number): string | undefined {
    const value = this.bytes(type);
    if (value === undefined) return undefined;
    const end = value.indexOf(0);
    return value.toString('utf8', 0, end < 0 ? value.length : end);
  }

  nested(type: number): Attributes | undefined {
    const value = this.bytes(type);
    return value === undefined ? undefined : new Attributes(value);
  }

  private sized(type: number, size: number): Buffer | undefined {
    const value = this.bytes(type);
    if (value !== undefined && value.length < size) throw malformed(`attribute ${type} has ${value.length} bytes`);
    return value;
  }
}

/** Netlink pads everything to 4 bytes. */
function align(length: number): number {
  return (length + 3) & ~3;
}

export function malformed(what: string): TsrunError {
  return new TsrunError('CORRUPT', `a netlink answer of the kernel is malformed: ${what}`);
}
