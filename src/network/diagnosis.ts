/** What stands in the way of the network, and what killed processes left of it, for `tsrun doctor`. Changes nothing. */

import { NETLINK_NETFILTER, NETLINK_ROUTE, NetlinkSocket } from '../linux/netlink.ts';
import { dumpRoutes, parseRoute } from '../linux/netlink-route.ts';
import { pause } from '../linux/pause.ts';
import { findLink, networkOnBridge } from './bridge.ts';
import { shortId } from './elements.ts';
import { bridgeName, loadNetwork, overlaps } from './ipam.ts';
import { hostNameservers } from './resolver.ts';
import { portSets } from './ruleset.ts';
import { readElements, tableVersion } from './table.ts';
import { cablesOf } from './veth.ts';

/** The subnet of the network bridge, and whether a route of the host or a name server lies in it. */
export function subnetConflict(): { subnet: string; overlapping: boolean } | undefined {
  const route = NetlinkSocket.open(NETLINK_ROUTE);
  try {
    const bridge = findLink(route, bridgeName);
    const network = (bridge === undefined ? undefined : networkOnBridge(route, bridge)) ?? loadNetwork('bridge');
    if (network === undefined) return undefined;
    const routes = route
      .dump(dumpRoutes())
      .map(parseRoute)
      .filter((found) => found !== undefined)
      // The bridge's own routes are no conflict.
      .filter((found) => bridge === undefined || found.interface !== bridge.index);
    return { subnet: network.subnet, overlapping: overlaps(network.subnet, routes, hostNameservers()) };
  } finally {
    route.close();
  }
}

/** Milliseconds that the kernel gets to take away a cable whose namespace has ended, and how long it takes at least. */
const dyingPatience = 500;
const dyingPause = 20;

/**
 * Cables of this data root and published ports that belong to none of the containers of `live`; what `removeStale` would
 * take away. What is being taken away by the kernel anyway (`releaseAddress`) does not count.
 */
export function findStale(live: ReadonlySet<string>): string[] {
  for (const deadline = performance.now() + dyingPatience; ; pause(dyingPause)) {
    const stale = staleNow(live);
    if (stale.length === 0 || performance.now() >= deadline) return stale;
  }
}

function staleNow(live: ReadonlySet<string>): string[] {
  const route = NetlinkSocket.open(NETLINK_ROUTE);
  const netfilter = NetlinkSocket.open(NETLINK_NETFILTER);
  try {
    const cables = cablesOf(route);
    const owners = new Set(
      [...live, ...cables.filter(({ ours }) => !ours).map((cable) => cable.containerId)].map(shortId),
    );
    const elements = tableVersion(netfilter) === undefined ? [] : readElements(netfilter, portSets);
    return [
      ...cables
        .filter(({ ours, containerId }) => ours && !live.has(containerId))
        .map(({ name, containerId }) => `veth pair ${name} of container ${shortId(containerId)}`),
      ...elements
        .filter(({ comment }) => comment === undefined || !owners.has(comment))
        .map(({ comment }) => `published port of container ${comment ?? '(unknown)'}`),
    ];
  } finally {
    route.close();
    netfilter.close();
  }
}
