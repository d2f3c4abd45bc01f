/** The elements of the table's sets: how a network and a published port are written as keys and data. */

import { addressBytes } from '../linux/ip-address.ts';
import { be16 } from '../linux/netlink-message.ts';
import { type Element, NFT_SET_ELEM_INTERVAL_END } from '../linux/netlink-nftables-sets.ts';
import { cidrOf, endOf } from './cidr.ts';
import type { BridgeNetwork } from './ipam.ts';
import type { PublishedPort } from './ports.ts';
import type { SetName } from './ruleset.ts';

export interface PlacedElement extends Element {
  set: SetName;
}

/** What makes a bridge and its subnets ours. */
export function networkElements(network: BridgeNetwork): PlacedElement[] {
  const { bridge, subnet, ipv6, icc, internal, masquerade } = network;
  const name = interfaceName(bridge);
  return [
    { set: 'bridges', key: name },
    ...(icc ? [{ set: 'links', key: Buffer.concat([name, name]) } as const] : []),
    ...(internal ? [{ set: 'internal', key: name } as const] : []),
    ...rangeElements('subnets', subnet),
    ...(masquerade ? rangeElements('masqueraded', subnet) : []),
    ...(ipv6 === undefined ? [] : rangeElements('subnets6', ipv6.subnet)),
    ...(ipv6 === undefined || !masquerade ? [] : rangeElements('masqueraded6', ipv6.subnet)),
  ];
}

/** A range is its first address, and the first behind it, marked as an end. */
function rangeElements(set: SetName, subnet: string): PlacedElement[] {
  const cidr = cidrOf(subnet);
  const end = endOf(cidr);
  const ends = end === undefined ? [] : [{ set, key: end, flags: NFT_SET_ELEM_INTERVAL_END }];
  return [{ set, key: cidr.bytes }, ...ends];
}

/** An interface's name as sets hold it: 16 bytes. */
export function interfaceName(name: string): Buffer {
  const bytes = Buffer.alloc(16);
  bytes.write(name, 0, 15);
  return bytes;
}

const protocolNumbers = { tcp: 6, udp: 17 } as const;

/** Whether a published port is one of every address of its family. */
function isAnywhere({ hostIp }: PublishedPort): boolean {
  return hostIp === '0.0.0.0' || hostIp === '::';
}

/**
 * A published port: its map and key, where it leads (an address of the family that it is published in), and whose it is
 * (the first 12 digits of the container's id, as a comment that `nft list` shows).
 */
export function portElement(port: PublishedPort, address: string, containerId: string): PlacedElement {
  // Each part of a key begins at a multiple of 4 bytes.
  const service = Buffer.concat([
    Buffer.of(protocolNumbers[port.protocol], 0, 0, 0),
    be16(port.hostPort),
    Buffer.alloc(2),
  ]);
  const anywhere = isAnywhere(port);
  const ipv6 = port.hostIp.includes(':');
  return {
    set: anywhere ? (ipv6 ? 'published6_any' : 'published_any') : ipv6 ? 'published6' : 'published',
    key: anywhere ? service : Buffer.concat([addressBytes(port.hostIp), service]),
    data: Buffer.concat([addressBytes(address), be16(port.containerPort), Buffer.alloc(2)]),
    comment: shortId(containerId),
  };
}

/** The elements of a container's ports: each leads to the address of its own family, if the container has one. */
export function portElements(
  ports: readonly PublishedPort[],
  to: { address: string; address6?: string | undefined },
  containerId: string,
): PlacedElement[] {
  return ports.flatMap((port) => {
    const address = port.hostIp.includes(':') ? to.address6 : to.address;
    return address === undefined ? [] : [portElement(port, address, containerId)];
  });
}

/** The first 12 digits: what people see of a container's id. */
export function shortId(containerId: string): string {
  return containerId.slice(0, 12);
}
