/** The elements of the table's sets: how a network and a published port are written as keys and data. */
import { be16 } from '../linux/netlink-message.ts';
import { type Element, NFT_SET_ELEM_INTERVAL_END } from '../linux/netlink-nftables-sets.ts';
import { ipv4Bytes, ipv4Text } from '../linux/netlink-route.ts';
import { type BridgeNetwork, parseSubnet } from './ipam.ts';
import type { PublishedPort } from './ports.ts';
import type { SetName } from './ruleset.ts';

export interface PlacedElement extends Element {
  set: SetName;
}

/** What makes a bridge and its subnet ours. */
export function networkElements({ bridge, subnet }: BridgeNetwork): PlacedElement[] {
  const name = interfaceName(bridge);
  const range = parseSubnet(subnet);
  if (range === undefined) throw new RangeError(`"${subnet}" is not a subnet`);
  return [
    { set: 'bridges', key: name },
    { set: 'links', key: Buffer.concat([name, name]) },
    { set: 'subnets', key: ipv4Bytes(ipv4Text(range.first)) },
    { set: 'subnets', key: ipv4Bytes(ipv4Text(range.last + 1)), flags: NFT_SET_ELEM_INTERVAL_END },
  ];
}

/** An interface's name as sets hold it: 16 bytes. */
export function interfaceName(name: string): Buffer {
  const bytes = Buffer.alloc(16);
  bytes.write(name, 0, 15);
  return bytes;
}

const protocolNumbers = { tcp: 6, udp: 17 } as const;

/**
 * A published port: its map and key, where it leads, and whose it is (the first 12 digits of the container's id, as a
 * comment that `nft list` shows).
 */
export function portElement(port: PublishedPort, address: string, containerId: string): PlacedElement {
  // Each part of a key begins at a multiple of 4 bytes.
  const service = Buffer.concat([
    Buffer.of(protocolNumbers[port.protocol], 0, 0, 0),
    be16(port.hostPort),
    Buffer.alloc(2),
  ]);
  const anywhere = port.hostIp === '0.0.0.0';
  return {
    set: anywhere ? 'published_any' : 'published',
    key: anywhere ? service : Buffer.concat([ipv4Bytes(port.hostIp), service]),
    data: Buffer.concat([ipv4Bytes(address), be16(port.containerPort), Buffer.alloc(2)]),
    comment: shortId(containerId),
  };
}

/** The first 12 digits: what people see of a container's id. */
export function shortId(containerId: string): string {
  return containerId.slice(0, 12);
}
