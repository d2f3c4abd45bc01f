/**
 * The cable between a container and the bridge: a veth pair, one end a port of the bridge, the other the container's
 * eth0. It is known by the container's id (name, alias) and by its address (second name), so that the kernel itself
 * refuses an address that is in use.
 */
import { performance } from 'node:perf_hooks';
import { TsrunError } from '../error.ts';
import { errno } from '../linux/errno.ts';
import { withNetns } from '../linux/namespaces.ts';
import { NETLINK_ROUTE, NetlinkError, NetlinkSocket } from '../linux/netlink.ts';
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
import { addAddress, addDefaultRoute } from '../linux/netlink-route.ts';
import { rootDirectory } from '../linux/paths.ts';
import { step } from '../trace.ts';
import { findLink, quietIpv6 } from './bridge.ts';
import type { BridgeNetwork } from './ipam.ts';

/** A cable's alias: whose it is, and in which data root that container is found. */
function aliasOf(containerId: string, root: string): string {
  return `tsrun ${containerId} ${root.slice(-180)}`; // the kernel keeps 255 bytes
}

/** `ts` and the first 11 digits of the container's id: an interface's name has room for 15. */
export function hostInterfaceOf(containerId: string): string {
  return `ts${containerId.slice(0, 11)}`;
}

export interface Cable {
  containerId: string;
  /** Descriptor of the container's network namespace. */
  netns: number;
  /** Of the container. */
  address: string;
  mac: string;
}

/**
 * Makes the pair and plugs its host end in. False where the address is in use by an interface that no record tells of:
 * nothing is left behind then. Throws NetlinkError.
 */
export function plugIn(socket: NetlinkSocket, network: BridgeNetwork, bridge: Link, cable: Cable): boolean {
  const name = hostInterfaceOf(cable.containerId);
  const { address, mac, netns } = cable;
  return step(
    {
      phase: 'network',
      title: `create the veth pair ${name} <-> eth0 and plug it into ${network.bridge}`,
      why: 'the cable between the container and the bridge; hairpin lets a container reach its own published ports',
      shell:
        `ip link add ${name} mtu ${bridge.mtu} type veth peer name eth0 address ${mac} mtu ${bridge.mtu} netns $PID && ` +
        `ip link set ${name} master ${network.bridge} up && bridge link set dev ${name} hairpin on`,
    },
    () => {
      const requests = [
        createVeth({ name, master: bridge.index, mtu: bridge.mtu, peer: { name: 'eth0', mac, netns } }),
        changeLink(name, {
          up: true,
          alias: aliasOf(cable.containerId, rootDirectory()),
          hairpin: true,
          noLinkLocal: true,
        }),
        { ...addLinkName(name, addressName(address)), tolerate: [errno.EEXIST, errno.EOPNOTSUPP] },
      ];
      const answers = createOver(socket, name, requests);
      if (answers[2]?.error?.errno !== errno.EEXIST) return true;
      socket.run([deleteLink(name)]);
      return false;
    },
  );
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

/** Sets up eth0 inside the container's namespace: address and default route. */
export function setUpInside(network: BridgeNetwork, { netns, address }: Cable): void {
  const socket = withNetns(netns, () => {
    quietIpv6('eth0');
    return NetlinkSocket.open(NETLINK_ROUTE);
  });
  try {
    step(
      {
        phase: 'network',
        title: `give eth0 the address ${address}/${network.prefix} and the default route by ${network.gateway}`,
        why: 'inside the network namespace of the container',
        shell:
          `nsenter -t $PID -n ip address add ${address}/${network.prefix} brd + dev eth0 && ` +
          `nsenter -t $PID -n ip link set eth0 up && nsenter -t $PID -n ip route add default via ${network.gateway}`,
      },
      () => {
        const link = findLink(socket, 'eth0');
        if (link === undefined) throw new TsrunError('NOT_FOUND', 'eth0 was removed from the container meanwhile');
        socket.run([
          addAddress(link.index, address, network.prefix),
          changeLink(link.index, { up: true }),
          addDefaultRoute(link.index, network.gateway),
        ]);
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
  const sleep = new Int32Array(new SharedArrayBuffer(4));
  for (const deadline = performance.now() + cablePatience; performance.now() < deadline; ) {
    const links = socket.run([getLink(name), getLink(bridge.index)]).flatMap(({ messages }) => messages.map(parseLink));
    if (links.length < 2 || (links[0]?.portForwards && links[1]?.operational)) return;
    Atomics.wait(sleep, 0, 0, 0.2);
  }
}

/** The second name of a cable: while it stands, the kernel refuses it to any other. */
function addressName(address: string): string {
  return `tsrun-${address}`;
}

/** Deletes the pair by the name of its host end; one that is gone is fine. Takes the kernel 15 to 40 ms. */
export function unplug(socket: NetlinkSocket, name: string): void {
  step(
    {
      phase: 'teardown',
      title: `delete the veth pair ${name}`,
      why: 'the kernel destroys the network namespace, and the pair with it, only some time after its last use',
      shell: `ip link delete ${name}`,
    },
    () => socket.run([deleteLink(name)]),
  );
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

/** All cables of tsrun that are plugged into a bridge. */
export function cablesOf(socket: NetlinkSocket, bridge: Link): PluggedCable[] {
  const root = rootDirectory();
  return socket
    .dump(dumpLinks(bridge.index))
    .map(parseLink)
    .flatMap(({ name, alias, master }) => {
      const containerId = /^tsrun ([0-9a-f]{64}) /.exec(alias)?.[1];
      if (containerId === undefined || master !== bridge.index) return [];
      return [{ name, containerId, ours: alias === aliasOf(containerId, root) }];
    });
}
