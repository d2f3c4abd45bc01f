/** `tsrun why exit|limit|path|port`: why something of a container is as it is. */
import { ContainerStore } from '../../container/store.ts';
import { whyExit } from '../../container/why/exit.ts';
import { whyLimit } from '../../container/why/limit.ts';
import { whyPath } from '../../container/why/path.ts';
import { whyPort } from '../../container/why/port.ts';
import { TsrunError } from '../../error.ts';
import { ImageStore } from '../../image/store.ts';
import type { Command } from '../command.ts';
import { printForeign } from '../terminal.ts';

function answer(lines: readonly string[]): number {
  printForeign(lines.map((line) => `${line}\n`).join(''));
  return 0;
}

export const whyExitCommand: Command = {
  usage: 'CONTAINER',
  description: 'Say what the exit code of a container means, and what ended it',
  flags: [],
  args: { min: 1, max: 1 },
  run: async ({ args: [name = ''] }) => answer(whyExit(new ContainerStore().resolve(name))),
};

export const whyLimitCommand: Command = {
  usage: 'CONTAINER',
  description: 'Say which limits a container has, and which of them it has met',
  flags: [],
  args: { min: 1, max: 1 },
  run: async ({ args: [name = ''] }) => answer(whyLimit(new ContainerStore().resolve(name))),
};

export const whyPathCommand: Command = {
  usage: 'CONTAINER PATH',
  description: 'Say which mount or which layer a file of a container comes from',
  flags: [],
  args: { min: 2, max: 2 },
  async run({ args: [name = '', path = ''] }) {
    const store = new ContainerStore();
    const container = store.resolve(name);
    const images = new ImageStore(store.root);
    const { image } = container.record;
    const layers = images.openLayers(image.layers, image.reference);
    try {
      return answer(whyPath(container, path, layers.paths, images.resolve(image.id)?.config.history ?? []));
    } finally {
      layers.close();
    }
  },
};

export const whyPortCommand: Command = {
  usage: 'CONTAINER [PRIVATE_PORT[/PROTO]]',
  description: 'Show the way of a packet to a published port, and who listens',
  flags: [],
  args: { min: 1, max: 2 },
  async run({ args: [name = '', asked] }) {
    if (asked !== undefined && !/^\d{1,5}(\/(tcp|udp))?$/.test(asked)) {
      throw new TsrunError('USAGE', `Invalid port: ${asked}`, {
        hint: 'a port is a number, or number/tcp, number/udp',
      });
    }
    const wanted = asked === undefined || asked.includes('/') ? asked : `${asked}/tcp`;
    return answer(whyPort(new ContainerStore().resolve(name), wanted));
  },
};
