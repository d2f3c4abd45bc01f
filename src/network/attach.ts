/**
 * A container on the bridge, from its published ports to its default route, and the way back. All of it happens under
 * the network lock, and what a failure interrupts is undone.
 */
import { close } from '../linux/fs.ts';
import { NETLINK_NETFILTER, NETLINK_ROUTE, NetlinkSocket } from '../linux/netlink.ts';
import { forgetUdpConnections } from '../linux/netlink-conntrack.ts';
import type { Link } from '../linux/netlink-link.ts';
import { dumpAddresses, parseAddress } from '../linux/netlink-route.ts';
import { step } from '../trace.ts';
import { bridgeName, ensureBridge, ensureForwarding, ensureNetwork, ensureRouteLocalnet, findLink } from './bridge.ts';
import { portElement, shortId } from './elements.ts';
import { cooperate, hasCooperated, stopCooperating, warningFor } from './firewall.ts';
import { findForeignFirewalls } from './foreign-firewall.ts';
import { type BridgeNetwork, lastAddress, macOf, nextAddress, rememberAddress } from './ipam.ts';
import { withNetworkLock } from './lock.ts';
import { bindPorts, type PortOwner, type PublishedPort } from './ports.ts';
import type { PortRequest } from './publish.ts';
import { deleteAll, ensureTable, publish, readElements, unpublish } from './table.ts';
import { awaitCable, cablesOf, hostInterfaceOf, plugIn, releaseAddress, setUpInside, unplug } from './veth.ts';

/** A container's place on the bridge: what its record keeps, and what `detachBridge` needs. */
export interface BridgeAttachment {
  network: 'bridge';
  /** The bridge's interface. */
  bridge: string;
  /** Of the container, IPv4. */
  address: string;
  /** Bits of the subnet. */
  prefix: number;
  gateway: string;
  mac: string;
  /** The host's end of the veth pair. */
  hostInterface: string;
  ports: PublishedPort[];
}

export interface AttachOptions {
  /** 64 hexadecimal digits. */
  containerId: string;
  /** Descriptor of the container's network namespace, which has no eth0 yet. */
  netns: number;
  ports: readonly PortRequest[];
  /**
   * Addresses of containers that live, or are being started; asked under the lock. With their ports, these are published
   * again where the table of nf_tables was lost.
   */
  inUse: () => { address: string; containerId: string; ports?: readonly PublishedPort[] }[];
  /** Instead of the one that follows from the address. */
  mac?: string | undefined;
  /** What to do about other firewalls that drop our packets; `warn` by default. */
  firewall?: 'warn' | 'cooperate' | undefined;
  onWarning: (text: string) => void;
  /** The name of the container that has a port published. */
  portOwner: PortOwner;
}

/**
 * Attaches a network namespace to the bridge and publishes its ports. `portFds` are to be held for as long as the
 * container runs. Throws `CONFLICT` (a port that is taken, no address left), `USAGE`, NetlinkError.
 */
export function attachBridge(options: AttachOptions): { attachment: BridgeAttachment; portFds: number[] } {
  return withNetworkLock(() => {
    const { ports, fds } = bindPorts(options.ports, options.portOwner);
    try {
      const attachment = withSockets((sockets) => attach(sockets, options, ports));
      return { attachment, portFds: fds };
    } catch (error) {
      fds.forEach(close);
      throw error;
    }
  });
}

/** The two kernel interfaces that the network is made by. */
interface Sockets {
  route: NetlinkSocket;
  netfilter: NetlinkSocket;
}

function withSockets<T>(work: (sockets: Sockets) => T): T {
  const route = NetlinkSocket.open(NETLINK_ROUTE);
  try {
    const netfilter = NetlinkSocket.open(NETLINK_NETFILTER);
    try {
      return work({ route, netfilter });
    } finally {
      netfilter.close();
    }
  } finally {
    route.close();
  }
}

function attach(sockets: Sockets, options: AttachOptions, ports: PublishedPort[]): BridgeAttachment {
  const { route, netfilter } = sockets;
  const { containerId, netns } = options;
  const inUse = options.inUse().filter((other) => other.containerId !== containerId);
  const found = findLink(route, bridgeName);
  const { network, standing } = ensureNetwork(route, found, inUse.length > 0);
  // The guard first: only then may the bridge carry anything.
  ensureTable(netfilter, network, () =>
    inUse.flatMap((other) => (other.ports ?? []).map((port) => portElement(port, other.address, other.containerId))),
  );
  const bridge = ensureBridge(route, network, found, standing);
  ensureForwarding();
  if (ports.some(({ hostIp }) => hostIp === '0.0.0.0' || hostIp.startsWith('127.'))) ensureRouteLocalnet(route, bridge);
  const { address, mac } = plugInAtFreeAddress(route, network, bridge, options, inUse);
  const hostInterface = hostInterfaceOf(containerId);
  const { gateway, prefix } = network;
  const attachment = {
    network: 'bridge',
    bridge: bridge.name,
    address,
    prefix,
    gateway,
    mac,
    hostInterface,
    ports,
  } as const;
  try {
    setUpInside(network, { containerId, netns, address, mac });
    publishPorts(sockets, attachment, containerId);
    mindFirewalls(netfilter, options);
    awaitCable(route, hostInterface, bridge);
    return attachment;
  } catch (error) {
    try {
      withdrawPorts(netfilter, attachment, containerId);
      unplug(route, hostInterface);
      leaveFirewalls(route, hostInterface);
    } catch {
      // What went wrong first is what the user must know; the next sweep finds the rest.
    }
    throw error;
  }
}

/** The next address in turn that neither a record nor an interface has. */
function plugInAtFreeAddress(
  route: NetlinkSocket,
  network: BridgeNetwork,
  bridge: Link,
  { containerId, netns, mac }: AttachOptions,
  inUse: readonly { address: string }[],
): { address: string; mac: string } {
  const taken = new Set(inUse.map(({ address }) => address));
  for (let last = lastAddress(network); ; ) {
    const address = nextAddress(network, last, taken);
    const cable = { containerId, netns, address, mac: mac ?? macOf(address) };
    if (plugIn(route, network, bridge, cable)) {
      rememberAddress(network, address);
      return cable;
    }
    taken.add(address);
    last = address;
  }
}

function publishPorts(sockets: Sockets, attachment: BridgeAttachment, containerId: string): void {
  const { address, ports } = attachment;
  if (ports.length === 0) return;
  const names = ports.map(({ hostIp, hostPort, protocol }) => `${hostIp}:${hostPort}/${protocol}`);
  const commands = ports.map(({ hostIp, hostPort, containerPort, protocol }) => {
    const [map, key] = hostIp === '0.0.0.0' ? ['published_any', ''] : ['published', `${hostIp} . `];
    return `nft add element inet tsrun ${map} '{ ${key}${protocol} . ${hostPort} : ${address} . ${containerPort} }'`;
  });
  step(
    {
      phase: 'network',
      title: `publish ${names.join(', ')} at ${address}`,
      why: 'elements of the maps that the redirecting rules look into',
      shell: commands.join(' && '),
    },
    () => {
      const elements = ports.map((port) => portElement(port, address, containerId));
      publish(sockets.netfilter, elements);
    },
  );
  const udp = ports.filter(({ protocol }) => protocol === 'udp');
  if (udp.length === 0) return;
  // Who has been sending before the port was published would never be redirected.
  const own = new Set(sockets.route.dump(dumpAddresses()).map((message) => parseAddress(message)?.address));
  forgetUdpConnections(sockets.netfilter, ({ destination, destinationPort, answersFrom }) =>
    udp.some(
      ({ hostIp, hostPort }) =>
        hostPort === destinationPort &&
        answersFrom !== address &&
        (hostIp === destination || (hostIp === '0.0.0.0' && (own.has(destination) || destination.startsWith('127.')))),
    ),
  );
}

/** Looks at other firewalls, each time: they come and go as they please. */
function mindFirewalls(netfilter: NetlinkSocket, options: AttachOptions): void {
  const firewalls = findForeignFirewalls(netfilter, bridgeName);
  if (firewalls.length === 0) return;
  if (options.firewall === 'cooperate') cooperate(firewalls, bridgeName, options.onWarning);
  else for (const firewall of firewalls) options.onWarning(warningFor(firewall, bridgeName));
}

export interface DetachOptions {
  attachment: BridgeAttachment;
  containerId: string;
  /**
   * Leave the veth pair to the network namespace, whose last process and descriptor are gone or go now: the kernel
   * destroys both within some 50 ms, while deleting the pair by itself keeps the caller waiting for 15 to 40.
   */
  cable?: 'delete' | 'leave';
}

/**
 * Takes back what `attachBridge` did, but for the descriptors of the ports. Tolerates that any of it is gone, and leaves
 * alone what has got another owner since.
 */
export function detachBridge({ attachment, containerId, cable = 'delete' }: DetachOptions): void {
  const { address, hostInterface, ports } = attachment;
  if (ports.length > 0) {
    const netfilter = NetlinkSocket.open(NETLINK_NETFILTER);
    try {
      withNetworkLock(() => withdrawPorts(netfilter, attachment, containerId));
    } finally {
      netfilter.closeLater();
    }
  }
  const route = NetlinkSocket.open(NETLINK_ROUTE);
  try {
    // Without the lock: the kernel takes its time for it, and nobody else touches this container's cable.
    if (cable === 'delete') unplug(route, hostInterface);
    else releaseAddress(route, hostInterface, address);
    if (hasCooperated()) withNetworkLock(() => leaveFirewalls(route, hostInterface));
  } finally {
    route.close();
  }
}

function withdrawPorts(netfilter: NetlinkSocket, { address, ports }: BridgeAttachment, containerId: string): void {
  const elements = ports.map((port) => portElement(port, address, containerId));
  step(
    {
      phase: 'teardown',
      title: `withdraw the published ports of ${address}`,
      why: 'only where they still lead to this container: a port may have got another owner',
    },
    () =>
      unpublish(
        netfilter,
        elements,
        (found, own) =>
          found.comment === own.comment && own.data !== undefined && found.data?.equals(own.data) === true,
      ),
  );
  if (ports.some(({ protocol }) => protocol === 'udp')) {
    forgetUdpConnections(netfilter, ({ answersFrom }) => answersFrom === address);
  }
}

/** When the last container goes, other firewalls get their rules back as they were. */
function leaveFirewalls(route: NetlinkSocket, without: string): void {
  if (!hasCooperated()) return;
  const bridge = findLink(route, bridgeName);
  if (bridge === undefined || cablesOf(route, bridge).every(({ name }) => name === without)) stopCooperating();
}

/**
 * Removes what killed processes left: veth pairs of this data root, and published ports, that belong to none of the
 * containers that `live` names (asked under the lock; it must name those that are just being started, too).
 * Returns what was removed, for a log.
 */
export function removeStale(live: () => Iterable<string>): string[] {
  return withNetworkLock(() =>
    withSockets(({ route, netfilter }) => {
      const alive = new Set(live());
      const bridge = findLink(route, bridgeName);
      const cables = bridge === undefined ? [] : cablesOf(route, bridge);
      const stale = cables.filter(({ containerId, ours }) => ours && !alive.has(containerId));
      for (const { name } of stale) unplug(route, name);
      // Containers of another data root that uses this bridge are known by their cables.
      const others = cables.filter(({ ours }) => !ours).map(({ containerId }) => containerId);
      const owners = new Set([...alive, ...others].map(shortId));
      const elements = readElements(netfilter, ['published', 'published_any']).filter(
        ({ comment }) => comment === undefined || !owners.has(comment),
      );
      deleteAll(netfilter, elements);
      leaveFirewalls(route, '');
      return [
        ...stale.map(({ name, containerId }) => `veth pair ${name} of container ${shortId(containerId)}`),
        ...elements.map(({ comment }) => `published port of container ${comment ?? '(unknown)'}`),
      ];
    }),
  );
}
