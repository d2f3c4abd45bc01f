/** `tsrun system prune`: remove what nothing uses. */
import {
  type PruneRequest,
  type Pruner,
  pruneBuildCache,
  pruneContainers,
  pruneImages,
  pruneLeftovers,
  pruneNetworks,
  pruneVolumes,
} from '../../container/prune/index.ts';
import { TsrunError } from '../../error.ts';
import type { Command } from '../command.ts';
import { confirm } from '../confirm.ts';
import { parsePruneFilter } from '../options/prune-filter.ts';
import { print } from '../output.ts';
import { printForeign } from '../terminal.ts';
import { humanSize } from '../units.ts';
import { pruneRequest, reclaimedDigits } from './prune.ts';

export const systemPrune: Command = {
  usage: '[OPTIONS]',
  description: 'Remove unused data',
  flags: [
    { name: 'all', short: 'a', type: 'bool', description: 'Also images that have a name and no container' },
    { name: 'filter', type: 'filter', description: 'Only what fits, such as until=24h or label=key=value' },
    { name: 'force', short: 'f', type: 'bool', description: 'Do not ask' },
    { name: 'volumes', type: 'bool', description: 'Also volumes that no container has' },
  ],
  args: { min: 0, max: 0 },
  async run({ flags }) {
    const all = flags.boolean('all');
    const volumes = flags.boolean('volumes');
    const texts = flags.strings('filter');
    const filter = parsePruneFilter(texts);
    if (volumes && filter.until !== undefined) {
      throw new TsrunError('USAGE', 'the "until" filter is not supported with "--volumes"', {
        hint: 'a volume has no time of its last use',
      });
    }
    if (!flags.boolean('force') && !confirm(warning({ all, volumes, filters: texts }))) return 0;
    await prune(pruneRequest(filter, all), volumes);
    return 0;
  },
};

/** In docker's order: a container that is gone uses no network, volume or image any more. */
async function prune(request: PruneRequest, volumes: boolean): Promise<void> {
  const { labels, withoutLabels } = request.filter;
  const hasLabels = labels.length + withoutLabels.length > 0;
  const steps: [title: string, pruner: Pruner][] = [
    ['Deleted Containers:', pruneContainers],
    ['Deleted Networks:', pruneNetworks],
    ...(volumes ? [['Deleted Volumes:', pruneVolumes] as [string, Pruner]] : []),
    ['Deleted Images:', pruneImages],
    // Docker filters what has labels by them; steps of builds have none.
    ...(hasLabels ? [] : [['Deleted build cache objects:', pruneBuildCache] as [string, Pruner]]),
  ];
  let reclaimed = 0;
  for (const [title, pruner] of steps) {
    const pruned = await pruner(request);
    reclaimed += pruned.reclaimed;
    if (pruned.deleted.length > 0) printForeign(`${[title, ...pruned.deleted].join('\n')}\n\n`);
  }
  pruneLeftovers(request);
  print(`Total reclaimed space: ${humanSize(reclaimed, reclaimedDigits)}\n`);
}

/** What is about to happen, in docker's words. */
function warning({ all, volumes, filters }: { all: boolean; volumes: boolean; filters: readonly string[] }): string {
  const kinds = [
    'all stopped containers',
    'all networks not used by at least one container',
    ...(volumes ? ['all volumes not used by at least one container'] : []),
    all ? 'all images without at least one container associated to them' : 'all dangling images',
    all ? 'all build cache' : 'all dangling build cache',
  ];
  const list = (lines: readonly string[]): string => lines.map((line) => `  - ${line}\n`).join('');
  const filtered =
    filters.length === 0 ? '' : `\n  Items to be pruned will be filtered with:\n${list([...filters].sort())}`;
  return `WARNING! This will remove:\n${list(kinds)}${filtered}\nAre you sure you want to continue?`;
}
