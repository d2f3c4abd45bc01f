/** Left-overs of killed processes: cables and published ports of containers that do not live. */
import { shortId } from './elements.ts';
import { hasCooperated, stopCooperating } from './firewall.ts';
import { withNetworkLock } from './lock.ts';
import { portSets } from './ruleset.ts';
import { withSockets } from './sockets.ts';
import { deleteAll, readElements } from './table.ts';
import { cablesOf, unplug } from './veth.ts';

/**
 * Removes what killed processes left: veth pairs of this data root, and published ports, that belong to none of the
 * containers that `live` names (asked under the lock; it must name those that are just being started, too).
 * Returns what was removed, for a log.
 */
export function removeStale(live: () => Iterable<string>): string[] {
  return withNetworkLock(() =>
    withSockets(({ route, netfilter }) => {
      const alive = new Set(live());
      const cables = cablesOf(route);
      const stale = cables.filter(({ containerId, ours }) => ours && !alive.has(containerId));
      for (const { name } of stale) unplug(route, name);
      // Containers of another data root are known by their cables.
      const others = cables.filter(({ ours }) => !ours).map(({ containerId }) => containerId);
      const owners = new Set([...alive, ...others].map(shortId));
      const elements = readElements(netfilter, portSets).filter(
        ({ comment }) => comment === undefined || !owners.has(comment),
      );
      deleteAll(netfilter, elements);
      if (hasCooperated() && cables.length === stale.length) stopCooperating();
      return [
        ...stale.map(({ name, containerId }) => `veth pair ${name} of container ${shortId(containerId)}`),
        ...elements.map(({ comment }) => `published port of container ${comment ?? '(unknown)'}`),
      ];
    }),
  );
}
