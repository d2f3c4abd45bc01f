/** `tsrun pause` and `tsrun unpause`: stop all processes of containers where they are, and let them go on. */
import { setPaused } from '../../container/lifecycle.ts';
import { ContainerStore } from '../../container/store.ts';
import type { Command } from '../command.ts';
import { forEachArgument } from './each.ts';

function pausing(description: string, paused: boolean): Command {
  return {
    usage: 'CONTAINER [CONTAINER...]',
    description,
    flags: [],
    args: { min: 1 },
    async run(invocation) {
      const store = new ContainerStore();
      return forEachArgument(invocation, (name) => {
        setPaused(store, store.resolve(name), paused);
        return undefined;
      });
    },
  };
}

export const pause: Command = pausing('Pause all processes of containers', true);
export const unpause: Command = pausing('Let all processes of paused containers go on', false);
