/** `tsrun network prune`: remove networks that no container is on. */
import { pruneNetworks } from '../../container/networks.ts';
import { ContainerStore } from '../../container/store.ts';
import { TsrunError } from '../../error.ts';
import type { Command } from '../command.ts';
import { confirm } from '../confirm.ts';
import { print } from '../output.ts';
import { parseMoment } from '../units.ts';
import { matchesLabels, parseFilters } from '../views/container-filter.ts';

const filterNames = new Set(['until', 'label', 'label!']);

export const networkPrune: Command = {
  usage: '[OPTIONS]',
  description: 'Remove networks that no running container is on',
  flags: [
    { name: 'filter', type: 'filter', description: 'Only those that fit, such as until=24h or label=stage' },
    { name: 'force', short: 'f', type: 'bool', description: 'Do not ask' },
  ],
  args: { min: 0, max: 0 },
  async run({ flags }) {
    const filters = parseFilters(flags.strings('filter'), filterNames);
    const [until] = filters.get('until') ?? [];
    const moment = until === undefined ? undefined : parseMoment(until);
    if (until !== undefined && moment === undefined) {
      throw new TsrunError('USAGE', `failed to parse value as time or duration: ${JSON.stringify(until)}`, {
        hint: 'such as until=24h or until=2026-01-02T15:04:05',
      });
    }
    if (!flags.boolean('force')) {
      print('WARNING! This will remove all custom networks not used by at least one container.\n');
      if (!confirm('Are you sure you want to continue?')) return 0;
    }
    const without = filters.get('label!') ?? [];
    const removed = pruneNetworks(new ContainerStore(), {
      ...(moment === undefined ? {} : { until: Date.parse(moment) }),
      matches: (labels) =>
        matchesLabels(labels, filters.get('label') ?? []) && !without.some((text) => matchesLabels(labels, [text])),
    });
    if (removed.length > 0) print(`Deleted Networks:\n${removed.map((name) => `${name}\n`).join('')}\n`);
    return 0;
  },
};
