/** `tsrun system df`: what images, containers, volumes and the build cache take on disk. */

import {
  type DiskUsage,
  diskUsage,
  sumBuildCache,
  sumContainers,
  sumImages,
  sumVolumes,
  type UsageSum,
} from '../../container/disk-usage.ts';
import { ContainerStore } from '../../container/store.ts';
import { ImageStore } from '../../image/store.ts';
import { leaveToLargeEngine } from '../../linux/small-engine.ts';
import type { Command } from '../command.ts';
import type { Struct } from '../format/value.ts';
import { print, printError } from '../output.ts';
import { humanSize } from '../units.ts';
import { detailedRows, printDetails } from '../views/disk-usage.ts';
import { printList } from '../views/list.ts';
import { ImageNames } from './image-names.ts';
import { printFormatted } from './print-format.ts';

const columns = ['Type', 'TotalCount', 'Active', 'Size', 'Reclaimable'];
const titles = {
  Type: 'TYPE',
  TotalCount: 'TOTAL',
  Active: 'ACTIVE',
  Size: 'SIZE',
  Reclaimable: 'RECLAIMABLE',
};

export const systemDf: Command = {
  usage: '[OPTIONS]',
  description: 'Show what images, containers, volumes and the build cache take on disk',
  flags: [
    { name: 'format', type: 'string', description: "'table', 'table TEMPLATE', 'json', or a Go template" },
    { name: 'verbose', short: 'v', type: 'bool', description: 'Show every image, container and volume' },
  ],
  args: { min: 0, max: 0 },
  async run({ flags }) {
    leaveToLargeEngine();
    const store = new ContainerStore();
    const images = new ImageStore(store.root);
    const containers = store.list((error) => printError(`tsrun: ${error.message}`));
    const usage = diskUsage(store.root, containers, images);
    const format = flags.string('format');
    if (!flags.boolean('verbose')) {
      printList(summaryRows(usage), { format, quiet: false, columns, idField: 'Type', titles, thing: 'usage' });
      return 0;
    }
    const names = new ImageNames(images);
    if (format === undefined || format === '' || format === 'table') print(printDetails(usage, names));
    else printFormatted(detailedRows(usage, names), format, 'usage');
    return 0;
  },
};

/** One row for each kind. Of the build cache docker shows no percentage. */
function summaryRows(usage: DiskUsage): Struct[] {
  return [
    summaryRow('Images', sumImages(usage)),
    summaryRow('Containers', sumContainers(usage)),
    summaryRow('Local Volumes', sumVolumes(usage)),
    summaryRow('Build Cache', sumBuildCache(usage), false),
  ];
}

function summaryRow(type: string, { total, active, size, reclaimable }: UsageSum, hasPercent = true): Struct {
  const percent = hasPercent && size > 0 ? ` (${Math.trunc((reclaimable * 100) / size)}%)` : '';
  return {
    Active: String(active),
    Reclaimable: humanSize(reclaimable, 4) + percent,
    Size: humanSize(size, 4),
    TotalCount: String(total),
    Type: type,
  };
}
