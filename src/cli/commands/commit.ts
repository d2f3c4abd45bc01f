/** `tsrun commit`: an image from what a container has changed. */
import { commitContainer } from '../../container/commit.ts';
import { recordContainerEvent } from '../../container/events.ts';
import { recordTag } from '../../container/image-events.ts';
import { ContainerStore } from '../../container/store.ts';
import { familiarName } from '../../image/reference.ts';
import { ImageStore } from '../../image/store.ts';
import type { Command } from '../command.ts';
import { beginInterruption } from '../interrupt.ts';
import { print, printError } from '../output.ts';
import { programVersion } from '../program-version.ts';
import { parseTarget } from './target-reference.ts';

export const commit: Command = {
  usage: '[OPTIONS] CONTAINER [REPOSITORY[:TAG]]',
  description: "Create a new image from a container's changes",
  flags: [
    { name: 'author', short: 'a', type: 'string', description: 'Author, such as "Jane Doe <jane@example.com>"' },
    { name: 'change', short: 'c', type: 'list', description: "Apply a Dockerfile's instruction to the image" },
    { name: 'message', short: 'm', type: 'string', description: 'Commit message' },
    {
      name: 'pause',
      short: 'p',
      type: 'bool',
      description: 'Pause the container during the commit',
      shownDefault: 'true',
    },
  ],
  args: { min: 1, max: 2 },
  async run({ flags, args: [name = '', target] }) {
    const store = new ContainerStore();
    const images = new ImageStore(store.root);
    const reference = parseTarget(target);
    const container = store.resolve(name);
    const message = flags.string('message') ?? '';
    const { image } = await commitContainer(images, container, {
      author: flags.string('author') ?? '',
      message,
      changes: flags.strings('change'),
      pause: flags.boolean('pause', true),
      socket: store.socket(container.record.id),
      reference,
      version: programVersion,
      onWarning: (text) => printError(`tsrun: ${text}`),
      signal: beginInterruption(),
    });
    if (reference !== undefined) recordTag(store.root, image, reference);
    recordContainerEvent(store.root, container.record, 'commit', {
      comment: message,
      imageID: image.id,
      imageRef: reference === undefined ? '' : familiarName(reference),
    });
    print(`${image.id}\n`);
    return 0;
  },
};
