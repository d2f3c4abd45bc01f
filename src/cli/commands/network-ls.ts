/** `tsrun network ls`: list networks. */
import { liveContainers } from '../../container/network-names.ts';
import { ContainerStore } from '../../container/store.ts';
import { allNetworks } from '../../network/records.ts';
import type { Command } from '../command.ts';
import { escapeControls } from '../output.ts';
import { isTerminal } from '../terminal.ts';
import { isTable, printList } from '../views/list.ts';
import { compileNetworkFilter, networkRow, networkTitles } from '../views/network-row.ts';

export const networkLs: Command = {
  usage: '[OPTIONS]',
  description: 'List networks',
  flags: [
    { name: 'filter', short: 'f', type: 'filter', description: 'Only those that fit, such as driver=bridge' },
    { name: 'format', type: 'string', description: "'table', 'table TEMPLATE', 'json', or a Go template" },
    { name: 'no-trunc', type: 'bool', description: 'Show everything in full' },
    { name: 'quiet', short: 'q', type: 'bool', description: 'Only network IDs' },
  ],
  args: { min: 0, max: 0 },
  async run({ flags }) {
    const filter = compileNetworkFilter(flags.strings('filter'), () => liveContainers(new ContainerStore()));
    const format = flags.string('format');
    const harmless = isTable(format) || isTerminal(1);
    const rows = allNetworks()
      .filter(filter)
      .map((record) =>
        networkRow(record, !flags.boolean('no-trunc'), (text) => (harmless ? escapeControls(text) : text)),
      );
    printList(rows, {
      format,
      quiet: flags.boolean('quiet'),
      columns: ['ID', 'Name', 'Driver', 'Scope'],
      idField: 'ID',
      titles: networkTitles,
      thing: 'network',
    });
    return 0;
  },
};
