/** `tsrun volume rm`. */
import { ContainerStore } from '../../container/store.ts';
import { VolumeStore } from '../../container/volumes/store.ts';
import { removeVolume } from '../../container/volumes/users.ts';
import { TsrunError } from '../../error.ts';
import type { Command } from '../command.ts';
import { forEachArgument } from './each.ts';

export const volumeRm: Command = {
  usage: '[OPTIONS] VOLUME [VOLUME...]',
  description: 'Remove volumes that no container has',
  flags: [{ name: 'force', short: 'f', type: 'bool', description: 'Do not mind volumes that are not there' }],
  args: { min: 1 },
  async run(invocation) {
    const force = invocation.flags.boolean('force');
    const containers = new ContainerStore();
    const volumes = new VolumeStore(containers.root);
    return forEachArgument(invocation, (name) => {
      try {
        removeVolume(volumes, containers, name);
      } catch (error) {
        if (!force || !(error instanceof TsrunError) || error.code !== 'NOT_FOUND') throw error;
      }
      return undefined;
    });
  },
};
