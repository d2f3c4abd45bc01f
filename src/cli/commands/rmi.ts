/** `tsrun rmi`: take names from images, and remove the images that have none left. */
import type { Container } from '../../container/record.ts';
import { ContainerStore } from '../../container/store.ts';
import { TsrunError } from '../../error.ts';
import { ImageStore } from '../../image/store.ts';
import type { Command } from '../command.ts';
import { print } from '../output.ts';
import { report } from '../report.ts';
import { isUp } from '../views/status.ts';

export const rmi: Command = {
  usage: '[OPTIONS] IMAGE [IMAGE...]',
  description: 'Remove images',
  flags: [
    { name: 'force', short: 'f', type: 'bool', description: 'Also when stopped containers use it, with all its names' },
    { name: 'no-prune', type: 'bool', description: 'No effect: images have no untagged parents', hidden: true },
  ],
  args: { min: 1 },
  async run({ name: command, flags, args }) {
    const force = flags.boolean('force');
    const containers = new ContainerStore();
    const images = new ImageStore(containers.root);
    // Looked up when the store asks, under its lock: a container may have been made a moment ago.
    const list = (): Container[] =>
      containers.list((error) => {
        // Its layers are not known: none may be removed under it.
        throw error;
      });
    let code = 0;
    // One after another: what the first takes away decides what the second means.
    for (const text of args) {
      try {
        const removals = images.remove(text, {
          force,
          usersOf: (id) =>
            list()
              .filter(({ record }) => record.image.id === id)
              .map(({ record, state }) => ({ id: record.id, running: isUp(state) })),
          layerInUse: (chainId) => list().some(({ record }) => record.image.layers.includes(chainId)),
        });
        for (const removal of removals) {
          print('untagged' in removal ? `Untagged: ${removal.untagged}\n` : `Deleted: ${removal.deleted}\n`);
        }
      } catch (error) {
        const failed = report(error, command, 1);
        if (!force || !(error instanceof TsrunError) || error.code !== 'NOT_FOUND') code = failed;
      }
    }
    return code;
  },
};
