/** `tsrun kill`: a signal for the first process of containers. */
import { isUp } from '../../container/active.ts';
import { endAndReap } from '../../container/claim.ts';
import { killContainer, parseSignal } from '../../container/signal.ts';
import { ContainerStore } from '../../container/store.ts';
import { TsrunError } from '../../error.ts';
import type { Command } from '../command.ts';
import { forEachArgument } from './each.ts';

const SIGKILL = 9;
/** Milliseconds until `kill` no longer waits for a container that it killed. */
const patience = 10_000;

export const kill: Command = {
  usage: '[OPTIONS] CONTAINER [CONTAINER...]',
  description: 'Kill running containers, or send them a signal',
  flags: [{ name: 'signal', short: 's', type: 'string', description: 'Signal to send', shownDefault: '"KILL"' }],
  args: { min: 1 },
  async run(invocation) {
    const signal = invocation.flags.string('signal') || 'KILL';
    const store = new ContainerStore();
    return forEachArgument(invocation, async (name) => {
      // As docker does: before it looks for the container.
      const number = parseSignal(signal);
      let container: ReturnType<ContainerStore['resolve']>;
      try {
        container = store.resolve(name);
      } catch (error) {
        if (!(error instanceof TsrunError) || error.code !== 'NOT_FOUND') throw error;
        throw new TsrunError('NOT_FOUND', `Cannot kill container: ${name}: ${error.message}`, { hint: error.hint });
      }
      // Killed is what the next command shall see.
      const final = isUp(container.state) && number === SIGKILL;
      if (final) await endAndReap(store, container, patience, () => killContainer(store, container, signal));
      else killContainer(store, container, signal);
      return undefined;
    });
  },
};
