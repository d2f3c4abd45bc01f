/** `tsrun ps`: list containers. */
import { join } from 'node:path';
import { isUp } from '../../container/active.ts';
import { directorySize } from '../../container/directory-size.ts';
import type { Container } from '../../container/record.ts';
import { ContainerStore } from '../../container/store.ts';
import { TsrunError } from '../../error.ts';
import { ImageStore } from '../../image/store.ts';
import { leaveToLargeEngine } from '../../linux/small-engine.ts';
import type { Command } from '../command.ts';
import { escapeControls, print, printError } from '../output.ts';
import { alignColumns } from '../table.ts';
import { isTerminal } from '../terminal.ts';
import { compileContainerFilter } from '../views/container-filter.ts';
import {
  containerCells,
  containerLine,
  containerRow,
  containerTitles,
  defaultColumns,
} from '../views/container-row.ts';
import { isTable, printList } from '../views/list.ts';
import { ImageNames } from './image-names.ts';

export const ps: Command = {
  usage: '[OPTIONS]',
  description: 'List containers',
  flags: [
    { name: 'all', short: 'a', type: 'bool', description: 'Also those that do not run' },
    {
      name: 'filter',
      short: 'f',
      type: 'filter',
      description: 'Only those that fit, such as name=web or status=exited',
    },
    { name: 'format', type: 'string', description: "'table', 'table TEMPLATE', 'json', or a Go template" },
    {
      name: 'last',
      short: 'n',
      type: 'int',
      description: 'The n newest, whatever their state',
      shownDefault: '-1',
    },
    { name: 'latest', short: 'l', type: 'bool', description: 'The newest, whatever its state' },
    { name: 'no-trunc', type: 'bool', description: 'Show everything in full' },
    { name: 'quiet', short: 'q', type: 'bool', description: 'Only container IDs' },
    { name: 'size', short: 's', type: 'bool', description: 'Show how much they have written' },
  ],
  args: { min: 0, max: 0 },
  async run({ flags }) {
    const store = new ContainerStore();
    const images = new ImageStore(store.root);
    const filter = compileContainerFilter(flags.strings('filter'), {
      find: (text) => orUndefined(() => store.resolve(text)),
      imageId: (text) => orUndefined(() => images.resolve(text)?.id),
    });
    const last = flags.integer('last') ?? (flags.boolean('latest') ? 1 : -1);
    const all = flags.boolean('all') || last > 0 || filter.all;
    const damaged = (error: TsrunError): void => printError(`tsrun: ${error.message}`);
    const quiet = flags.boolean('quiet');
    if (flags.boolean('size')) leaveToLargeEngine();
    const truncate = !flags.boolean('no-trunc');
    // As newer clients of docker have it; of images, networks and volumes the format counts.
    if (quiet && flags.string('format')) {
      printError('WARNING: Ignoring custom format, because both --format and --quiet are set.');
    }
    const format = (quiet ? undefined : flags.string('format')) || 'table';
    const names = new ImageNames(images);
    const isDefault = format === 'table' && truncate && !quiet && !flags.boolean('size');
    const cellsOf = (container: Container) => containerCells(container, (each) => names.nameOf(each));
    const shown = isDefault ? { key: images.version(), cellsOf } : undefined;
    let containers = store.list(damaged, all ? undefined : isUp, shown);
    if (last > 0) containers = containers.slice(0, last);
    containers = containers.filter(filter.matches);
    if (quiet) {
      print(containers.map(({ id }) => `${truncate ? id.slice(0, 12) : id}\n`).join(''));
      return 0;
    }
    if (isDefault) {
      const titles = defaultColumns.map((column) => String(containerTitles[column]));
      const now = Date.now();
      const lines = containers.map((each) => containerLine(each.id, each.cells ?? cellsOf(each), now));
      print(alignColumns(`${titles.join('\t')}\n${lines.join('')}`));
      return 0;
    }
    const harmless = isTable(format) || isTerminal(1);
    const rows = containers.map((container) =>
      containerRow(container, {
        truncate,
        clean: (text) => (harmless ? escapeControls(text) : text),
        imageName: (each) => names.nameOf(each),
        sizes: (each) => ({ written: directorySize(join(each.directory, 'upper')), image: names.sizeOf(each) }),
      }),
    );
    printList(rows, {
      format,
      quiet: false,
      columns: flags.boolean('size') ? [...defaultColumns, 'Size'] : defaultColumns,
      idField: 'ID',
      titles: containerTitles,
      thing: 'container',
    });
    return 0;
  },
};

function orUndefined<T>(find: () => T): T | undefined {
  try {
    return find();
  } catch (error) {
    if (error instanceof TsrunError && (error.code === 'NOT_FOUND' || error.code === 'INVALID_REFERENCE')) {
      return undefined;
    }
    throw error;
  }
}
