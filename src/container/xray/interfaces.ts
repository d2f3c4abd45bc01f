/** Interfaces, addresses and routes of a network namespace, asked by netlink from inside. */
import { readFileSync } from 'node:fs';
import { AF_INET, AF_INET6, O_RDONLY } from '../../linux/constants.ts';
import { AT_FDCWD, close, openat } from '../../linux/fs.ts';
import { withNetns } from '../../linux/namespaces.ts';
import { NETLINK_ROUTE, NetlinkSocket } from '../../linux/netlink.ts';
import { dumpLinks, IFF_UP, parseLink } from '../../linux/netlink-link.ts';
import { dumpAddresses, dumpRoutes, parseAddress, parseRoute, RTN_UNICAST } from '../../linux/netlink-route.ts';

export interface InterfaceView {
  index: number;
  name: string;
  /** `bridge`, `veth`; empty for devices and the loopback. */
  kind: string;
  up: boolean;
  mtu: number;
  /** The bridge that it is a port of; empty: none. */
  bridge: string;
  /** `172.30.0.2/16` */
  addresses: string[];
}

export interface RouteView {
  /** `default` or a subnet. */
  destination: string;
  gateway: string | undefined;
  interface: string;
}

export interface NetworkView {
  interfaces: InterfaceView[];
  routes: RouteView[];
}

const mainTable = 254;

/** What a namespace has; `netns` is its descriptor, undefined for the caller's own. */
export function readNetwork(netns?: number): NetworkView {
  const open = (): NetlinkSocket => NetlinkSocket.open(NETLINK_ROUTE);
  const socket = netns === undefined ? open() : withNetns(netns, open);
  try {
    const links = socket.dump(dumpLinks()).map(parseLink);
    const addresses = [AF_INET, AF_INET6].flatMap((family) =>
      socket.dump(dumpAddresses(family)).flatMap((message) => parseAddress(message) ?? []),
    );
    const name = (index: number): string => links.find((link) => link.index === index)?.name ?? '';
    const routes = [AF_INET, AF_INET6]
      .flatMap((family) => socket.dump(dumpRoutes(family)).flatMap((message) => parseRoute(message) ?? []))
      .filter(({ type, table }) => type === RTN_UNICAST && table === mainTable);
    return {
      interfaces: links.map(({ index, name: own, kind, flags, mtu, master }) => ({
        ...{ index, name: own, kind, mtu, up: (flags & IFF_UP) !== 0, bridge: master === 0 ? '' : name(master) },
        addresses: addresses.filter((a) => a.index === index).map(({ address, prefix }) => `${address}/${prefix}`),
      })),
      routes: routes.map(({ destination, prefix, gateway, interface: index }) => ({
        destination: prefix === 0 ? 'default' : `${destination}/${prefix}`,
        gateway,
        interface: name(index),
      })),
    };
  } finally {
    socket.close();
  }
}

/** That of a process; undefined where it has ended. */
export function readNetworkOf(pid: number): NetworkView | undefined {
  let netns: number;
  try {
    netns = openat(AT_FDCWD, `/proc/${pid}/ns/net`, O_RDONLY);
  } catch {
    return undefined;
  }
  try {
    return readNetwork(netns);
  } finally {
    close(netns);
  }
}

/** The hardware address of an interface of the host; empty where it is not there. */
export function hardwareAddress(name: string): string {
  try {
    return readFileSync(`/sys/class/net/${name}/address`, 'latin1').trim();
  } catch {
    return '';
  }
}
