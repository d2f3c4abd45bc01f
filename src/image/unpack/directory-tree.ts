/**
 * The directories that a layer has made so far, in memory. Since the layer began empty and nobody else writes into it,
 * a path that is found here consists of real directories; every other component is looked at by the kernel. A directory
 * is opened relative to its parent and never through a link, so that no path can leave the layer.
 */

import type { Inode } from '../erofs/inode.ts';
import type { BytePath } from './byte-path.ts';
import { closeDescriptor, openDirectory, openHandleBeneath } from './calls.ts';
import type { Attributes } from './entry.ts';
import { checkCall } from './failures.ts';

/** One directory of the layer. */
export class LayerDirectory {
  children: Map<BytePath, LayerDirectory> | undefined;
  /** What an entry said about it; undefined while other entries only imply it. */
  attributes: Attributes | undefined;
  /** The mode it was made with. */
  madeWith = 0;
  /** Whether it, or anything below it, was made by an entry: whiteouts alone keep no directory. */
  wanted = false;
  opaque = false;
  /** Names that `.wh.NAME` hides in lower layers. */
  whiteouts: Set<BytePath> | undefined;
  /** Hard links to what this layer does not have (yet): name to target. */
  links: Map<BytePath, BytePath> | undefined;
  /** Files whose content the layer's archive has, by name: their numbers in the record of it. */
  files: Map<BytePath, number> | undefined;
  /** Everything in it that is no directory, where the tree is kept in memory and not on disk (erofs/memory-tree.ts). */
  members: Map<BytePath, Inode> | undefined;
  /** Its handle, or -1; owned by `DirectoryTree`. */
  fd = -1;
  pinned = false;
  /** Bytes of its path. */
  readonly pathLength: number;

  constructor(
    readonly parent: LayerDirectory | undefined,
    readonly name: BytePath,
  ) {
    this.pathLength = parent === undefined ? 0 : parent.pathLength + 1 + name.length;
  }

  /** Put together at each use: most directories are never asked. */
  get path(): BytePath {
    const names: BytePath[] = [];
    for (let at: LayerDirectory = this; at.parent !== undefined; at = at.parent) names.push(at.name);
    return names.reverse().join('/');
  }
}

/** A new directory of `parent`. */
export function addDirectory(parent: LayerDirectory, name: BytePath): LayerDirectory {
  const node = new LayerDirectory(parent, name);
  parent.children ??= new Map();
  parent.children.set(name, node);
  return node;
}

/** Handles that are kept open at most, beside that of the layer. */
const handlesMax = 128;

export class DirectoryTree {
  readonly root: LayerDirectory;
  private readonly opened: LayerDirectory[] = [];

  /** `rootFd` is a descriptor of the layer's directory, which stays the caller's. */
  constructor(rootFd: number) {
    this.root = new LayerDirectory(undefined, '');
    this.root.fd = rootFd;
  }

  /** A handle (O_PATH) of `directory`, valid until the next call unless it is pinned. Throws `SyscallError`. */
  handle(directory: LayerDirectory): number {
    if (directory.fd >= 0) return directory.fd;
    const parent = directory.parent?.fd ?? -1;
    const fd = parent >= 0 ? openDirectory(parent, directory.name) : openHandleBeneath(this.root.fd, directory.path);
    if (fd < 0) checkCall(fd, 'openat', directory.path);
    directory.fd = fd;
    this.opened.push(directory);
    if (this.opened.length > handlesMax) this.evict();
    return directory.fd;
  }

  /** Keeps the handle of `directory` open while `use` runs. */
  withPinned<T>(directory: LayerDirectory, use: (fd: number) => T): T {
    const before = directory.pinned;
    const fd = this.handle(directory);
    directory.pinned = true;
    try {
      return use(fd);
    } finally {
      directory.pinned = before;
    }
  }

  private evict(): void {
    // The newest stays: it is what was asked for.
    const index = this.opened.findIndex((node, i) => !node.pinned && i < this.opened.length - 1);
    const [node] = index < 0 ? [] : this.opened.splice(index, 1);
    if (node !== undefined) this.closeHandle(node);
  }

  private closeHandle(node: LayerDirectory): void {
    closeDescriptor(node.fd);
    node.fd = -1;
  }

  /** Adds a directory that was just made. */
  add(parent: LayerDirectory, name: BytePath): LayerDirectory {
    return addDirectory(parent, name);
  }

  /** Forgets a directory and all below it, because something else takes its name. */
  drop(node: LayerDirectory): void {
    node.parent?.children?.delete(node.name);
    const gone = new Set(preorder(node));
    for (let i = this.opened.length - 1; i >= 0; i--) {
      const opened = this.opened[i];
      if (opened === undefined || !gone.has(opened)) continue;
      this.opened.splice(i, 1);
      this.closeHandle(opened);
    }
  }

  /** Closes every handle but that of the layer. */
  close(): void {
    for (const node of this.opened.splice(0)) this.closeHandle(node);
  }
}

/** `node` and all directories below it, parents before their children, siblings in the order they came. */
export function preorder(node: LayerDirectory): LayerDirectory[] {
  const result: LayerDirectory[] = [];
  const stack = [node];
  for (let next = stack.pop(); next !== undefined; next = stack.pop()) {
    result.push(next);
    if (next.children === undefined) continue;
    const children = [...next.children.values()];
    for (let i = children.length - 1; i >= 0; i--) stack.push(children[i] as LayerDirectory);
  }
  return result;
}

/** Marks a directory and those above it as made by an entry. */
export function markWanted(directory: LayerDirectory): void {
  for (let at: LayerDirectory | undefined = directory; at !== undefined && !at.wanted; at = at.parent) at.wanted = true;
}
