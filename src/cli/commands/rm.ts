/** `tsrun rm`: remove containers. */
import { removeContainer } from '../../container/remove.ts';
import { removeDamaged } from '../../container/remove-damaged.ts';
import { ContainerStore } from '../../container/store.ts';
import { TsrunError } from '../../error.ts';
import type { Command } from '../command.ts';
import { report } from '../report.ts';
import { forEachArgument } from './each.ts';

export const rm: Command = {
  usage: '[OPTIONS] CONTAINER [CONTAINER...]',
  description: 'Remove containers',
  flags: [
    { name: 'force', short: 'f', type: 'bool', description: 'Remove a running container too (it is killed)' },
    { name: 'link', short: 'l', type: 'bool', description: 'Remove a link', hidden: true },
    { name: 'volumes', short: 'v', type: 'bool', description: 'Remove its anonymous volumes too' },
  ],
  args: { min: 1 },
  async run(invocation) {
    const { flags, name: command } = invocation;
    const force = flags.boolean('force');
    if (flags.boolean('link')) throw new TsrunError('UNSUPPORTED', 'there are no links between containers to remove');
    const store = new ContainerStore();
    return forEachArgument(invocation, async (name) => {
      try {
        await removeContainer(store, store.resolve(name), force, flags.boolean('volumes'));
        return undefined;
      } catch (error) {
        if (force && error instanceof TsrunError && error.code === 'CORRUPT') {
          removeDamaged(store, name);
          return undefined;
        }
        // With -f it is enough that it is gone; docker says so all the same.
        if (!force || !(error instanceof TsrunError) || error.code !== 'NOT_FOUND') throw error;
        report(new TsrunError('NOT_FOUND', error.message), command, 1);
        return '';
      }
    });
  },
};
