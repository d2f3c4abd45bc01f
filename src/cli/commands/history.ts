/** `tsrun history`: what an image was made of. */
import { ImageStore, type StoredImage } from '../../image/store.ts';
import type { Command } from '../command.ts';
import { checkPlatform, platformFlag } from '../options/platform.ts';
import { historyRows, historyTitles } from '../views/history-row.ts';
import { printList } from '../views/list.ts';

export const history: Command = {
  usage: '[OPTIONS] IMAGE',
  description: 'Show the history of an image',
  flags: [
    { name: 'format', type: 'string', description: "'table', 'table TEMPLATE', 'json', or a Go template" },
    {
      name: 'human',
      short: 'H',
      type: 'bool',
      description: 'Print sizes and dates in human readable format',
      shownDefault: 'true',
    },
    { name: 'no-trunc', type: 'bool', description: 'Show everything in full' },
    platformFlag,
    { name: 'quiet', short: 'q', type: 'bool', description: 'Only image IDs' },
  ],
  args: { min: 1, max: 1 },
  async run({ flags, args: [name = ''] }) {
    const store = new ImageStore();
    const image = store.require(name);
    checkPlatform(flags, image, name);
    const human = flags.boolean('human', true);
    const rows = historyRows(image, ancestors(store, image), { truncate: !flags.boolean('no-trunc'), human });
    printList(rows, {
      format: flags.string('format'),
      quiet: flags.boolean('quiet'),
      columns: ['ID', human ? 'CreatedSince' : 'CreatedAt', 'CreatedBy', 'Size', 'Comment'],
      idField: 'ID',
      titles: historyTitles,
      thing: '*image.historyContext',
    });
    return 0;
  },
};

/** The images that one was made from by `commit`, the nearest first, as far as they are still there. */
function ancestors(store: ImageStore, image: StoredImage): string[] {
  const ids: string[] = [];
  for (let at = image.parent; at !== undefined && !ids.includes(at); at = store.resolve(at)?.parent) {
    if (store.resolve(at) === undefined) break;
    ids.push(at);
  }
  return ids;
}
