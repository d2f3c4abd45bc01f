/** `tsrun export`: a container's filesystem as a tar archive. */
import { join } from 'node:path';
import { recordContainerEvent } from '../../container/events.ts';
import { ContainerStore } from '../../container/store.ts';
import { TarWriter, writeMergedTree } from '../../image/archive/index.ts';
import { ImageStore } from '../../image/store.ts';
import { writeArchive } from '../archive-output.ts';
import type { Command } from '../command.ts';
import { printError } from '../output.ts';

export const exportContainer: Command = {
  usage: '[OPTIONS] CONTAINER',
  description: "Export a container's filesystem as a tar archive",
  flags: [{ name: 'output', short: 'o', type: 'string', description: 'Write to a file instead of stdout' }],
  args: { min: 1, max: 1 },
  async run({ flags, args: [name = ''] }) {
    const store = new ContainerStore();
    const images = new ImageStore(store.root);
    const { directory, record } = store.resolve(name);
    const layers = images.openLayers(record.image.layers);
    const onWarning = (text: string): void => printError(`tsrun: ${text}`);
    try {
      writeArchive(flags.string('output'), 'export container', (sink) => {
        const writer = new TarWriter(sink, { onWarning });
        writeMergedTree(writer, [join(directory, 'upper'), ...layers.paths.reverse()]);
        writer.finish();
      });
    } finally {
      layers.close();
    }
    recordContainerEvent(store.root, record, 'export');
    return 0;
  },
};
