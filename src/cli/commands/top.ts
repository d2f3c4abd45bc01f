/** `tsrun top`: the processes of a container, by the host's ps. */
import { requireRunning } from '../../container/active.ts';
import { processesOf } from '../../container/processes.ts';
import { ContainerStore } from '../../container/store.ts';
import { processTable } from '../../container/top.ts';
import type { Command } from '../command.ts';
import { escapeControls, print } from '../output.ts';
import { alignColumns } from '../table.ts';

/** Docker's columns are wider here than elsewhere. */
const columnWidth = 20;

export const top: Command = {
  usage: 'CONTAINER [ps OPTIONS]',
  description: 'Show the processes of a container, as the ps of this machine prints them',
  flags: [],
  args: { min: 1 },
  flagsFirst: true,
  async run({ args: [name = '', ...options] }) {
    const container = new ContainerStore().resolve(name);
    requireRunning(container);
    const asked = options.flatMap((option) => option.split(' ')).filter((option) => option !== '');
    const { titles, rows } = processTable(asked.length === 0 ? ['-ef'] : asked, processesOf(container));
    const lines = [titles, ...rows].map((cells) => `${cells.map((cell) => escapeControls(cell)).join('\t')}\n`);
    print(alignColumns(lines.join(''), columnWidth));
    return 0;
  },
};
