/** `tsrun network rm`: remove networks that no container is on. */
import { removeNetwork } from '../../container/networks.ts';
import { ContainerStore } from '../../container/store.ts';
import type { Command } from '../command.ts';
import { forEachArgument } from './each.ts';

export const networkRm: Command = {
  usage: 'NETWORK [NETWORK...]',
  description: 'Remove networks',
  flags: [],
  args: { min: 1 },
  async run(invocation) {
    const store = new ContainerStore();
    return forEachArgument(invocation, async (name) => {
      removeNetwork(store, name);
      return undefined;
    });
  },
};
