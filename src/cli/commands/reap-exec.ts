/** `tsrun reap-exec ID EXEC`: what the monitor of a command executes when its client has left. */
import { reapExec as reap } from '../../container/exec.ts';
import { ContainerStore } from '../../container/store.ts';
import type { Command } from '../command.ts';

export const reapExec: Command = {
  usage: 'ID EXEC',
  description: 'Note how a command in a container has ended (called by its monitor)',
  flags: [],
  args: { min: 2, max: 2 },
  async run({ args: [id = '', execId = ''] }) {
    reap(new ContainerStore(), id, execId);
    return 0;
  },
};
