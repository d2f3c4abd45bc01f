/**
 * Copies a file or a tree from directory to directory, as `cp` means it: what is a directory on both sides is merged, other
 * things replace each other. Both sides are worked on by descriptors only; either may change meanwhile, or be hostile.
 */
import { TsrunError } from '../../error.ts';
import { LinkTable, TreeNode } from '../../image/archive/node.ts';
import { sortedNames } from '../../image/archive/tree.ts';
import { type BytePath, joinPath, pathMax, printable } from '../../image/unpack/byte-path.ts';
import * as calls from '../../image/unpack/calls.ts';
import { copyData, readXattrs } from '../../image/unpack/copy-node.ts';
import type { Attributes } from '../../image/unpack/entry.ts';
import { O_DIRECTORY, O_NOFOLLOW, O_RDONLY, S_IFDIR, S_IFLNK, S_IFREG } from '../../linux/constants.ts';
import { errno } from '../../linux/errno.ts';
import { syscall } from '../../linux/ffi.ts';
import * as places from './place.ts';
import { must, type Owner, type Place } from './place.ts';

export interface Source {
  directory: number;
  /** `.`: the directory itself. */
  name: BytePath;
}

export interface CopyOptions {
  owner?: Owner | undefined;
  /** Of a directory only what is in it is copied; its own attributes stay those of the target. */
  contents: boolean;
  /** Left out with all below it; `path` is the one below the source. */
  skip?: (path: BytePath) => boolean;
  /** What an owner at the source is called at the target. */
  mapped?: (owner: Owner) => Owner;
}

/** Copies. `to.path` is for messages. Returns false where there is nothing any more. Throws `CONFLICT` and others. */
export function copyTree(from: Source, to: Place, { owner, contents, skip, mapped }: CopyOptions): boolean {
  return new TreeCopy(owner, to, skip, mapped ?? ((same) => same)).copy(from, to, '', contents);
}

class TreeCopy {
  private readonly links = new LinkTable();

  constructor(
    private readonly owner: Owner | undefined,
    private readonly top: Place,
    private readonly skip: CopyOptions['skip'],
    private readonly mapped: (owner: Owner) => Owner,
  ) {}

  copy(from: Source, to: Place, path: BytePath, contents: boolean): boolean {
    if (to.path.length > pathMax) throw new TsrunError('USAGE', `${printable(to.path)} is longer than a path can be`);
    const node = TreeNode.open(from.directory, from.name, to.path);
    if (node === undefined) return false;
    try {
      if (node.isDirectory) this.directory(node, from, to, path, contents);
      else this.other(node, from, to, path);
      return true;
    } finally {
      node.close();
    }
  }

  private directory(node: TreeNode, from: Source, to: Place, path: BytePath, contents: boolean): void {
    const target = places.enterDirectory(to);
    try {
      const source = calls.openName(node.fd, '.', O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
      if (source !== -errno.ENOENT) this.members(must(source, 'open', to.path), target, to.path, path);
      if (!contents) places.describeOpen(target, to.path, this.attributes(node, from));
    } finally {
      calls.closeDescriptor(target);
    }
  }

  private members(source: number, target: number, shown: BytePath, path: BytePath): void {
    try {
      const own = calls.stat(target, '');
      for (const name of sortedNames(source, shown)) {
        if (this.skip?.(joinPath(path, name))) continue;
        const inner = calls.stat(source, name);
        // Copied into itself, a directory would never end.
        if (typeof inner === 'object' && typeof own === 'object' && isSame(inner, own)) continue;
        const to = { directory: target, name, path: joinPath(shown, name) };
        this.copy({ directory: source, name }, to, joinPath(path, name), false);
      }
    } finally {
      calls.closeDescriptor(source);
    }
  }

  private other(node: TreeNode, from: Source, to: Place, path: BytePath): void {
    const attributes = this.attributes(node, from);
    const first = this.links.seen(node.stat, path);
    if (first !== undefined && this.link(first, to)) return;
    const { type, major, minor } = node.stat;
    if (type === S_IFREG) this.file(node, to, attributes);
    else if (type === S_IFLNK) {
      const target = calls.readLink(node.fd, '');
      if (typeof target === 'number') must(target, 'read the link', to.path);
      else places.createSymlink(to, target, attributes);
    } else places.createNode(to, { type, major, minor }, attributes);
  }

  /** Links to what was copied before; false where it is gone from its place. */
  private link(first: BytePath, to: Place): boolean {
    const slash = first.lastIndexOf('/');
    const top = calls.openBeneath(this.top.directory, this.top.name);
    if (top < 0) return false;
    const directory = slash < 0 ? calls.openBeneath(top, '') : calls.openBeneath(top, first.slice(0, slash));
    calls.closeDescriptor(top);
    if (directory < 0) return false;
    try {
      places.createLink({ directory, name: first.slice(slash + 1) }, to);
      return true;
    } finally {
      calls.closeDescriptor(directory);
    }
  }

  private file(node: TreeNode, to: Place, attributes: Attributes): void {
    const source = node.openForReading(to.path);
    try {
      const target = places.createFile(to);
      try {
        const { size } = node.stat;
        // Files of proc say that they are empty.
        if (size === 0) copyStream(source, target, to.path);
        else copyData(source, target, size, (result, action) => must(result, action, to.path));
        places.describeOpen(target, to.path, attributes);
      } finally {
        calls.closeDescriptor(target);
      }
    } finally {
      calls.closeDescriptor(source);
    }
  }

  private attributes(node: TreeNode, from: Source): Attributes {
    const { mode, uid, gid, mtime, atime } = node.stat;
    const xattrs = readXattrs({ fd: from.directory, name: from.name });
    return { mode, mtime, atime, xattrs, ...(this.owner ?? this.mapped({ uid, gid })) };
  }
}

function isSame(a: calls.Stat, b: calls.Stat): boolean {
  return a.type === S_IFDIR && a.device === b.device && a.inode === b.inode;
}

function copyStream(source: number, target: number, path: BytePath): void {
  const buffer = Buffer.allocUnsafe(64 * 1024);
  for (;;) {
    const length = must(syscall('read', source, buffer, buffer.length), 'read', path);
    if (length === 0) return;
    for (let at = 0; at < length; ) {
      const part = buffer.subarray(at, length);
      at += must(syscall('write', target, part, part.length), 'write', path);
    }
  }
}
