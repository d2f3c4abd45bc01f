/** `tsrun rename`: another name for a container, whether it runs or not. */
import { renameContainer } from '../../container/lifecycle.ts';
import { ContainerStore } from '../../container/store.ts';
import { TsrunError } from '../../error.ts';
import type { Command } from '../command.ts';
import { printError } from '../output.ts';
import { report } from '../report.ts';

export const rename: Command = {
  usage: 'CONTAINER NEW_NAME',
  description: 'Rename a container',
  flags: [],
  args: { min: 2, max: 2 },
  async run({ name: command, args: [old = '', name = ''] }) {
    if (old.trim() === '' || name.trim() === '') {
      throw new TsrunError('USAGE', 'Error: Neither old nor new names may be empty');
    }
    const store = new ContainerStore();
    try {
      renameContainer(store, store.resolve(old.trim()), name.trim().replace(/^\//, ''));
      return 0;
    } catch (error) {
      const code = report(error, command, 1);
      printError(`Error: failed to rename container named ${old}`);
      return code;
    }
  },
};
