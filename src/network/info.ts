/** The state of the network, for `tsrun info` and `tsrun doctor`. Changes nothing. */
import { readFileSync } from 'node:fs';
import { NETLINK_NETFILTER, NETLINK_ROUTE, NetlinkSocket } from '../linux/netlink.ts';
import { findLink, forwardingMarker, networkOnBridge, readSysctl } from './bridge.ts';
import { hasCooperated } from './firewall.ts';
import { type ForeignFirewall, findForeignFirewalls } from './foreign-firewall.ts';
import { bridgeName, loadNetwork } from './ipam.ts';
import { rulesetVersion } from './ruleset.ts';
import { tableVersion } from './table.ts';

export interface NetworkInfo {
  bridge: string;
  /** Of the bridge; undefined before the first container. */
  subnet: string | undefined;
  gateway: string | undefined;
  /** Whether the bridge stands. */
  present: boolean;
  /** Sysctl net.ipv4.ip_forward. */
  ipForward: boolean;
  /** When tsrun turned it on (RFC 3339); undefined where it was on. */
  ipForwardSince: string | undefined;
  /** Sysctl net.ipv4.conf.tsrun0.route_localnet: ports are reached by 127.0.0.1. */
  routeLocalnet: boolean;
  /** Version of the nf_tables table in the kernel, and the one that this tsrun makes. */
  ruleset: { present: number | undefined; wanted: number };
  /** Other firewalls that drop packets of containers. */
  firewalls: ForeignFirewall[];
  /** Whether rules were put into one of them. */
  cooperating: boolean;
}

/** Throws SyscallError where the kernel has no nf_tables, or without root. */
export function networkInfo(): NetworkInfo {
  const route = NetlinkSocket.open(NETLINK_ROUTE);
  const netfilter = NetlinkSocket.open(NETLINK_NETFILTER);
  try {
    const link = findLink(route, bridgeName);
    const network = (link === undefined ? undefined : networkOnBridge(route, link)) ?? loadNetwork('bridge');
    return {
      bridge: bridgeName,
      subnet: network?.subnet,
      gateway: network?.gateway,
      present: link !== undefined,
      ipForward: readSysctl('ipv4/ip_forward') === '1',
      ipForwardSince: markedSince(),
      routeLocalnet: link?.routeLocalnet ?? false,
      ruleset: { present: tableVersion(netfilter), wanted: rulesetVersion },
      firewalls: findForeignFirewalls(netfilter, bridgeName),
      cooperating: hasCooperated(),
    };
  } finally {
    route.close();
    netfilter.close();
  }
}

function markedSince(): string | undefined {
  try {
    return readFileSync(forwardingMarker(), 'utf8').trim();
  } catch {
    return undefined;
  }
}
