/** Subnets of either family: `172.30.0.0/16`, `fd00:1::/64`. */
import { addressBytes, addressText, isIpv4, parseIpv6 } from '../linux/ip-address.ts';

export interface Cidr {
  /** The first address, 4 or 16 bytes. */
  bytes: Buffer;
  /** Bits. */
  prefix: number;
  /** Normalised: no bits behind the prefix. */
  text: string;
}

/** Reads a subnet; bits behind the prefix are cleared. Undefined where the text is none. */
export function parseCidr(text: string): Cidr | undefined {
  const [address = '', bits = '', more] = text.split('/');
  const bytes = isIpv4(address) ? addressBytes(address) : parseIpv6(address);
  const prefix = Number(bits);
  if (more !== undefined || bytes === undefined || !/^\d{1,3}$/.test(bits) || prefix > bytes.length * 8) {
    return undefined;
  }
  bytes.forEach((byte, i) => {
    const kept = Math.min(8, Math.max(0, prefix - i * 8));
    bytes[i] = byte & (0xff00 >>> kept);
  });
  return { bytes, prefix, text: `${addressText(bytes)}/${prefix}` };
}

/** The same, for text that was checked before. */
export function cidrOf(text: string): Cidr {
  const cidr = parseCidr(text);
  if (cidr === undefined) throw new RangeError(`"${text}" is not a subnet`);
  return cidr;
}

/** Whether two subnets have an address in common. */
export function cidrsOverlap(a: Cidr, b: Cidr): boolean {
  if (a.bytes.length !== b.bytes.length) return false;
  const shorter = Math.min(a.prefix, b.prefix);
  const cut = (cidr: Cidr): string => cidrOf(`${addressText(cidr.bytes)}/${shorter}`).text;
  return cut(a) === cut(b);
}

/** Whether an address lies in a subnet. */
export function cidrHas(cidr: Cidr, address: string): boolean {
  const bytes = isIpv4(address) ? addressBytes(address) : parseIpv6(address);
  if (bytes === undefined || bytes.length !== cidr.bytes.length) return false;
  return cidrsOverlap(cidr, { bytes, prefix: bytes.length * 8, text: '' });
}

/** The address `offset` behind the first; undefined where the subnet ends before it. */
export function addressAt(cidr: Cidr, offset: number): string | undefined {
  const number = BigInt(`0x${cidr.bytes.toString('hex')}`) + BigInt(offset);
  const hex = number.toString(16).padStart(cidr.bytes.length * 2, '0');
  if (hex.length > cidr.bytes.length * 2) return undefined;
  const address = addressText(Buffer.from(hex, 'hex'));
  return cidrHas(cidr, address) ? address : undefined;
}

/** The first address behind a subnet as bytes; undefined at the end of all addresses. */
export function endOf(cidr: Cidr): Buffer | undefined {
  const bits = cidr.bytes.length * 8;
  const number = BigInt(`0x${cidr.bytes.toString('hex')}`) + (1n << BigInt(bits - cidr.prefix));
  const hex = number.toString(16).padStart(bits / 4, '0');
  return hex.length > bits / 4 ? undefined : Buffer.from(hex, 'hex');
}
