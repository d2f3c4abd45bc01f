/** What volumes take on disk, and which containers they belong to: `volumes/<name>/_data` in the data root. */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { directorySize } from './directory-size.ts';
import type { Container } from './record.ts';

export interface VolumeUsage {
  name: string;
  /** Where its files are. */
  mountPoint: string;
  /** RFC 3339, or empty where it is not known. */
  created: string;
  labels: Readonly<Record<string, string>>;
  /** How many containers it is mounted in, whether they run or not. */
  links: number;
  /** Bytes. Walks the tree when it is asked for. */
  readonly size: number;
}

/** All volumes by name. `containers` are those whose mounts count. */
export function volumeUsage(root: string, containers: readonly Container[]): VolumeUsage[] {
  const links = new Map<string, number>();
  for (const { record } of containers) {
    const names = record.mounts.flatMap(({ type, name }) => (type === 'volume' && name !== undefined ? [name] : []));
    for (const name of new Set(names)) links.set(name, (links.get(name) ?? 0) + 1);
  }
  return volumeNames(root).map((name) => {
    const directory = join(root, 'volumes', name);
    const mountPoint = join(directory, '_data');
    return {
      name,
      mountPoint,
      ...metadataOf(directory),
      links: links.get(name) ?? 0,
      get size() {
        return directorySize(mountPoint);
      },
    };
  });
}

function volumeNames(root: string): string[] {
  try {
    return readdirSync(join(root, 'volumes'))
      .filter((name) => !name.startsWith('.'))
      .filter((name) => statSync(join(root, 'volumes', name, '_data'), { throwIfNoEntry: false })?.isDirectory())
      .sort();
  } catch {
    return [];
  }
}

function metadataOf(directory: string): { created: string; labels: Record<string, string> } {
  try {
    const { created, labels } = JSON.parse(readFileSync(join(directory, 'volume.json'), 'utf8'));
    const pairs = Object.entries(labels ?? {}).filter((pair): pair is [string, string] => typeof pair[1] === 'string');
    return { created: typeof created === 'string' ? created : '', labels: Object.fromEntries(pairs) };
  } catch {
    return { created: '', labels: {} };
  }
}
