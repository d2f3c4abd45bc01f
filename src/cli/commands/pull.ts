/** `tsrun pull`: download an image. */

import { recordPull } from '../../container/image-events.ts';
import { TsrunError } from '../../error.ts';
import { ImageStore, parsePlatform, parseReference, pull as pullImage, type Reference } from '../../image/index.ts';
import { familiarRepository, formatReference, hasTagOrDigest, repositoryName } from '../../image/reference.ts';
import { listTags } from '../../image/tag-list.ts';
import type { Command } from '../command.ts';
import { beginInterruption } from '../interrupt.ts';
import { wantedPlatform } from '../options/platform.ts';
import { print } from '../output.ts';
import { showPull } from '../pull-progress.ts';
import { certificatesFlag, certificatesOf } from './registry-flags.ts';

export const pull: Command = {
  usage: '[OPTIONS] NAME[:TAG|@DIGEST]',
  description: 'Download an image from a registry',
  flags: [
    { name: 'all-tags', short: 'a', type: 'bool', description: 'Download all tags of the repository' },
    certificatesFlag,
    { name: 'disable-content-trust', type: 'bool', description: 'No effect', hidden: true },
    { name: 'platform', type: 'string', description: 'Platform of the image, such as linux/arm64' },
    { name: 'quiet', short: 'q', type: 'bool', description: "Print the image's name only" },
  ],
  args: { min: 1, max: 1 },
  async run({ flags, args: [name = ''] }) {
    const quiet = flags.boolean('quiet');
    const all = flags.boolean('all-tags');
    const reference = parseReference(name);
    const tagGiven = hasTagOrDigest(name);
    if (all && tagGiven) throw new TsrunError('USAGE', "tag can't be used with --all-tags/-a");
    if (!quiet && !all && !tagGiven) print(`Using default tag: ${reference.tag}\n`);
    const certificates = certificatesOf(flags);
    const signal = beginInterruption();
    const images = new ImageStore();
    const tags = all ? await listTags(reference, signal, certificates) : [reference.tag];
    if (tags.length === 0)
      throw new TsrunError('NOT_FOUND', `the repository ${familiarRepository(reference)} has no tags`);
    const platform = wantedPlatform(flags);
    for (const tag of tags) {
      const one: Reference = tag === undefined ? reference : { ...reference, tag };
      const image = await pullImage(images, one, {
        ...(platform !== undefined ? { platform: parsePlatform(platform) } : {}),
        signal,
        certificates,
        onProgress: showPull(1, quiet),
      });
      recordPull(images.root, image, one);
    }
    if (quiet) print(`${all ? repositoryName(reference) : formatReference(reference)}\n`);
    return 0;
  },
};
