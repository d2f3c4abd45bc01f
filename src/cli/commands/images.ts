/** `tsrun images`: list images. */
import { TsrunError } from '../../error.ts';
import { ImageStore } from '../../image/store.ts';
import type { Command } from '../command.ts';
import { compileImageFilter } from '../views/image-filter.ts';
import { imageNames, imageRow, imageTitles } from '../views/image-row.ts';
import { printList } from '../views/list.ts';

const columns = ['Repository', 'Tag', 'ID', 'CreatedSince', 'Size'];
const columnsWithDigest = ['Repository', 'Tag', 'Digest', 'ID', 'CreatedSince', 'Size'];

export const images: Command = {
  usage: '[OPTIONS] [REPOSITORY[:TAG]]',
  description: 'List images',
  flags: [
    { name: 'all', short: 'a', type: 'bool', description: 'No effect: there are no hidden images' },
    { name: 'digests', type: 'bool', description: 'Show digests' },
    { name: 'filter', short: 'f', type: 'filter', description: 'Only those that fit, such as reference=debian:*' },
    { name: 'format', type: 'string', description: "'table', 'table TEMPLATE', 'json', or a Go template" },
    { name: 'no-trunc', type: 'bool', description: 'Show everything in full' },
    { name: 'quiet', short: 'q', type: 'bool', description: 'Only image IDs' },
    { name: 'tree', type: 'bool', description: '', hidden: true },
  ],
  args: { min: 0, max: 1 },
  async run({ flags, args }) {
    if (flags.boolean('tree')) {
      throw new TsrunError('UNSUPPORTED', '--tree is not supported: an image here has one platform, and no tree', {
        hint: 'tsrun images lists images; tsrun manifest inspect NAME shows the platforms of one in a registry',
      });
    }
    const store = new ImageStore();
    const format = flags.string('format');
    const digests = flags.boolean('digests') || (format?.includes('.Digest') ?? false);
    const filters = [...flags.strings('filter'), ...args.map((pattern) => `reference=${pattern}`)];
    const filter = compileImageFilter(filters, (text) => store.require(text));
    const truncate = !flags.boolean('no-trunc');
    const rows = store.list().flatMap((image) => {
      const names = imageNames(image, digests).filter(filter.matchesName);
      if (names.length === 0 || !filter.matches(image)) return [];
      return names.map((name) => imageRow(image, name, { truncate }));
    });
    printList(rows, {
      format,
      quiet: flags.boolean('quiet'),
      columns: digests && (format === undefined || format === '') ? columnsWithDigest : columns,
      idField: 'ID',
      titles: imageTitles,
      thing: 'image',
    });
    return 0;
  },
};
