/** `system df -v`: every image, container and volume with what it takes, in docker's tables and documents. */
import type { CacheUsage } from '../../container/build-cache-usage.ts';
import { type ContainerUsage, type DiskUsage, type ImageUsage, sumBuildCache } from '../../container/disk-usage.ts';
import type { VolumeUsage } from '../../container/volume-usage.ts';
import type { ImageNames } from '../commands/image-names.ts';
import type { Struct, Value } from '../format/value.ts';
import { escapeControls } from '../output.ts';
import { humanSize, timeAgo } from '../units.ts';
import { containerRow, containerTitles } from './container-row.ts';
import { imageNames, imageRow, imageTitles } from './image-row.ts';
import { renderList } from './list.ts';

function imageRows({ image, shared, containers }: ImageUsage, truncate: boolean): Struct[] {
  // Only the first of its names, as docker does: it is on the disk once.
  return imageNames(image, false)
    .slice(0, 1)
    .map((name) => {
      return {
        ...imageRow(image, name, { truncate }),
        Containers: String(containers),
        Digest: '',
        SharedSize: humanSize(shared, 4),
        UniqueSize: humanSize(image.size - shared, 4),
      };
    });
}

function usageRow({ container, written }: ContainerUsage, names: ImageNames, truncate: boolean): Struct {
  const { Label: _, ...row } = containerRow(container, {
    truncate,
    clean: truncate ? escapeControls : (text) => text,
    imageName: (each) => names.nameOf(each),
    // The image is counted with the images.
    sizes: () => ({ written, image: 0 }),
  });
  return { ...row, Size: humanSize(written) };
}

function volumeRow({ name, mountPoint, labels, links, size }: VolumeUsage): Struct {
  const pairs = Object.entries(labels).map(([key, value]) => `${key}=${value}`);
  return {
    Driver: 'local',
    Labels: pairs.sort().join(','),
    Links: String(links),
    Mountpoint: mountPoint,
    Name: name,
    Scope: 'local',
    Size: humanSize(size),
  };
}

/** What --format of `system df -v` works on. */
export function detailedRows(usage: DiskUsage, names: ImageNames): Struct {
  return {
    Images: usage.images.flatMap((image) => imageRows(image, false)),
    Containers: usage.containers.map((container) => usageRow(container, names, false)),
    Volumes: usage.volumes.map(volumeRow),
    BuildCache: usage.buildCache.map((entry) => cacheRow(entry, false)),
  };
}

function cacheRow(entry: CacheUsage, truncate: boolean): Struct {
  const { id, type, description, size, shared, created, used, uses } = entry;
  const times = { created: new Date(created), used: new Date(used) };
  return {
    CacheType: type,
    CreatedAt: times.created.toISOString(),
    CreatedSince: timeAgo(times.created),
    Description: description,
    ID: truncate ? id.slice(0, 12) : id,
    InUse: 'false',
    LastUsedAt: times.used.toISOString(),
    LastUsedSince: timeAgo(times.used),
    Parent: '',
    Shared: String(shared),
    Size: humanSize(size),
    UsageCount: String(uses),
  };
}

const cacheTitles = {
  ID: 'CACHE ID',
  CacheType: 'CACHE TYPE',
  Size: 'SIZE',
  CreatedSince: 'CREATED',
  LastUsedSince: 'LAST USED',
  UsageCount: 'USAGE',
  Shared: 'SHARED',
};

/** The four tables. */
export function printDetails(usage: DiskUsage, names: ImageNames): string {
  const table = (
    rows: readonly Struct[],
    titles: Readonly<Record<string, Value>>,
    columns: readonly string[],
  ): string => renderList(rows, { format: undefined, quiet: false, columns, idField: '', titles, thing: 'usage' });
  const images = usage.images.flatMap((image) => imageRows(image, true));
  const containers = usage.containers.map((container) => usageRow(container, names, true));
  return [
    'Images space usage:\n\n',
    table(images, imageTitles, imageColumns),
    '\nContainers space usage:\n\n',
    table(containers, containerTitles, containerColumns),
    '\nLocal Volumes space usage:\n\n',
    table(usage.volumes.map(volumeRow), { Name: 'VOLUME NAME', Links: 'LINKS', Size: 'SIZE' }, [
      'Name',
      'Links',
      'Size',
    ]),
    `\nBuild cache usage: ${humanSize(sumBuildCache(usage).size)}\n\n`,
    table(
      usage.buildCache.map((entry) => cacheRow(entry, true)),
      cacheTitles,
      Object.keys(cacheTitles),
    ),
  ].join('');
}

const imageColumns = [
  'Repository',
  'Tag',
  'ID',
  'CreatedSince',
  'VirtualSize',
  'SharedSize',
  'UniqueSize',
  'Containers',
];
const containerColumns = ['ID', 'Image', 'Command', 'LocalVolumes', 'Size', 'RunningFor', 'Status', 'Names'];
