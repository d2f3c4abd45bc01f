/**
 * Links of rtnetlink: interfaces, bridges, veth pairs, as requests for a NETLINK_ROUTE socket and as values
 * (man 7 rtnetlink, linux/if_link.h).
 */
import { AF_INET, AF_INET6 } from './constants.ts';
import { errno } from './errno.ts';
import type { NetlinkRequest } from './netlink.ts';
import {
  Attributes,
  attribute,
  malformed,
  type NetlinkMessage,
  NLM_F_CREATE,
  NLM_F_EXCL,
  nested,
  text,
  u8,
  u32,
} from './netlink-message.ts';

const RTM_NEWLINK = 16;
const RTM_DELLINK = 17;
const RTM_GETLINK = 18;
const RTM_NEWLINKPROP = 108;
const RTM_DELLINKPROP = 109;
const IFLA_ADDRESS = 1;
const IFLA_IFNAME = 3;
const IFLA_MTU = 4;
const IFLA_MASTER = 10;
const IFLA_OPERSTATE = 16;
const IFLA_LINKINFO = 18;
const IFLA_IFALIAS = 20;
const IFLA_AF_SPEC = 26;
const IFLA_NET_NS_FD = 28;
const IFLA_EXT_MASK = 29;
const IFLA_PROP_LIST = 52;
const IFLA_ALT_IFNAME = 53;
const IFLA_INFO_KIND = 1;
const IFLA_INFO_DATA = 2;
const IFLA_INFO_SLAVE_KIND = 4;
const IFLA_INFO_SLAVE_DATA = 5;
const VETH_INFO_PEER = 1;
const IFLA_BRPORT_STATE = 1;
const IFLA_BRPORT_MODE = 4; // hairpin
const IFLA_BRPORT_ISOLATED = 33; // Linux 4.18
const BR_STATE_FORWARDING = 3;
const IF_OPER_UP = 6;
const IFLA_INET_CONF = 1;
const IFLA_INET6_ADDR_GEN_MODE = 8;
const IN6_ADDR_GEN_MODE_NONE = 1;
const IPV4_DEVCONF_ROUTE_LOCALNET = 26;
const RTEXT_FILTER_SKIP_STATS = 8;
export const IFF_UP = 1;

/** A network interface as the kernel describes it. */
export interface Link {
  index: number;
  name: string;
  /** IFF_* */
  flags: number;
  /** Bytes. */
  mtu: number;
  /** Index of the bridge it is a port of, else 0. */
  master: number;
  /** `bridge`, `veth`, …; empty for devices. */
  kind: string;
  /** Free text (`ip link set … alias`), empty without. */
  alias: string;
  /** Sysctl net.ipv4.conf.<name>.route_localnet. */
  routeLocalnet: boolean;
  /** Whether the kernel has seen that it is connected: before that what it sends is lost. */
  operational: boolean;
  /** Of a bridge's port: whether frames pass it. */
  portForwards: boolean;
}

/** What a link is called by: its index or its name. */
export type LinkId = number | string;

/** struct ifinfomsg, and the name as an attribute where there is no index. */
function linkHeader(link: LinkId, flags = 0, change = 0): Buffer {
  const header = Buffer.alloc(16);
  if (typeof link === 'number') header.writeInt32LE(link, 4);
  header.writeUInt32LE(flags, 8);
  header.writeUInt32LE(change, 12);
  return typeof link === 'number' ? header : Buffer.concat([header, attribute(IFLA_IFNAME, text(link))]);
}

/** Asks for one link; its answer goes to `parseLink`. A link that does not exist (ENODEV) is tolerated. */
export function getLink(link: LinkId): NetlinkRequest {
  const body = Buffer.concat([linkHeader(link), attribute(IFLA_EXT_MASK, u32(RTEXT_FILTER_SKIP_STATS))]);
  return { type: RTM_GETLINK, flags: 0, body, action: `look at interface "${link}"`, tolerate: [errno.ENODEV] };
}

/** Dump request: all links, or the ports of one bridge. */
export function dumpLinks(master?: number): NetlinkRequest {
  const filter = master === undefined ? Buffer.alloc(0) : attribute(IFLA_MASTER, u32(master));
  const mask = attribute(IFLA_EXT_MASK, u32(RTEXT_FILTER_SKIP_STATS));
  return { type: RTM_GETLINK, flags: 0, body: Buffer.concat([linkHeader(0), filter, mask]), action: 'list interfaces' };
}

/** Reads an RTM_NEWLINK message. Throws `CORRUPT`. */
export function parseLink(message: NetlinkMessage): Link {
  if (message.body.length < 16) throw malformed('a link ends inside its header');
  const attributes = new Attributes(message.body.subarray(16));
  const settings = attributes.nested(IFLA_AF_SPEC)?.nested(AF_INET)?.bytes(IFLA_INET_CONF);
  const info = attributes.nested(IFLA_LINKINFO);
  return {
    index: message.body.readInt32LE(4),
    name: attributes.text(IFLA_IFNAME) ?? '',
    flags: message.body.readUInt32LE(8),
    mtu: attributes.u32(IFLA_MTU) ?? 0,
    master: attributes.u32(IFLA_MASTER) ?? 0,
    kind: info?.text(IFLA_INFO_KIND) ?? '',
    alias: attributes.text(IFLA_IFALIAS) ?? '',
    routeLocalnet:
      settings !== undefined &&
      settings.length >= IPV4_DEVCONF_ROUTE_LOCALNET * 4 &&
      settings.readInt32LE((IPV4_DEVCONF_ROUTE_LOCALNET - 1) * 4) !== 0,
    operational: attributes.u8(IFLA_OPERSTATE) === IF_OPER_UP,
    portForwards: info?.nested(IFLA_INFO_SLAVE_DATA)?.u8(IFLA_BRPORT_STATE) === BR_STATE_FORWARDING,
  };
}

/**
 * Creates a bridge with an own address, so that it does not change with its ports. Without STP (the default) a new port
 * forwards at once.
 */
export function createBridge(name: string, mac: string, mtu: number): NetlinkRequest {
  const body = Buffer.concat([
    linkHeader(name),
    attribute(IFLA_ADDRESS, macBytes(mac)),
    attribute(IFLA_MTU, u32(mtu)),
    nested(IFLA_LINKINFO, attribute(IFLA_INFO_KIND, text('bridge'))),
  ]);
  return { type: RTM_NEWLINK, flags: NLM_F_CREATE | NLM_F_EXCL, body, action: `create bridge "${name}"` };
}

/** Creates a veth pair: `name` here as a port of `master`, the peer directly in the network namespace behind `netns`. */
export function createVeth(o: {
  name: string;
  master: number;
  mtu: number;
  peer: { name: string; mac: string; netns: number };
}): NetlinkRequest {
  const peer = [
    linkHeader(o.peer.name),
    attribute(IFLA_ADDRESS, macBytes(o.peer.mac)),
    attribute(IFLA_MTU, u32(o.mtu)),
    attribute(IFLA_NET_NS_FD, u32(o.peer.netns)),
  ];
  const body = Buffer.concat([
    linkHeader(o.name),
    attribute(IFLA_MTU, u32(o.mtu)),
    attribute(IFLA_MASTER, u32(o.master)),
    nested(
      IFLA_LINKINFO,
      attribute(IFLA_INFO_KIND, text('veth')),
      nested(IFLA_INFO_DATA, nested(VETH_INFO_PEER, ...peer)),
    ),
  ]);
  return { type: RTM_NEWLINK, flags: NLM_F_CREATE | NLM_F_EXCL, body, action: `create veth pair "${o.name}"` };
}

/** What may be changed on an existing link, all in one message. */
export interface LinkChange {
  up?: boolean;
  alias?: string;
  /** Of a bridge's port: frames may leave by the port they came in. */
  hairpin?: boolean;
  /** Of a bridge's port: no frames to and from other such ports. */
  isolated?: boolean;
  /** Sysctl net.ipv4.conf.<name>.route_localnet. */
  routeLocalnet?: boolean;
  /** No IPv6 link-local address of its own. */
  noLinkLocal?: boolean;
}

export function changeLink(link: LinkId, change: LinkChange): NetlinkRequest {
  const parts: Buffer[] = [linkHeader(link, change.up === true ? IFF_UP : 0, change.up === undefined ? 0 : IFF_UP)];
  if (change.alias !== undefined) parts.push(attribute(IFLA_IFALIAS, text(change.alias)));
  const port: Buffer[] = [];
  if (change.hairpin !== undefined) port.push(attribute(IFLA_BRPORT_MODE, u8(change.hairpin ? 1 : 0)));
  if (change.isolated !== undefined) port.push(attribute(IFLA_BRPORT_ISOLATED, u8(change.isolated ? 1 : 0)));
  if (port.length > 0) {
    const kind = attribute(IFLA_INFO_SLAVE_KIND, text('bridge'));
    parts.push(nested(IFLA_LINKINFO, kind, nested(IFLA_INFO_SLAVE_DATA, ...port)));
  }
  const families: Buffer[] = [];
  if (change.routeLocalnet !== undefined) {
    const value = attribute(IPV4_DEVCONF_ROUTE_LOCALNET, u32(change.routeLocalnet ? 1 : 0));
    families.push(nested(AF_INET, nested(IFLA_INET_CONF, value)));
  }
  if (change.noLinkLocal === true) {
    families.push(nested(AF_INET6, attribute(IFLA_INET6_ADDR_GEN_MODE, u8(IN6_ADDR_GEN_MODE_NONE))));
  }
  if (families.length > 0) parts.push(nested(IFLA_AF_SPEC, ...families));
  return { type: RTM_NEWLINK, flags: 0, body: Buffer.concat(parts), action: `set up interface "${link}"` };
}

/** Moves a link into the network namespace behind the descriptor `netns`, where it has another name. */
export function moveLink(link: LinkId, { netns, name }: { netns: number; name: string }): NetlinkRequest {
  const body = Buffer.concat([
    linkHeader(link),
    attribute(IFLA_NET_NS_FD, u32(netns)),
    attribute(IFLA_IFNAME, text(name)),
  ]);
  return { type: RTM_NEWLINK, flags: 0, body, action: `move interface ${link} to "${name}" of the container` };
}

/** Gives a link a second, unique name (Linux 5.5). */
export function addLinkName(link: LinkId, name: string): NetlinkRequest {
  const action = `name interface "${link}" also "${name}"`;
  return { type: RTM_NEWLINKPROP, flags: NLM_F_CREATE | NLM_F_EXCL, body: linkName(link, name), action };
}

/** Takes a second name away. */
export function deleteLinkName(link: LinkId, name: string): NetlinkRequest {
  const action = `take the name "${name}" from interface "${link}"`;
  return { type: RTM_DELLINKPROP, flags: 0, body: linkName(link, name), action };
}

function linkName(link: LinkId, name: string): Buffer {
  return Buffer.concat([linkHeader(link), nested(IFLA_PROP_LIST, attribute(IFLA_ALT_IFNAME, text(name)))]);
}

/** Deletes a link (with a veth its peer too). One that is gone is tolerated. */
export function deleteLink(link: LinkId): NetlinkRequest {
  return {
    type: RTM_DELLINK,
    flags: 0,
    body: linkHeader(link),
    action: `delete interface "${link}"`,
    tolerate: [errno.ENODEV],
  };
}

function macBytes(mac: string): Buffer {
  return Buffer.from(mac.replaceAll(':', ''), 'hex');
}
