/** `container prune`: containers that do not run. */
import { join } from 'node:path';
import { messageOf, TsrunError } from '../../error.ts';
import { isUp } from '../active.ts';
import { directorySize } from '../directory-size.ts';
import { removeContainer } from '../remove.ts';
import { mayPrune } from './filter.ts';
import { type Pruned, type PruneRequest, recordPrune } from './prune.ts';

/** Removes all containers that were made or have ended, one after another. */
export async function pruneContainers({ containers, filter, onNotice }: PruneRequest): Promise<Pruned> {
  const pruned: Pruned = { deleted: [], reclaimed: 0 };
  for (const container of containers.list((error) => onNotice(error.message))) {
    const { record, state, directory } = container;
    if (isUp(state)) continue;
    if (!mayPrune(filter, { created: record.created, labels: record.labels })) continue;
    const size = directorySize(join(directory, 'upper'));
    try {
      await removeContainer(containers, container, false);
      pruned.deleted.push(record.id);
      pruned.reclaimed += size;
    } catch (error) {
      // Started meanwhile: it is in use now, which is no failure.
      if (error instanceof TsrunError && error.code === 'NOT_FOUND') continue;
      if (!(error instanceof TsrunError) || error.code !== 'CONFLICT') throw error;
      onNotice(`container ${record.name} stays: ${messageOf(error)}`);
    }
  }
  recordPrune(containers, 'container', pruned);
  return pruned;
}
