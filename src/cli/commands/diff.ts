/** `tsrun diff`: what a container has changed in its filesystem. */
import { containerChanges } from '../../container/changes.ts';
import { ContainerStore } from '../../container/store.ts';
import { ImageStore } from '../../image/store.ts';
import { leaveToLargeEngine } from '../../linux/small-engine.ts';
import type { Command } from '../command.ts';
import { printForeign } from '../terminal.ts';

export const diff: Command = {
  usage: 'CONTAINER',
  description: "Show changes to files or directories in a container's filesystem",
  flags: [],
  args: { min: 1, max: 1 },
  async run({ args: [name = ''] }) {
    leaveToLargeEngine();
    const store = new ContainerStore();
    const container = store.resolve(name);
    const images = new ImageStore(store.root);
    const layers = images.openLayers(container.record.image.layers);
    try {
      const lines = containerChanges(container.directory, layers.paths).map(
        ({ kind, path }) => `${kind} /${Buffer.from(path, 'latin1').toString()}\n`,
      );
      printForeign(lines.join(''));
    } finally {
      layers.close();
    }
    return 0;
  },
};
