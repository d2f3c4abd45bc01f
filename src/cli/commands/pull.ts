/** `tsrun pull`: download an image. */
import { TsrunError } from '../../error.ts';
import { ImageStore, parsePlatform, parseReference, pull as pullImage } from '../../image/index.ts';
import type { Command } from '../command.ts';
import { beginInterruption } from '../interrupt.ts';
import { print } from '../output.ts';
import { showPull } from '../pull-progress.ts';

export const pull: Command = {
  usage: '[OPTIONS] NAME[:TAG|@DIGEST]',
  description: 'Download an image from a registry',
  flags: [
    { name: 'all-tags', short: 'a', type: 'bool', description: 'Download all tags of the repository', hidden: true },
    { name: 'disable-content-trust', type: 'bool', description: 'No effect', hidden: true },
    { name: 'platform', type: 'string', description: 'Platform of the image, such as linux/arm64' },
    { name: 'quiet', short: 'q', type: 'bool', description: "Print the image's name only" },
  ],
  args: { min: 1, max: 1 },
  async run({ flags, args: [name = ''] }) {
    if (flags.boolean('all-tags')) {
      throw new TsrunError('UNSUPPORTED', 'pulling all tags of a repository is not there yet', {
        hint: 'name the tags: tsrun pull NAME:TAG',
      });
    }
    const quiet = flags.boolean('quiet');
    const reference = parseReference(name);
    const platform = flags.string('platform');
    const tagGiven = name.includes('@') || /:[^/]*$/.test(name);
    if (!quiet && !tagGiven) print(`Using default tag: ${reference.tag}\n`);
    let canonical = '';
    const show = showPull(1, quiet);
    await pullImage(new ImageStore(), reference, {
      ...(platform ? { platform: parsePlatform(platform) } : {}),
      signal: beginInterruption(),
      onProgress(event) {
        if (event.kind === 'end') canonical = event.canonical;
        show(event);
      },
    });
    if (quiet) print(`${canonical}\n`);
    return 0;
  },
};
