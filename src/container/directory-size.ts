/**
 * How much a tree takes: what a container has written (its upper directory), what a volume holds. By descriptors: who runs in
 * the container may put a link where a directory was while it is walked.
 */
import { type BytePath, bytePath, joinPath } from '../image/unpack/byte-path.ts';
import * as calls from '../image/unpack/calls.ts';
import { O_DIRECTORY, O_PATH, S_IFDIR, S_IFREG } from '../linux/constants.ts';
import { AT_FDCWD } from '../linux/fs.ts';

/** Bytes of all files below `directory`; hardlinks count once. What vanishes meanwhile is passed over. */
export function directorySize(directory: string): number {
  const root = calls.openName(AT_FDCWD, bytePath(directory), O_PATH | O_DIRECTORY, 0);
  if (root < 0) return 0;
  try {
    return sizeBelow(root);
  } finally {
    calls.closeDescriptor(root);
  }
}

function sizeBelow(root: number): number {
  const seen = new Set<string>();
  let total = 0;
  const pending: BytePath[] = [''];
  for (let path = pending.pop(); path !== undefined; path = pending.pop()) {
    const fd = calls.openBeneath(root, path);
    if (fd < 0) continue;
    try {
      const names = calls.listDirectory(fd);
      for (const { name } of typeof names === 'number' ? [] : names) {
        const stat = calls.stat(fd, name);
        if (typeof stat === 'number') continue;
        if (stat.type === S_IFDIR) pending.push(joinPath(path, name));
        if (stat.type !== S_IFREG) continue;
        const key = `${stat.device} ${stat.inode}`;
        if (stat.links > 1 && seen.has(key)) continue;
        if (stat.links > 1) seen.add(key);
        total += stat.size;
      }
    } finally {
      calls.closeDescriptor(fd);
    }
  }
  return total;
}
