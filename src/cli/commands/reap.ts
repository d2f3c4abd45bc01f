/** `tsrun reap ID`: what a monitor executes when its container has ended and nobody else cleans up. */
import { reapById } from '../../container/reap.ts';
import { ContainerStore } from '../../container/store.ts';
import type { Command } from '../command.ts';

export const reap: Command = {
  usage: 'ID',
  description: 'Clean up after a container that has ended (called by its monitor)',
  flags: [],
  args: { min: 1, max: 1 },
  async run({ args: [id = ''] }) {
    reapById(new ContainerStore(), id);
    return 0;
  },
};
