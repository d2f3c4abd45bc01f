/**
 * A container on bridges, from its published ports to its default route, and the way back. All of it happens under the
 * network lock, and what a failure interrupts is undone.
 */
import { TsrunError } from '../error.ts';
import { close } from '../linux/fs.ts';
import { NETLINK_NETFILTER, NETLINK_ROUTE, NetlinkSocket } from '../linux/netlink.ts';
import type { Link } from '../linux/netlink-link.ts';
import { ensureBridge, ensureForwarding, ensureForwarding6, ensureNetwork, findLink, isStanding } from './bridge.ts';
import { portElements } from './elements.ts';
import { cooperate, hasCooperated, stopCooperating, warningFor } from './firewall.ts';
import { findForeignFirewalls } from './foreign-firewall.ts';
import {
  address6For,
  type BridgeNetwork,
  bridgeName,
  lastAddress,
  loadNetwork,
  macOf,
  nextAddress,
  rememberAddress,
} from './ipam.ts';
import { withNetworkLock } from './lock.ts';
import { bindPorts, type PortOwner, type PublishedPort } from './ports.ts';
import type { PortRequest } from './publish.ts';
import { publishPorts, withdrawPorts } from './published.ts';
import { bridgeNetworkOf, userNetworks } from './records.ts';
import { type Sockets, withSockets } from './sockets.ts';
import { ensureTable } from './table.ts';
import { awaitCable, cablesOf, hostInterfaceOf, plugIn, releaseAddress, setUpInside, unplug } from './veth.ts';

/** A container's place on a bridge: what its record keeps, and what `detachBridge` needs. */
export interface BridgeAttachment {
  /** The network's name when it was attached. */
  network: string;
  /** Absent in records of older versions: the default network's. */
  networkId?: string;
  /** The bridge's interface. */
  bridge: string;
  /** The container's; absent: eth0. */
  interface?: string;
  /** Of the container, IPv4. */
  address: string;
  /** Bits of the subnet. */
  prefix: number;
  gateway: string;
  address6?: string;
  prefix6?: number;
  gateway6?: string;
  /** Of a network without a way out. */
  internal?: boolean;
  /** Absent: 0. The way out of a container on several networks is by the highest. */
  gatewayPriority?: number;
  mac: string;
  /** The host's end of the veth pair. */
  hostInterface: string;
  /** What is published at this address: of one attachment, the way out. */
  ports: PublishedPort[];
}

/** An address that somebody has. */
export interface AddressInUse {
  /** Absent: the default bridge. */
  bridge?: string;
  address: string;
  address6?: string | undefined;
  containerId: string;
  ports?: readonly PublishedPort[];
}

export interface AttachOptions {
  /** 64 hexadecimal digits. */
  containerId: string;
  /** Descriptor of the container's network namespace, which has no such interface yet. */
  netns: number;
  /** Absent: the default network, which is chosen and made when it is first needed. */
  network?: BridgeNetwork | undefined;
  /** The container's; eth0 by default. */
  interface?: string;
  /** Whether this is the container's way out; true by default. */
  isGateway?: boolean;
  ports: readonly PortRequest[];
  /** Addresses that the user wants; the caller has checked that they belong to the subnet. */
  address?: string | undefined;
  address6?: string | undefined;
  /**
   * Addresses of containers that live, or are being started; asked under the lock. With their ports, these are published
   * again where the table of nf_tables was lost.
   */
  inUse: () => AddressInUse[];
  /** Instead of the one that follows from the address. */
  mac?: string | undefined;
  /** What to do about other firewalls that drop our packets; `warn` by default. */
  firewall?: 'warn' | 'cooperate' | undefined;
  onWarning: (text: string) => void;
  /** The name of the container that has a port published. */
  portOwner: PortOwner;
}

/**
 * Attaches a network namespace to a bridge and publishes its ports. `portFds` are to be held for as long as the container
 * runs. Throws `CONFLICT` (a port that is taken, no address left), `USAGE`, NetlinkError.
 */
export function attachBridge(options: AttachOptions): { attachment: BridgeAttachment; portFds: number[] } {
  return withNetworkLock(() => attachUnderLock(options));
}

/** As `attachBridge`, for a caller that holds the network lock. */
export function attachUnderLock(options: AttachOptions): { attachment: BridgeAttachment; portFds: number[] } {
  const ipv6 = options.network?.ipv6 !== undefined && !options.network.internal;
  for (const { hostIp } of options.ports) {
    if (hostIp === '::1') {
      throw new TsrunError('UNSUPPORTED', 'cannot publish on ::1: the kernel redirects nothing that has this address', {
        hint: 'publish on 127.0.0.1, where localhost is found too',
      });
    }
    if (!hostIp.includes(':') || ipv6) continue;
    throw new TsrunError('UNSUPPORTED', `cannot publish on the IPv6 address ${hostIp}: the container has none`, {
      hint: 'publish on an IPv4 address, or put the container on a network with IPv6: tsrun network create --ipv6 NAME',
    });
  }
  const { ports, fds } = bindPorts(options.ports, options.portOwner, ipv6);
  try {
    const attachment = withSockets((sockets) => attach(sockets, options, ports));
    return { attachment, portFds: fds };
  } catch (error) {
    fds.forEach(close);
    throw error;
  }
}

/**
 * Sees to it that a network's bridge and its place in the table are there: of a user's network what was made with it and
 * a reboot has lost. `asked` absent: the default network. Runs under the network lock.
 */
export function ensureBridgeNetwork(
  { route, netfilter }: Sockets,
  asked: BridgeNetwork | undefined,
  inUse: readonly AddressInUse[],
): { network: BridgeNetwork; bridge: Link } {
  const found = findLink(route, asked?.bridge ?? bridgeName);
  const { network, standing } =
    asked === undefined
      ? ensureNetwork(
          route,
          found,
          inUse.some(({ bridge = bridgeName }) => bridge === bridgeName),
        )
      : { network: asked, standing: isStanding(route, asked, found) };
  const lost = () => inUse.flatMap((other) => portElements(other.ports ?? [], other, other.containerId));
  // The guard first: only then may the bridge carry anything.
  ensureTable(netfilter, network, lost, undefined, () => standingNetworks(route));
  return { network, bridge: ensureBridge(route, network, found, standing) };
}

function standingNetworks(route: NetlinkSocket): BridgeNetwork[] {
  const known = [loadNetwork('bridge') ?? [], ...userNetworks().map(bridgeNetworkOf)].flat();
  return known.filter(({ bridge }) => findLink(route, bridge) !== undefined);
}

function attach(sockets: Sockets, options: AttachOptions, ports: PublishedPort[]): BridgeAttachment {
  const { route, netfilter } = sockets;
  const { containerId, netns, isGateway = true } = options;
  const inUse = options.inUse().filter((other) => other.containerId !== containerId);
  const { network, bridge } = ensureBridgeNetwork(sockets, options.network, inUse);
  if (!network.internal) {
    ensureForwarding();
    if (network.ipv6 !== undefined) ensureForwarding6();
  }
  const cable = plugInAtFreeAddress(route, network, bridge, options, inUse);
  const { address, address6, mac } = cable;
  const hostInterface = hostInterfaceOf(containerId, network.id);
  const { gateway, prefix, ipv6 } = network;
  const attachment: BridgeAttachment = {
    network: network.name,
    networkId: network.id,
    bridge: bridge.name,
    interface: cable.interface,
    address,
    prefix,
    gateway,
    ...(address6 === undefined || ipv6 === undefined ? {} : { address6, prefix6: ipv6.prefix, gateway6: ipv6.gateway }),
    ...(network.internal ? { internal: true } : {}),
    mac,
    hostInterface,
    ports,
  };
  try {
    setUpInside(network, { ...cable, containerId, netns }, isGateway);
    publishPorts(sockets, attachment, containerId);
    mindFirewalls(netfilter, network.bridge, options);
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

interface Place {
  interface: string;
  address: string;
  address6: string | undefined;
  mac: string;
}

/** The address that is asked for, or the next in turn that neither a record nor an interface has. */
function plugInAtFreeAddress(
  route: NetlinkSocket,
  network: BridgeNetwork,
  bridge: Link,
  { containerId, netns, mac, interface: name = 'eth0', address: wanted, address6: wanted6 }: AttachOptions,
  inUse: readonly AddressInUse[],
): Place {
  const taken = new Set(inUse.map(({ address }) => address));
  const taken6 = new Set(inUse.flatMap(({ address6 }) => address6 ?? []));
  const inUseAlready = (address: string): TsrunError =>
    new TsrunError('CONFLICT', 'Address already in use', {
      hint: `${address} is another container's, or an --aux-address: tsrun network inspect ${network.name}`,
    });
  for (const [address, others] of [[wanted, taken] as const, [wanted6, taken6] as const]) {
    if (address !== undefined && (others.has(address) || network.reserved.includes(address)))
      throw inUseAlready(address);
  }
  for (let last = lastAddress(network); ; ) {
    const address = wanted ?? nextAddress(network, last, taken);
    const address6 = wanted6 ?? address6For(network, address, taken6);
    const place = { interface: name, address, address6, mac: mac ?? macOf(address) };
    if (plugIn(route, network, bridge, { ...place, containerId, netns })) {
      if (wanted === undefined) rememberAddress(network, address);
      return place;
    }
    if (wanted !== undefined) throw inUseAlready(wanted);
    taken.add(address);
    last = address;
  }
}

/** Looks at other firewalls, each time: they come and go as they please. */
function mindFirewalls(netfilter: NetlinkSocket, bridge: string, options: AttachOptions): void {
  const firewalls = findForeignFirewalls(netfilter, bridge);
  if (firewalls.length === 0) return;
  if (options.firewall === 'cooperate') cooperate(firewalls, bridge, options.onWarning);
  else for (const firewall of firewalls) options.onWarning(warningFor(firewall, bridge));
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

/** As `detachBridge`, for a caller that holds the network lock and whose container goes on. */
export function detachUnderLock(attachment: BridgeAttachment, containerId: string): void {
  withSockets(({ route, netfilter }) => {
    withdrawPorts(netfilter, attachment, containerId);
    unplug(route, attachment.hostInterface);
    leaveFirewalls(route, attachment.hostInterface);
  });
}

/** When the last container goes, other firewalls get their rules back as they were. */
function leaveFirewalls(route: NetlinkSocket, without: string): void {
  if (!hasCooperated()) return;
  if (cablesOf(route).every(({ name }) => name === without)) stopCooperating();
}
