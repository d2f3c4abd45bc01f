/** How much a tree takes: what a container has written (its upper directory), what a volume holds. */
import { lstatSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

/** Bytes of all files below `directory`; hardlinks count once. What vanishes meanwhile is passed over. */
export function directorySize(directory: string): number {
  const seen = new Set<string>();
  let total = 0;
  const pending = [directory];
  for (let path = pending.pop(); path !== undefined; path = pending.pop()) {
    for (const entry of readEntries(path)) {
      const stats = lstatSync(join(path, entry), { throwIfNoEntry: false });
      if (stats === undefined) continue;
      if (stats.isDirectory()) pending.push(join(path, entry));
      const key = `${stats.dev}:${stats.ino}`;
      if (!stats.isFile() || (stats.nlink > 1 && seen.has(key))) continue;
      if (stats.nlink > 1) seen.add(key);
      total += stats.size;
    }
  }
  return total;
}

function readEntries(path: string): string[] {
  try {
    return readdirSync(path);
  } catch {
    return [];
  }
}
