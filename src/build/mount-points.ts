/**
 * The places of a command's mounts: what had to be made for them in the container is no change of the command's, and is taken
 * away again where it is still empty.
 */
import { join } from 'node:path';
import { type BytePath, bytePath, joinPath } from '../image/unpack/byte-path.ts';
import * as calls from '../image/unpack/calls.ts';
import { splitLast } from '../image/unpack/layer-access.ts';
import { MergedView } from '../image/unpack/merged-view.ts';
import { O_DIRECTORY, O_PATH, S_IFDIR, S_IFREG } from '../linux/constants.ts';
import { AT_FDCWD, close, openat } from '../linux/fs.ts';
import { cleanPath } from './ignore.ts';

export class MountPoints {
  /** Paths that the layers do not have, the deepest first. */
  private readonly absent: readonly BytePath[];

  /** Looks where `targets` lead in the layers, the lowest first. */
  constructor(layers: readonly string[], targets: readonly string[]) {
    if (targets.length === 0) {
      this.absent = [];
      return;
    }
    const view = new MergedView(layers.toReversed());
    try {
      this.absent = targets.flatMap((target) => absentPaths(view, target)).sort((a, b) => b.length - a.length);
    } finally {
      view.close();
    }
  }

  /** `directory`: the container's. Its processes have ended. */
  removeFrom(directory: string): void {
    if (this.absent.length === 0) return;
    const upper = openat(AT_FDCWD, join(directory, 'upper'), O_PATH | O_DIRECTORY);
    try {
      for (const path of this.absent) removeEmpty(upper, path);
    } finally {
      close(upper);
    }
  }
}

function absentPaths(view: MergedView, target: string): BytePath[] {
  const place = view.resolve('', bytePath(cleanPath(target)), true);
  if (place === undefined || place === 'root') return [];
  if (view.child(place.directory, place.name).kind !== 'absent') return [];
  const paths = [joinPath(place.directory.path, place.name)];
  for (const name of place.rest) paths.push(joinPath(paths.at(-1) ?? '', name));
  return paths;
}

function removeEmpty(upper: number, path: BytePath): void {
  const [parent, name] = splitLast(path);
  const fd = calls.openBeneath(upper, parent);
  if (fd < 0) return;
  try {
    const stat = calls.stat(fd, name);
    if (typeof stat === 'number') return;
    // The kernel removes a directory only where it is empty.
    if (stat.type === S_IFDIR) calls.removeDirectory(fd, name);
    else if (stat.type === S_IFREG && stat.size === 0) calls.unlinkFile(fd, name);
  } finally {
    calls.closeDescriptor(fd);
  }
}
