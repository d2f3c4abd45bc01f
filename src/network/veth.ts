/**
 * The cable between a container and the bridge: a veth pair, one end a port of the bridge, the other the container's
 * eth0. It is known by the container's id (name, alias) and by its address (second name), so that the kernel itself
 * refuses an address that is in use.
 */

import { TsrunError } from '../error.ts';
import { AF_INET, AF_INET6 } from '../linux/constants.ts';
import { errno } from '../linux/errno.ts';
import { createHash } from '../linux/hash.ts';
import { withNetns } from '../linux/namespaces.ts';
import { NETLINK_ROUTE, NetlinkError, type NetlinkRequest, NetlinkSocket } from '../linux/netlink.ts';
import {
  addLinkName,
  changeLink,
  createVeth,
  deleteLink,
  deleteLinkName,
  dumpLinks,
  getLink,
  type Link,
  parseLink,
} from '../linux/netlink-link.ts';
import { addAddress, deleteDefaultRoute, setDefaultRoute } from '../linux/netlink-route.ts';
import { rootDirectory } from '../linux/paths.ts';
import { pause } from '../linux/pause.ts';
import { step } from '../trace.ts';
import { findLink, guardIpv6, quietIpv6 } from './bridge.ts';
import { type BridgeNetwork, predefinedIds } from './ipam.ts';
import { deleteCable, insideAddress, plugCable } from './steps.ts';

/** A cable's alias: whose it is, and in which data root that container is found. */
function aliasOf(containerId: string, root: string): string {
  return `tsrun ${containerId} ${root.slice(-180)}`; // the kernel keeps 255 bytes
}

/**
 * `ts` and the first 11 digits of the container's id (an interface's name has room for 15), or of a digest of both ids:
 * a container has one cable to each of its networks.
 */
export function hostInterfaceOf(containerId: string, networkId: string): string {
  if (networkId === predefinedIds.bridge) return `ts${containerId.slice(0, 11)}`;
  return `ts${createHash('sha256').update(containerId).update(networkId).digest('hex').slice(0, 11)}`;
}

export interface Cable {
  containerId: string;
  /** Descriptor of the container's network namespace. */
  netns: number;
  /** The container's end: `eth0`. */
  interface: string;
  /** Of the container. */
  address: string;
  address6?: string | undefined;
  mac: string;
}

/**
 * Makes the pair and plugs its host end in. False where the address is in use by an interface that no record tells of:
 * nothing is left behind then. Throws NetlinkError.
 */
export function plugIn(socket: NetlinkSocket, network: BridgeNetwork, bridge: Link, cable: Cable): boolean {
  const name = hostInterfaceOf(cable.containerId, network.id);
  const { address, mac, netns, interface: peer } = cable;
  return step(plugCable(network, { name, peer, mac, mtu: bridge.mtu }), () => {
    const requests = [
      createVeth({ name, master: bridge.index, mtu: bridge.mtu, peer: { name: peer, mac, netns } }),
      changeLink(name, {
        up: true,
        alias: aliasOf(cable.containerId, rootDirectory()),
        hairpin: true,
        // Without br_netfilter the table sees nothing of what neighbours send to each other.
        ...(network.icc ? {} : { isolated: true }),
        noLinkLocal: true,
      }),
      { ...addLinkName(name, addressName(address)), tolerate: [errno.EEXIST, errno.EOPNOTSUPP] },
    ];
    const answers = createOver(socket, name, requests);
    if (answers[2]?.error?.errno !== errno.EEXIST) return true;
    socket.run([deleteLink(name)]);
    return false;
  });
}

/** A pair that an earlier start of this container left (its namespace is just being destroyed) gives way. */
function createOver(socket: NetlinkSocket, name: string, requests: Parameters<NetlinkSocket['run']>[0]) {
  try {
    return socket.run(requests);
  } catch (error) {
    socket.run([deleteLink(name)]);
    if (!(error instanceof NetlinkError && error.errno === errno.EEXIST && error.index === 0)) throw error;
    return socket.run(requests);
  }
}

/** Sets up the container's end inside its namespace: addresses and, where the way out is by this network, routes. */
export function setUpInside(
  network: BridgeNetwork,
  { netns, address, address6, interface: name }: Cable,
  isGateway: boolean,
): void {
  const socket = withNetns(netns, () => {
    if (address6 === undefined) quietIpv6(name);
    else guardIpv6(name);
    return NetlinkSocket.open(NETLINK_ROUTE);
  });
  try {
    const route = isGateway && !network.internal;
    step(insideAddress(network, { name, address, address6 }, route), () => {
      const link = linkInside(socket, name);
      const { ipv6 } = network;
      const both = ipv6 !== undefined && address6 !== undefined;
      socket.run([
        addAddress(link.index, address, network.prefix),
        changeLink(link.index, { up: true }),
        ...(both ? [addAddress(link.index, address6, ipv6.prefix)] : []),
        ...(route ? defaultRoutes(link.index, network.gateway, both ? ipv6.gateway : undefined) : []),
      ]);
    });
  } finally {
    socket.close();
  }
}

function linkInside(socket: NetlinkSocket, name: string): Link {
  const link = findLink(socket, name);
  if (link === undefined) throw new TsrunError('NOT_FOUND', `${name} was removed from the container meanwhile`);
  return link;
}

/** What makes the way out that of one network, whatever it was. */
function defaultRoutes(index: number, gateway: string, gateway6: string | undefined): NetlinkRequest[] {
  const old = [deleteDefaultRoute(AF_INET), { ...deleteDefaultRoute(AF_INET6), tolerate: noRoute6 }];
  return [
    ...old,
    setDefaultRoute(index, gateway),
    ...(gateway6 === undefined ? [] : [setDefaultRoute(index, gateway6)]),
  ];
}

/** A kernel, or a namespace, without IPv6 has no such table. */
const noRoute6 = [errno.ESRCH, errno.EAFNOSUPPORT, errno.EOPNOTSUPP, errno.ENOENT, errno.EACCES];

/** Changes a container's way out: to the gateways of one of its interfaces, or to nowhere. */
export function changeWayOut(
  netns: number,
  to: { interface: string; gateway: string; gateway6?: string | undefined } | undefined,
): void {
  const socket = withNetns(netns, () => NetlinkSocket.open(NETLINK_ROUTE));
  try {
    step(
      {
        phase: 'network',
        title: to === undefined ? 'take the default route away' : `the default route is by ${to.gateway} now`,
        why: "the first of its networks by name that is not internal is a container's way out",
        shell: `nsenter -t $PID -n ip route ${to === undefined ? 'delete default' : `replace default via ${to.gateway}`}`,
      },
      () => {
        if (to !== undefined) {
          socket.run(defaultRoutes(linkInside(socket, to.interface).index, to.gateway, to.gateway6));
          return;
        }
        socket.run([deleteDefaultRoute(AF_INET), { ...deleteDefaultRoute(AF_INET6), tolerate: noRoute6 }]);
      },
    );
  } finally {
    socket.close();
  }
}

/** Milliseconds that a new cable gets until packets pass it; it takes less than one as long as a processor is free. */
const cablePatience = 200;

/**
 * Waits until the bridge forwards to a new port, and (behind its first one) sends at all: the kernel learns from a work
 * queue that there is a carrier. Before that a container's first packet would be lost, and come again a second later.
 */
export function awaitCable(socket: NetlinkSocket, name: string, bridge: Link): void {
  for (const deadline = performance.now() + cablePatience; performance.now() < deadline; ) {
    const links = socket.run([getLink(name), getLink(bridge.index)]).flatMap(({ messages }) => messages.map(parseLink));
    if (links.length < 2 || (links[0]?.portForwards && links[1]?.operational)) return;
    pause(0.2);
  }
}

/** The second name of a cable: while it stands, the kernel refuses it to any other. */
function addressName(address: string): string {
  return `tsrun-${address}`;
}

/** Deletes the pair by the name of its host end; one that is gone is fine. Takes the kernel 15 to 40 ms. */
export function unplug(socket: NetlinkSocket, name: string): void {
  step(deleteCable(name), () => socket.run([deleteLink(name)]));
}

/** Frees the address of a pair that is left to die with its namespace. */
export function releaseAddress(socket: NetlinkSocket, name: string, address: string): void {
  const request = deleteLinkName(name, addressName(address));
  socket.run([{ ...request, tolerate: [errno.ENODEV, errno.ENOENT, errno.EINVAL, errno.EOPNOTSUPP] }]);
}

/** A host end that is a port of the bridge. */
export interface PluggedCable {
  name: string;
  containerId: string;
  /** Its container is found in this data root, not in another one that uses the same bridge. */
  ours: boolean;
}

/** All cables of tsrun, or those that are plugged into one bridge. */
export function cablesOf(socket: NetlinkSocket, bridge?: Link): PluggedCable[] {
  const root = rootDirectory();
  return socket
    .dump(dumpLinks(bridge?.index))
    .map(parseLink)
    .flatMap(({ name, alias, master }) => {
      const containerId = /^tsrun ([0-9a-f]{64}) /.exec(alias)?.[1];
      if (containerId === undefined || (bridge !== undefined && master !== bridge.index)) return [];
      return [{ name, containerId, ours: alias === aliasOf(containerId, root) }];
    });
}
