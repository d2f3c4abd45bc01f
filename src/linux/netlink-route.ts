/**
 * rtnetlink: addresses and routes as requests for a NETLINK_ROUTE socket, and their answers as values
 * (man 7 rtnetlink, linux/if_addr.h, linux/rtnetlink.h).
 */
import { AF_INET, AF_INET6 } from './constants.ts';
import { errno } from './errno.ts';
import { addressBytes, addressText, ipv4Number, ipv4Text } from './ip-address.ts';
import type { NetlinkRequest } from './netlink.ts';
import {
  Attributes,
  attribute,
  malformed,
  type NetlinkMessage,
  NLM_F_CREATE,
  NLM_F_EXCL,
  NLM_F_REPLACE,
  u32,
} from './netlink-message.ts';

const RTM_NEWADDR = 20;
const RTM_GETADDR = 22;
const RTM_NEWROUTE = 24;
const RTM_DELROUTE = 25;
const RTM_GETROUTE = 26;
const IFA_ADDRESS = 1;
const IFA_LOCAL = 2;
const IFA_BROADCAST = 4;
const IFA_FLAGS = 8;
const IFA_F_NODAD = 0x02;
const RTA_DST = 1;
const RTA_OIF = 4;
const RTA_GATEWAY = 5;
const RTA_TABLE = 15;
const RT_TABLE_MAIN = 254;
const RTPROT_BOOT = 3;
export const RTN_UNICAST = 1;
export const RTN_LOCAL = 2;

/**
 * Gives the link with `index` an address. One that it has already is tolerated. IPv6 addresses are usable at once: who
 * hands them out knows that nobody else has them, and duplicate address detection takes a second.
 */
export function addAddress(index: number, address: string, prefix: number): NetlinkRequest {
  const bytes = addressBytes(address);
  const header = Buffer.of(familyOf(address), prefix, 0, 0, 0, 0, 0, 0);
  header.writeUInt32LE(index, 4);
  const parts = [header, attribute(IFA_LOCAL, bytes), attribute(IFA_ADDRESS, bytes)];
  if (bytes.length === 4) {
    const broadcast = (ipv4Number(address) | (0xffffffff >>> prefix)) >>> 0;
    parts.push(attribute(IFA_BROADCAST, addressBytes(ipv4Text(broadcast))));
  } else {
    parts.push(attribute(IFA_FLAGS, u32(IFA_F_NODAD)));
  }
  return {
    type: RTM_NEWADDR,
    flags: NLM_F_CREATE | NLM_F_EXCL,
    body: Buffer.concat(parts),
    action: `give interface ${index} the address ${address}/${prefix}`,
    tolerate: [errno.EEXIST],
  };
}

function familyOf(address: string): number {
  return address.includes(':') ? AF_INET6 : AF_INET;
}

/** Dump request: all addresses of IPv4 (or of IPv6). */
export function dumpAddresses(family: number = AF_INET): NetlinkRequest {
  return { type: RTM_GETADDR, flags: 0, body: Buffer.of(family, 0, 0, 0, 0, 0, 0, 0), action: 'list addresses' };
}

export interface InterfaceAddress {
  /** Of the link. */
  index: number;
  address: string;
  prefix: number;
}

/** Reads an RTM_NEWADDR message. Throws `CORRUPT`. */
export function parseAddress(message: NetlinkMessage): InterfaceAddress | undefined {
  if (message.body.length < 8) throw malformed('an address ends inside its header');
  const attributes = new Attributes(message.body.subarray(8));
  const address = attributes.bytes(IFA_LOCAL) ?? attributes.bytes(IFA_ADDRESS);
  if (address?.length !== 4 && address?.length !== 16) return undefined;
  return { index: message.body.readUInt32LE(4), address: addressText(address), prefix: message.body.readUInt8(1) };
}

/** Adds the default route of the gateway's family in the main table, in the place of another one. */
export function setDefaultRoute(index: number, gateway: string): NetlinkRequest {
  const parts = [attribute(RTA_GATEWAY, addressBytes(gateway)), attribute(RTA_OIF, u32(index))];
  return {
    type: RTM_NEWROUTE,
    flags: NLM_F_CREATE | NLM_F_REPLACE,
    body: Buffer.concat([defaultRouteHeader(familyOf(gateway), RTPROT_BOOT, RTN_UNICAST), ...parts]),
    action: `route everything by ${gateway}`,
  };
}

/** Deletes the default route of a family in the main table; that there is none is tolerated. */
export function deleteDefaultRoute(family: number): NetlinkRequest {
  const body = defaultRouteHeader(family, 0, 0);
  const action = 'delete the default route';
  return { type: RTM_DELROUTE, flags: 0, body, action, tolerate: [errno.ESRCH] };
}

function defaultRouteHeader(family: number, protocol: number, type: number): Buffer {
  const RT_SCOPE_NOWHERE = 255;
  // A scope is compared where routes are deleted, and then "nowhere" stands for any.
  const scope = type === 0 ? RT_SCOPE_NOWHERE : 0;
  return Buffer.from([family, 0, 0, 0, RT_TABLE_MAIN, protocol, scope, type, 0, 0, 0, 0]);
}

/** Dump request: the routes of all tables, of IPv4 (or of IPv6). */
export function dumpRoutes(family: number = AF_INET): NetlinkRequest {
  return { type: RTM_GETROUTE, flags: 0, body: Buffer.from([family, ...Array(11).fill(0)]), action: 'list routes' };
}

export interface Route {
  destination: string;
  prefix: number;
  /** RTN_* */
  type: number;
  table: number;
  /** Index of the interface, 0 without. */
  interface: number;
  gateway?: string;
}

/** Reads an RTM_NEWROUTE message. Throws `CORRUPT`. */
export function parseRoute(message: NetlinkMessage): Route | undefined {
  const { body } = message;
  if (body.length < 12) throw malformed('a route ends inside its header');
  const size = body[0] === AF_INET ? 4 : body[0] === AF_INET6 ? 16 : 0;
  if (size === 0) return undefined;
  const attributes = new Attributes(body.subarray(12));
  const destination = attributes.bytes(RTA_DST);
  const gateway = attributes.bytes(RTA_GATEWAY);
  return {
    destination: addressText(destination?.length === size ? destination : Buffer.alloc(size)),
    prefix: body.readUInt8(1),
    type: body.readUInt8(7),
    table: attributes.u32(RTA_TABLE) ?? body.readUInt8(4),
    interface: attributes.u32(RTA_OIF) ?? 0,
    ...(gateway?.length === size ? { gateway: addressText(gateway) } : {}),
  };
}
