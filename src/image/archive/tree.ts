/**
 * Writes a directory tree (or one file) into an archive: names sorted as bytes, so that the same tree gives the same
 * archive; nothing is reached by a path, so that the tree may change or be hostile (node.ts).
 */
import { AT_FDCWD, O_DIRECTORY, O_NOFOLLOW, O_RDONLY } from '../../linux/constants.ts';
import { errno } from '../../linux/errno.ts';
import { archiveError, type BytePath, bytePath, joinPath, pathMax } from '../unpack/byte-path.ts';
import * as calls from '../unpack/calls.ts';
import { unpackError } from '../unpack/failures.ts';
import { LinkTable, TreeNode } from './node.ts';
import type { TarWriter } from './tar-writer.ts';

export interface TreeOptions {
  /** Left out with all below it; `path` is the one in the archive. */
  skip?: (path: BytePath) => boolean;
  /** Hard links that trees of one archive share; a table of its own if left out. */
  links?: LinkTable;
  /** Whose a file is in the archive, where that is not who has it here. */
  owner?: ((ids: { uid: number; gid: number }) => { uid: number; gid: number }) | undefined;
}

/**
 * Writes what `name` (`.`: the directory itself) in the open directory `directory` is, and all below it. In the archive it
 * is called `path`; with `''` the directory itself has no member, and what is in it stands at the top. What vanishes
 * meanwhile is left out. Returns whether `name` was there. Throws `PERMISSION` and others, and what the writer throws.
 */
export function writeTree(
  writer: TarWriter,
  { directory, name }: { directory: number; name: BytePath },
  path: BytePath,
  options: TreeOptions = {},
): boolean {
  const walk = new Walk(writer, options);
  return walk.node(directory, name, path);
}

/** `writeTree` for everything in the directory at a path of the host, whose last component must not be a link. */
export function writeDirectory(writer: TarWriter, path: string, options: TreeOptions = {}): void {
  const fd = calls.openName(AT_FDCWD, bytePath(path), O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
  if (fd < 0) throw unpackError('open', bytePath(path), fd);
  try {
    writeTree(writer, { directory: fd, name: '.' }, '', options);
  } finally {
    calls.closeDescriptor(fd);
  }
}

/** The names in an open directory, sorted as bytes. */
export function sortedNames(fd: number, path: BytePath): BytePath[] {
  const listed = calls.listDirectory(fd);
  if (typeof listed === 'number') throw unpackError('list', path, listed);
  return listed.map(({ name }) => name).sort();
}

class Walk {
  private readonly links: LinkTable;

  constructor(
    private readonly writer: TarWriter,
    private readonly options: TreeOptions,
  ) {
    this.links = options.links ?? new LinkTable();
  }

  node(directory: number, name: BytePath, path: BytePath): boolean {
    if (path !== '' && this.options.skip?.(path)) return true;
    if (path.length > pathMax) throw archiveError(path, `is a path of more than ${pathMax} bytes`, 'remove it first');
    const node = TreeNode.open(directory, name, path, this.options.owner);
    if (node === undefined) return false;
    try {
      if (path !== '') node.write(this.writer, path, this.links);
      if (node.isDirectory) this.children(node, path);
      return true;
    } finally {
      node.close();
    }
  }

  private children(node: TreeNode, path: BytePath): void {
    const fd = calls.openName(node.fd, '.', O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
    // Removed between the two calls: it is empty then.
    if (fd === -errno.ENOENT) return;
    if (fd < 0) throw unpackError('open', path, fd);
    try {
      for (const name of sortedNames(fd, path)) this.node(fd, name, joinPath(path, name));
    } finally {
      calls.closeDescriptor(fd);
    }
  }
}
