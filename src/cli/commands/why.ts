/** `tsrun why exit|limit|path|port`: why something of a container is as it is. */
import type { Sentence } from '../../container/sentence.ts';
import { ContainerStore } from '../../container/store.ts';
import { whyExit } from '../../container/why/exit.ts';
import { whyLimit } from '../../container/why/limit.ts';
import { whyPath } from '../../container/why/path.ts';
import { whyPort } from '../../container/why/port.ts';
import { TsrunError } from '../../error.ts';
import { ImageStore } from '../../image/store.ts';
import type { ParsedFlags } from '../arguments.ts';
import type { Command } from '../command.ts';
import { tell } from '../explain/tell.ts';
import { languageFlag, languageOf } from '../options/language.ts';
import { printForeign } from '../terminal.ts';

function answer(flags: ParsedFlags, sentences: readonly Sentence[]): number {
  const language = languageOf(flags);
  printForeign(sentences.map((sentence) => `${tell(sentence, language)}\n`).join(''));
  return 0;
}

export const whyExitCommand: Command = {
  usage: '[OPTIONS] CONTAINER',
  description: 'Say what the exit code of a container means, and what ended it',
  flags: [languageFlag],
  args: { min: 1, max: 1 },
  run: async ({ flags, args: [name = ''] }) => answer(flags, whyExit(new ContainerStore().resolve(name))),
};

export const whyLimitCommand: Command = {
  usage: '[OPTIONS] CONTAINER',
  description: 'Say which limits a container has, and which of them it has met',
  flags: [languageFlag],
  args: { min: 1, max: 1 },
  run: async ({ flags, args: [name = ''] }) => answer(flags, whyLimit(new ContainerStore().resolve(name))),
};

export const whyPathCommand: Command = {
  usage: '[OPTIONS] CONTAINER PATH',
  description: 'Say which mount or which layer a file of a container comes from',
  flags: [languageFlag],
  args: { min: 2, max: 2 },
  async run({ flags, args: [name = '', path = ''] }) {
    const store = new ContainerStore();
    const container = store.resolve(name);
    const images = new ImageStore(store.root);
    const { image } = container.record;
    const layers = images.openLayers(image.layers, image.reference);
    try {
      return answer(flags, whyPath(container, path, layers.paths, images.resolve(image.id)?.config.history ?? []));
    } finally {
      layers.close();
    }
  },
};

export const whyPortCommand: Command = {
  usage: '[OPTIONS] CONTAINER [PRIVATE_PORT[/PROTO]]',
  description: 'Show the way of a packet to a published port, and who listens',
  flags: [languageFlag],
  args: { min: 1, max: 2 },
  async run({ flags, args: [name = '', asked] }) {
    if (asked !== undefined && !/^\d{1,5}(\/(tcp|udp))?$/.test(asked)) {
      throw new TsrunError('USAGE', `Invalid port: ${asked}`, {
        hint: 'a port is a number, or number/tcp, number/udp',
      });
    }
    const wanted = asked === undefined || asked.includes('/') ? asked : `${asked}/tcp`;
    return answer(flags, whyPort(new ContainerStore().resolve(name), wanted));
  },
};
