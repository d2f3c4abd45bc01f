/** `tsrun container prune`: remove all containers that do not run. */
import { readSync } from 'node:fs';
import { join } from 'node:path';
import { removeContainer } from '../../container/remove.ts';
import { ContainerStore } from '../../container/store.ts';
import { TsrunError } from '../../error.ts';
import type { Command } from '../command.ts';
import { print, printError } from '../output.ts';
import { comparableTime, humanSize, parseMoment } from '../units.ts';
import { matchesLabels, parseFilters } from '../views/container-filter.ts';
import { directorySize } from '../views/size.ts';
import { isUp } from '../views/status.ts';

const filterNames = new Set(['until', 'label', 'label!']);

/** One line from stdin: whether it says yes. */
function confirmed(): boolean {
  const byte = Buffer.alloc(1);
  let answer = '';
  while (readSync(0, byte, 0, 1, null) === 1 && byte[0] !== 0x0a) answer += byte.toString('latin1');
  return answer.trim().toLowerCase() === 'y';
}

export const containerPrune: Command = {
  usage: '[OPTIONS]',
  description: 'Remove all stopped containers',
  flags: [
    { name: 'filter', type: 'filter', description: 'Only those that fit, such as until=24h or label=tier' },
    { name: 'force', short: 'f', type: 'bool', description: 'Do not ask' },
  ],
  args: { min: 0, max: 0 },
  async run({ flags }) {
    const filters = parseFilters(flags.strings('filter'), filterNames);
    const untils = filters.get('until') ?? [];
    if (untils.length > 1) throw new TsrunError('USAGE', 'more than one until filter specified');
    const until = untils[0] === undefined ? undefined : parseMoment(untils[0]);
    if (untils.length > 0 && until === undefined) {
      throw new TsrunError('USAGE', `invalid filter 'until=${untils[0]}': it is neither a time nor a span of time`);
    }
    if (!flags.boolean('force')) {
      print('WARNING! This will remove all stopped containers.\nAre you sure you want to continue? [y/N] ');
      if (!confirmed()) {
        print('Total reclaimed space: 0B\n');
        return 0;
      }
    }
    const store = new ContainerStore();
    const without = filters.get('label!') ?? [];
    const deleted: string[] = [];
    let reclaimed = 0;
    for (const container of store.list((error) => printError(`tsrun: ${error.message}`))) {
      const { record, directory } = container;
      if (isUp(container.state) || (until !== undefined && comparableTime(record.created) >= until)) continue;
      if (!matchesLabels(record.labels, filters.get('label') ?? [])) continue;
      if (without.some((label) => matchesLabels(record.labels, [label]))) continue;
      const size = directorySize(join(directory, 'upper'));
      try {
        await removeContainer(store, container, false);
      } catch (error) {
        // Somebody starts it, or removes it too.
        if (error instanceof TsrunError && (error.code === 'CONFLICT' || error.code === 'NOT_FOUND')) continue;
        throw error;
      }
      deleted.push(record.id);
      reclaimed += size;
    }
    if (deleted.length > 0) print(`Deleted Containers:\n${deleted.join('\n')}\n\n`);
    print(`Total reclaimed space: ${humanSize(reclaimed)}\n`);
    return 0;
  },
};
