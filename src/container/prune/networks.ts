/** `network prune`: networks of users that no running container is on. */
import { TsrunError } from '../../error.ts';
import { userNetworks } from '../../network/index.ts';
import { removeNetwork } from '../networks.ts';
import { mayPrune } from './filter.ts';
import { type Pruned, type PruneRequest, recordPrune } from './prune.ts';

/** Removes networks. The predefined ones are nobody's, and stay. */
export function pruneNetworks({ containers, filter }: PruneRequest): Pruned {
  const pruned: Pruned = { deleted: [], reclaimed: 0 };
  for (const network of userNetworks().sort((a, b) => (a.name < b.name ? -1 : 1))) {
    if (!mayPrune(filter, network)) continue;
    try {
      removeNetwork(containers, network.id);
      pruned.deleted.push(network.name);
    } catch (error) {
      // In use, or somebody else has removed it.
      if (!(error instanceof TsrunError) || (error.code !== 'IN_USE' && error.code !== 'NOT_FOUND')) throw error;
    }
  }
  recordPrune(containers, 'network', pruned);
  return pruned;
}
