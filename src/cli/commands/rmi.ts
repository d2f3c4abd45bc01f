/** `tsrun rmi`: take names from images, and remove the images that have none left. */
import { removeImage } from '../../container/remove-image.ts';
import { ContainerStore } from '../../container/store.ts';
import { TsrunError } from '../../error.ts';
import { ImageStore } from '../../image/store.ts';
import type { Command } from '../command.ts';
import { checkPlatform, platformFlag } from '../options/platform.ts';
import { print } from '../output.ts';
import { report } from '../report.ts';

export const rmi: Command = {
  usage: '[OPTIONS] IMAGE [IMAGE...]',
  description: 'Remove images',
  flags: [
    { name: 'force', short: 'f', type: 'bool', description: 'Also when stopped containers use it, with all its names' },
    { name: 'no-prune', type: 'bool', description: 'No effect: images have no untagged parents' },
    { ...platformFlag, type: 'list' },
  ],
  args: { min: 1 },
  async run({ name: command, flags, args }) {
    const force = flags.boolean('force');
    const containers = new ContainerStore();
    const images = new ImageStore(containers.root);
    let code = 0;
    // One after another: what the first takes away decides what the second means.
    for (const text of args) {
      try {
        const image = images.resolve(text);
        if (image !== undefined) checkPlatform(flags, image, text);
        const removals = removeImage({ containers, images }, text, force);
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
