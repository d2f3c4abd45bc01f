/** `tsrun container prune`: remove all containers that do not run. */
import { pruneContainers } from '../../container/prune/containers.ts';
import { ContainerStore } from '../../container/store.ts';
import { ImageStore } from '../../image/store.ts';
import type { Command } from '../command.ts';
import { confirm } from '../confirm.ts';
import { parsePruneFilter } from '../options/prune-filter.ts';
import { print, printError } from '../output.ts';
import { humanSize } from '../units.ts';

const question = 'WARNING! This will remove all stopped containers.\nAre you sure you want to continue?';

export const containerPrune: Command = {
  usage: '[OPTIONS]',
  description: 'Remove all stopped containers',
  flags: [
    { name: 'filter', type: 'filter', description: 'Only those that fit, such as until=24h or label=tier' },
    { name: 'force', short: 'f', type: 'bool', description: 'Do not ask' },
  ],
  args: { min: 0, max: 0 },
  async run({ flags }) {
    const filter = parsePruneFilter(flags.strings('filter'));
    if (!flags.boolean('force') && !confirm(question)) {
      print('Total reclaimed space: 0B\n');
      return 0;
    }
    const containers = new ContainerStore();
    const { deleted, reclaimed } = await pruneContainers({
      containers,
      images: new ImageStore(containers.root),
      filter,
      allImages: false,
      onNotice: (line) => printError(`tsrun: ${line}`),
    });
    if (deleted.length > 0) print(`Deleted Containers:\n${deleted.join('\n')}\n\n`);
    print(`Total reclaimed space: ${humanSize(reclaimed)}\n`);
    return 0;
  },
};
