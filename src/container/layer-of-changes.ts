/**
 * A container's changes as the archive of a layer (OCI image-spec layer.md, "Change Types"): what was added or changed as
 * it is now, with the directories above it; `.wh.NAME` for what was deleted; `.wh..wh..opq` where a directory of the image
 * was replaced by a new one of the same name.
 */
import { join } from 'node:path';
import { LinkTable, type TarWriter, TreeNode } from '../image/archive/index.ts';
import { sortedNames } from '../image/archive/tree.ts';
import { type BytePath, bytePath, joinPath } from '../image/unpack/byte-path.ts';
import * as calls from '../image/unpack/calls.ts';
import { unpackError } from '../image/unpack/failures.ts';
import { isOpaque, isWhiteout } from '../image/unpack/merged-view.ts';
import { AT_FDCWD, O_DIRECTORY, O_NOFOLLOW, O_RDONLY } from '../linux/constants.ts';
import { errno } from '../linux/errno.ts';
import type { Change } from './changes.ts';

const openFlags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW;

/** Writes the members of the archive; the caller ends it. `directory` is the container's. */
export function writeLayerOfChanges(writer: TarWriter, directory: string, changes: readonly Change[]): void {
  const upper = calls.openName(AT_FDCWD, bytePath(join(directory, 'upper')), openFlags, 0);
  if (upper < 0) throw unpackError('open', bytePath(join(directory, 'upper')), upper);
  try {
    new Walk(writer, new Map(changes.map(({ path, kind }) => [path, kind]))).directory(upper, '', false);
  } finally {
    calls.closeDescriptor(upper);
  }
}

class Walk {
  private readonly links = new LinkTable();

  constructor(
    private readonly writer: TarWriter,
    private readonly changed: ReadonlyMap<BytePath, Change['kind']>,
  ) {}

  /** `whole`: everything in it counts, because nothing below it does. */
  directory(fd: number, path: BytePath, whole: boolean): void {
    for (const name of sortedNames(fd, path)) {
      const inner = joinPath(path, name);
      if (whole || this.changed.has(inner)) this.member(fd, name, path, whole);
    }
  }

  private member(fd: number, name: BytePath, parent: BytePath, whole: boolean): void {
    const path = joinPath(parent, name);
    const node = TreeNode.open(fd, name, path);
    if (node === undefined) return;
    try {
      if (isWhiteout(node.stat)) {
        if (!whole) this.marker(joinPath(parent, `.wh.${name}`));
        return;
      }
      node.write(this.writer, path, this.links);
      if (!node.isDirectory) return;
      const opaque = isOpaque(fd, name);
      // overlayfs marks some directories that hide nothing; whether it does depends on its options.
      if (opaque && !whole && this.changed.get(path) !== 'A') this.marker(`${path}/.wh..wh..opq`);
      const inner = calls.openName(node.fd, '.', openFlags, 0);
      if (inner === -errno.ENOENT) return;
      if (inner < 0) throw unpackError('open', path, inner);
      try {
        this.directory(inner, path, whole || opaque);
      } finally {
        calls.closeDescriptor(inner);
      }
    } finally {
      node.close();
    }
  }

  private marker(path: BytePath): void {
    const mtime = { seconds: 0, nanoseconds: 0 };
    this.writer.header({ path, type: 'file', mode: 0o600, uid: 0, gid: 0, size: 0, mtime });
  }
}
