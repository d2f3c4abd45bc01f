/** `tsrun volume ls`. */
import { ContainerStore } from '../../container/store.ts';
import { VolumeStore } from '../../container/volumes/store.ts';
import { volumesOf } from '../../container/volumes/users.ts';
import { TsrunError } from '../../error.ts';
import type { Command } from '../command.ts';
import { printError } from '../output.ts';
import { printList } from '../views/list.ts';
import { compileVolumeFilter } from '../views/volume-filter.ts';
import { volumeRow, volumeTitles } from '../views/volume-row.ts';

export const volumeLs: Command = {
  usage: '[OPTIONS]',
  description: 'List volumes',
  flags: [
    { name: 'cluster', type: 'bool', description: '', hidden: true },
    { name: 'filter', short: 'f', type: 'filter', description: 'Only those that fit, such as dangling=true' },
    { name: 'format', type: 'string', description: "'table', 'table TEMPLATE', 'json', or a Go template" },
    { name: 'quiet', short: 'q', type: 'bool', description: 'Only names' },
  ],
  args: { min: 0, max: 0 },
  async run({ flags }) {
    if (flags.boolean('cluster')) {
      throw new TsrunError('UNSUPPORTED', '--cluster is not supported: it belongs to volumes of a swarm');
    }
    const containers = new ContainerStore();
    let used: Set<string> | undefined;
    const isUsed = (name: string): boolean => {
      used ??= new Set(containers.list().flatMap(({ record }) => volumesOf(record)));
      return used.has(name);
    };
    const matches = compileVolumeFilter(flags.strings('filter'), isUsed);
    const volumes = new VolumeStore(containers.root).list((error) => printError(`tsrun: ${error.message}`));
    printList(volumes.filter(matches).map(volumeRow), {
      format: flags.string('format'),
      quiet: flags.boolean('quiet'),
      columns: ['Driver', 'Name'],
      idField: 'Name',
      titles: volumeTitles,
      thing: 'volume',
    });
    return 0;
  },
};
