/**
 * Writes a stack of layers into an archive as overlayfs would show them (kernel, overlayfs.rst): the upper one wins,
 * directories are merged, whiteouts and opaque directories hide what is below. Nothing is mounted for it.
 */
import { AT_FDCWD, O_DIRECTORY, O_NOFOLLOW, O_RDONLY, S_IFDIR } from '../../linux/constants.ts';
import { errno } from '../../linux/errno.ts';
import { archiveError, type BytePath, bytePath, joinPath, pathMax } from '../unpack/byte-path.ts';
import * as calls from '../unpack/calls.ts';
import { unpackError } from '../unpack/failures.ts';
import { isOpaque, isWhiteout } from '../unpack/merged-view.ts';
import { LinkTable, TreeNode } from './node.ts';
import type { TarWriter } from './tar-writer.ts';
import { sortedNames } from './tree.ts';

/** Writes everything that the layers have together; `layers` are directories, the uppermost first. */
export function writeMergedTree(writer: TarWriter, layers: readonly string[]): void {
  const fds: number[] = [];
  try {
    for (const layer of layers) fds.push(openDirectory(AT_FDCWD, bytePath(layer), bytePath(layer)));
    new MergedWalk(writer).directory(fds, '');
  } finally {
    for (const fd of fds) calls.closeDescriptor(fd);
  }
}

function openDirectory(directory: number, name: BytePath, path: BytePath): number {
  const fd = calls.openName(directory, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
  if (fd < 0) throw unpackError('open', path, fd);
  return fd;
}

/** What a name is: the directories that hold it, the uppermost first; several only where it is a directory in all. */
interface MergedName {
  holders: number[];
  /** Whether layers further down may add to it. */
  open: boolean;
}

class MergedWalk {
  private readonly links = new LinkTable();

  constructor(private readonly writer: TarWriter) {}

  /** `fds`: open directories of the layers that have this one. */
  directory(fds: readonly number[], path: BytePath): void {
    const names = new Map<BytePath, MergedName>();
    for (const fd of fds) for (const name of sortedNames(fd, path)) this.look(names, fd, name, joinPath(path, name));
    for (const name of [...names.keys()].sort()) {
      const { holders } = names.get(name) as MergedName;
      if (holders.length > 0) this.member(holders, name, joinPath(path, name));
    }
  }

  private look(names: Map<BytePath, MergedName>, fd: number, name: BytePath, path: BytePath): void {
    const known = names.get(name);
    if (known?.open === false) return;
    const stat = calls.stat(fd, name);
    if (stat === -errno.ENOENT) return;
    if (typeof stat === 'number') throw unpackError('look at', path, stat);
    if (stat.type === S_IFDIR) {
      const open = !isOpaque(fd, name);
      if (known === undefined) names.set(name, { holders: [fd], open });
      else names.set(name, { holders: [...known.holders, fd], open });
    } else if (known !== undefined) {
      // A file below a directory ends the merge.
      known.open = false;
    } else {
      names.set(name, { holders: isWhiteout(stat) ? [] : [fd], open: false });
    }
  }

  private member(holders: readonly number[], name: BytePath, path: BytePath): void {
    if (path.length > pathMax) throw archiveError(path, `is a path of more than ${pathMax} bytes`, 'remove it first');
    const node = TreeNode.open(holders[0] ?? -1, name, path);
    if (node === undefined) return;
    try {
      node.write(this.writer, path, this.links);
      if (!node.isDirectory) return;
    } finally {
      node.close();
    }
    const fds: number[] = [];
    try {
      for (const holder of holders) {
        const fd = calls.openName(holder, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
        if (fd >= 0) fds.push(fd);
        // Removed or replaced since it was looked at.
        else if (fd !== -errno.ENOENT && fd !== -errno.ENOTDIR) throw unpackError('open', path, fd);
      }
      this.directory(fds, path);
    } finally {
      for (const fd of fds) calls.closeDescriptor(fd);
    }
  }
}
