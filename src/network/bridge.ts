/**
 * The bridge that containers are plugged into: created once, repaired where something of it is missing.
 * Everything here runs under the network lock.
 */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { TsrunError } from '../error.ts';
import { AF_INET } from '../linux/constants.ts';
import { ipv4Number, ipv4Text } from '../linux/ip-address.ts';
import type { NetlinkSocket } from '../linux/netlink.ts';
import { changeLink, createBridge, deleteLink, getLink, IFF_UP, type Link, parseLink } from '../linux/netlink-link.ts';
import { addAddress, dumpAddresses, dumpRoutes, parseAddress, parseRoute, type Route } from '../linux/netlink-route.ts';
import { stateDirectory } from '../linux/paths.ts';
import { step } from '../trace.ts';
import {
  type BridgeNetwork,
  bridgeName,
  chooseSubnet,
  loadNetwork,
  macOf,
  networkOf,
  overlaps,
  parseSubnet,
  saveNetwork,
} from './ipam.ts';
import { userNetworks } from './records.ts';
import { hostNameservers } from './resolver.ts';
import * as steps from './steps.ts';

/** Bytes; less where the way out takes less. */
const defaultMtu = 1500;

/** A link by name, undefined where there is none. */
export function findLink(socket: NetlinkSocket, name: string): Link | undefined {
  const message = socket.run([getLink(name)])[0]?.messages[0];
  return message === undefined ? undefined : parseLink(message);
}

/**
 * The default network. Where the bridge stands its address counts (another data root may have made it); else the
 * network's file; else a choice that is made now. A subnet that came to overlap a route of the host, on a laptop that met
 * another network, is chosen anew as long as neither bridge nor containers have it.
 */
export function ensureNetwork(
  socket: NetlinkSocket,
  bridge: Link | undefined,
  inUse: boolean,
): { network: BridgeNetwork; standing: boolean } {
  const { isNew, ...decided } = decideNetwork(socket, bridge, inUse);
  if (isNew) saveNetwork(decided.network);
  return decided;
}

/** As `ensureNetwork`, but writes nothing; `isNew` tells that the choice is made now. */
export function decideNetwork(
  socket: NetlinkSocket,
  bridge: Link | undefined,
  inUse: boolean,
): { network: BridgeNetwork; standing: boolean; isNew: boolean } {
  const found = bridge === undefined ? undefined : networkOnBridge(socket, bridge);
  if (found !== undefined) return { network: found, standing: true, isNew: false };
  const stored = loadNetwork('bridge');
  if (stored !== undefined && inUse) return { network: stored, standing: false, isNew: false };
  const routes = routesOf(socket);
  const nameservers = hostNameservers();
  const others = userNetworks().map(({ subnet }) => subnet);
  if (stored !== undefined && !overlaps(stored.subnet, routes, nameservers, others))
    return { network: stored, standing: false, isNew: false };
  const network = networkOf('bridge', bridgeName, chooseSubnet(routes, nameservers, others));
  return { network, standing: false, isNew: true };
}

/**
 * Whether the bridge of a user's network stands with its address. Throws `CONFLICT` where it does not, and its subnet came
 * to overlap a route of the host.
 */
export function isStanding(socket: NetlinkSocket, network: BridgeNetwork, bridge: Link | undefined): boolean {
  const { gateway, subnet, name } = network;
  if (bridge !== undefined) {
    const addresses = socket.dump(dumpAddresses()).map(parseAddress);
    if (addresses.some((found) => found?.index === bridge.index && found.address === gateway)) return true;
  }
  const routes = routesOf(socket).filter((route) => route.interface !== bridge?.index);
  if (!overlaps(subnet, routes, [])) return false;
  throw new TsrunError('CONFLICT', `the subnet ${subnet} of network ${name} overlaps a route of this machine`, {
    hint: `see \`ip route\`; remove the network and create it with another subnet: tsrun network rm ${name}`,
  });
}

/** Undefined where the bridge has no address that is the first of a subnet. */
export function networkOnBridge(socket: NetlinkSocket, bridge: Link): BridgeNetwork | undefined {
  for (const message of socket.dump(dumpAddresses())) {
    const found = parseAddress(message);
    if (found?.index !== bridge.index) continue;
    const subnet = `${ipv4Text(ipv4Number(found.address) - 1)}/${found.prefix}`;
    if (parseSubnet(subnet) !== undefined) return networkOf('bridge', bridge.name, subnet);
  }
  return undefined;
}

/** The routes of the host, of IPv4 or (AF_INET6) IPv6. */
export function routesOf(socket: NetlinkSocket, family: number = AF_INET): Route[] {
  return socket
    .dump(dumpRoutes(family))
    .map(parseRoute)
    .filter((route) => route !== undefined);
}

/**
 * Sees to it that the bridge is there, up, and has its address (`standing` tells that it has); returns its link. The
 * table that guards it must be there before. Throws `CONFLICT` where another kind of interface has its name.
 */
export function ensureBridge(
  socket: NetlinkSocket,
  network: BridgeNetwork,
  found: Link | undefined,
  standing: boolean,
): Link {
  const { bridge, gateway, prefix, ipv6 } = network;
  if (found !== undefined && found.kind !== 'bridge') {
    throw new TsrunError('CONFLICT', `the interface "${bridge}" is not a bridge`, {
      hint: `rename or remove it: ip link delete ${bridge}`,
    });
  }
  const link = found ?? addBridge(socket, network);
  if ((link.flags & IFF_UP) === 0 || !standing) {
    step(steps.bridgeAddress(network), () =>
      socket.run([addAddress(link.index, gateway, prefix), changeLink(link.index, { up: true })]),
    );
    if (ipv6 !== undefined) addIpv6(socket, link, ipv6);
  }
  return link;
}

/** An address of its own and the link-local one, by which the kernel asks for its neighbours. */
function addIpv6(socket: NetlinkSocket, link: Link, ipv6: NonNullable<BridgeNetwork['ipv6']>): void {
  step(steps.bridgeAddress6(link.name, ipv6), () =>
    socket.run([addAddress(link.index, ipv6.gateway, ipv6.prefix), addAddress(link.index, 'fe80::1', 64)]),
  );
}

/** Deletes a network's bridge, with what was plugged into it still there; one that is gone is fine. */
export function removeBridge(socket: NetlinkSocket, { bridge }: BridgeNetwork): void {
  if (findLink(socket, bridge)?.kind !== 'bridge') return;
  step(
    {
      phase: 'teardown',
      title: `delete the bridge ${bridge}`,
      why: 'its network is removed',
      shell: `ip link delete ${bridge}`,
    },
    () => socket.run([deleteLink(bridge)]),
  );
}

function addBridge(socket: NetlinkSocket, network: BridgeNetwork): Link {
  const { bridge, gateway, ipv6, mtu: asked } = network;
  const mac = macOf(gateway);
  const mtu = asked ?? uplinkMtu(socket);
  const link = step(steps.makeBridge(network, mac, mtu), () => {
    const answers = socket.run([
      createBridge(bridge, mac, mtu),
      changeLink(bridge, { noLinkLocal: true }),
      getLink(bridge),
    ]);
    const message = answers[2]?.messages[0];
    if (message === undefined) throw new TsrunError('NOT_FOUND', `the bridge "${bridge}" was removed meanwhile`);
    return parseLink(message);
  });
  if (ipv6 === undefined) quietIpv6(bridge);
  else guardIpv6(bridge);
  return link;
}

/** What the interface of the default route takes at most, but not more than the usual. */
export function uplinkMtu(socket: NetlinkSocket): number {
  const uplink = routesOf(socket).find(({ prefix, interface: index }) => prefix === 0 && index !== 0);
  if (uplink === undefined) return defaultMtu;
  const message = socket.run([getLink(uplink.interface)])[0]?.messages[0];
  const mtu = message === undefined ? 0 : parseLink(message).mtu;
  return mtu >= 576 ? Math.min(mtu, defaultMtu) : defaultMtu;
}

/**
 * No IPv6 on an interface of the calling thread's network namespace, which has IPv4 addresses only. Without accept_ra=0
 * any container could send a router advertisement and so become the router of its neighbours, or of the host.
 */
export function quietIpv6(name: string): void {
  step(steps.noIpv6(name), () => {
    setSysctl(`ipv6/conf/${name}/accept_ra`, '0');
    setSysctl(`ipv6/conf/${name}/disable_ipv6`, '1');
  });
}

/** IPv6 on an interface of the calling thread's network namespace, with addresses that we alone hand out. */
export function guardIpv6(name: string): void {
  step(steps.guardedIpv6(name), () => {
    setSysctl(`ipv6/conf/${name}/accept_ra`, '0');
    setSysctl(`ipv6/conf/${name}/accept_dad`, '0');
    setSysctl(`ipv6/conf/${name}/disable_ipv6`, '0');
    if (readSysctl(`ipv6/conf/${name}/disable_ipv6`) === '') {
      throw new TsrunError('UNSUPPORTED', 'the kernel has no IPv6', { hint: 'use a network without --ipv6' });
    }
  });
}

/** Writes below /proc/sys/net, of the calling thread's namespace. A kernel without IPv6 lacks its files: tolerated. */
function setSysctl(name: string, value: string): void {
  try {
    writeFileSync(`/proc/sys/net/${name}`, value);
  } catch (error) {
    if (name.startsWith('ipv6/') && (error as NodeJS.ErrnoException).code === 'ENOENT') return;
    throw new TsrunError('SYSCALL', `cannot set the sysctl net.${name.replaceAll('/', '.')} to ${value}`, {
      cause: error,
      hint: 'is /proc/sys mounted read-only? tsrun must run on the host or in a privileged container',
    });
  }
}

/** Reads below /proc/sys/net, of the calling thread's namespace; empty where there is no such file. */
export function readSysctl(name: string): string {
  try {
    return readFileSync(`/proc/sys/net/${name}`, 'utf8').trim();
  } catch {
    return '';
  }
}

/** Beside the state: that it was tsrun that turned forwarding on. */
export const forwardingMarker = () => join(stateDirectory(), 'ip-forward');

/**
 * Makes the host a router for IPv6. A router takes no router advertisements unless accept_ra is 2: interfaces that took
 * them go on doing so, or the host would lose its own way out when its route expires.
 */
export function ensureForwarding6(): void {
  if (readSysctl('ipv6/conf/all/forwarding') === '1') return;
  step(steps.forwarding6(), () => {
    for (const name of readdirSync('/proc/sys/net/ipv6/conf')) {
      if (readSysctl(`ipv6/conf/${name}/accept_ra`) === '1') setSysctl(`ipv6/conf/${name}/accept_ra`, '2');
    }
    setSysctl('ipv6/conf/all/forwarding', '1');
  });
}

/** Makes the host a router for IPv4. IPv6 forwarding is left alone. */
export function ensureForwarding(): void {
  if (readSysctl('ipv4/ip_forward') === '1') return;
  step(steps.forwarding(), () => setSysctl('ipv4/ip_forward', '1'));
  writeFileSync(forwardingMarker(), `${new Date().toISOString()}\n`, { mode: 0o600 });
}

/** Lets packets with a loopback address pass the bridge, for ports published on 127.0.0.1; the table guards it. */
export function ensureRouteLocalnet(socket: NetlinkSocket, link: Link): void {
  if (link.routeLocalnet) return;
  step(steps.routeLocalnet(link.name), () => socket.run([changeLink(link.index, { routeLocalnet: true })]));
}
