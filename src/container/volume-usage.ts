/** What volumes take on disk, and how many containers they belong to. */
import { directorySize } from './directory-size.ts';
import type { Container } from './record.ts';
import { VolumeStore } from './volumes/store.ts';
import { volumesOf } from './volumes/users.ts';

export interface VolumeUsage {
  name: string;
  /** Where its files are. */
  mountPoint: string;
  /** RFC 3339. */
  created: string;
  labels: Readonly<Record<string, string>>;
  /** How many containers it is mounted in, whether they run or not. */
  links: number;
  /** Bytes. Walks the tree when it is asked for. */
  readonly size: number;
}

/** All volumes by name; one whose record is damaged is passed over. `containers` are those whose mounts count. */
export function volumeUsage(root: string, containers: readonly Container[]): VolumeUsage[] {
  const links = new Map<string, number>();
  for (const { record } of containers) {
    for (const name of new Set(volumesOf(record))) links.set(name, (links.get(name) ?? 0) + 1);
  }
  return new VolumeStore(root).list().map(({ record: { name, created, labels }, mountPoint }) => ({
    name,
    mountPoint,
    created,
    labels,
    links: links.get(name) ?? 0,
    get size() {
      return directorySize(mountPoint);
    },
  }));
}
