/** `tsrun stop`: ask containers to end, and kill those that do not. */
import { stopContainer } from '../../container/signal.ts';
import { ContainerStore } from '../../container/store.ts';
import type { Command } from '../command.ts';
import { forEachArgument } from './each.ts';

export const stop: Command = {
  usage: '[OPTIONS] CONTAINER [CONTAINER...]',
  description: 'Stop running containers: their stop signal, then SIGKILL',
  flags: [
    { name: 'signal', short: 's', type: 'string', description: 'Signal to send instead of the stop signal' },
    {
      name: 'time',
      short: 't',
      type: 'int',
      description: 'Seconds to wait before killing it; -1 waits for ever',
      shownDefault: '10',
    },
    { name: 'timeout', type: 'int', description: 'Seconds to wait', aliasOf: 'time', hidden: true },
  ],
  args: { min: 1 },
  async run(invocation) {
    const { flags } = invocation;
    const store = new ContainerStore();
    return forEachArgument(invocation, async (name) => {
      const container = store.resolve(name);
      const seconds = flags.integer('time') ?? container.record.stopTimeout;
      await stopContainer(store, container, seconds, { signal: flags.string('signal') || undefined });
      return undefined;
    });
  },
};
