/** `tsrun network rm`: remove networks that no container is on. */
import { removeNetwork } from '../../container/networks.ts';
import { ContainerStore } from '../../container/store.ts';
import { TsrunError } from '../../error.ts';
import type { Command } from '../command.ts';
import { forEachArgument } from './each.ts';

export const networkRm: Command = {
  usage: '[OPTIONS] NETWORK [NETWORK...]',
  description: 'Remove networks',
  flags: [{ name: 'force', short: 'f', type: 'bool', description: 'No error where a network does not exist' }],
  args: { min: 1 },
  async run(invocation) {
    const store = new ContainerStore();
    const force = invocation.flags.boolean('force');
    return forEachArgument(invocation, async (name) => {
      try {
        removeNetwork(store, name);
      } catch (error) {
        if (!force || !(error instanceof TsrunError) || error.code !== 'NOT_FOUND') throw error;
        return '';
      }
      return undefined;
    });
  },
};
