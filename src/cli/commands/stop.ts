/** `tsrun stop`: ask containers to end, and kill those that do not. */
import { stopContainer } from '../../container/signal.ts';
import { ContainerStore } from '../../container/store.ts';
import type { Command } from '../command.ts';
import { stopFlags, stopOf } from '../options/stop.ts';
import { forEachArgument } from './each.ts';

export const stop: Command = {
  usage: '[OPTIONS] CONTAINER [CONTAINER...]',
  description: 'Stop running containers: their stop signal, then SIGKILL',
  flags: stopFlags('Seconds to wait before killing it; -1 waits for ever'),
  args: { min: 1 },
  async run(invocation) {
    const { flags } = invocation;
    const store = new ContainerStore();
    return forEachArgument(invocation, async (name) => {
      const container = store.resolve(name);
      const { seconds, signal } = stopOf(flags, container.record);
      await stopContainer(store, container, seconds, { signal });
      return undefined;
    });
  },
};
