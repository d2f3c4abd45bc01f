/** `tsrun volume prune`. */
import { recordEvent } from '../../container/events.ts';
import { ContainerStore } from '../../container/store.ts';
import { pruneVolumes } from '../../container/volumes/prune.ts';
import { VolumeStore } from '../../container/volumes/store.ts';
import type { Command } from '../command.ts';
import { confirm } from '../confirm.ts';
import { print } from '../output.ts';
import { humanSize } from '../units.ts';
import { matchesLabels, parseFilters } from '../views/container-filter.ts';

const filterNames = new Set(['label', 'label!']);

export const volumePrune: Command = {
  usage: '[OPTIONS]',
  description: 'Remove all volumes that no container has',
  flags: [
    { name: 'all', short: 'a', type: 'bool', description: 'No effect: volumes with names go in any case' },
    { name: 'filter', type: 'filter', description: 'Only those that fit, such as label=NAME or label!=NAME' },
    { name: 'force', short: 'f', type: 'bool', description: 'Do not ask' },
  ],
  args: { min: 0, max: 0 },
  async run({ flags }) {
    const filters = parseFilters(flags.strings('filter'), filterNames);
    const labels = filters.get('label') ?? [];
    const without = filters.get('label!') ?? [];
    const question =
      'WARNING! This will remove all local volumes not used by at least one container.\nAre you sure you want to continue?';
    if (!flags.boolean('force') && !confirm(question)) {
      print('Total reclaimed space: 0B\n');
      return 0;
    }
    const containers = new ContainerStore();
    const { deleted, reclaimed } = pruneVolumes(
      new VolumeStore(containers.root),
      containers,
      ({ record }) =>
        matchesLabels(record.labels, labels) && !without.some((label) => matchesLabels(record.labels, [label])),
    );
    recordEvent(containers.root, {
      type: 'volume',
      action: 'prune',
      id: '',
      attributes: { reclaimed: String(reclaimed) },
    });
    if (deleted.length > 0) print(`Deleted Volumes:\n${deleted.join('\n')}\n\n`);
    print(`Total reclaimed space: ${humanSize(reclaimed)}\n`);
    return 0;
  },
};
