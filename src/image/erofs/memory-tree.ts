/**
 * The tree of one layer in memory, from the entries of its archive: nothing is made on disk, files are known by where their
 * content stands in the archive.
 */
import { errno } from '../../linux/errno.ts';
import type { BytePath } from '../unpack/byte-path.ts';
import { collectDeferred, type DeferredEntry } from '../unpack/deferred.ts';
import { addDirectory, LayerDirectory } from '../unpack/directory-tree.ts';
import type { Attributes, Entry } from '../unpack/entry.ts';
import { EntryPlacer } from '../unpack/entry-placer.ts';
import { unpackError } from '../unpack/failures.ts';
import { Inode, type InodeType } from './inode.ts';

/** What ext4 and others take for a file, in bytes: an archive means the same in both stores. */
const fileMax = 2 ** 44;

export class MemoryTree extends EntryPlacer {
  readonly root = new LayerDirectory(undefined, '');
  bytes = 0;
  /** Where the chunk that is being parsed stands in the archive, in bytes. */
  position = 0;
  /** The file whose content comes. */
  private file: Inode | undefined;
  private started = false;

  data(_chunk: Uint8Array, start: number, end: number): void {
    if (this.file === undefined) return;
    if (!this.started) this.file.offset = this.position + start;
    this.started = true;
    this.bytes += end - start;
  }

  end(): void {
    this.file = undefined;
  }

  finish(): DeferredEntry[] {
    return collectDeferred(this.root);
  }

  protected imply(parent: LayerDirectory, name: BytePath): number {
    return isTaken(parent, name) ? -errno.EEXIST : 0;
  }

  protected addDirectory(parent: LayerDirectory, name: BytePath): LayerDirectory {
    return addDirectory(parent, name);
  }

  protected readLink(directory: LayerDirectory, name: BytePath): BytePath | number {
    const inode = directory.members?.get(name);
    if (inode === undefined && !isTaken(directory, name)) return -errno.ENOENT;
    return inode?.type === 'symlink' ? inode.target : -errno.EINVAL;
  }

  protected makeFile(directory: LayerDirectory, name: BytePath, entry: Entry): void {
    const inode = this.put(directory, name, entry, 'file');
    inode.size = entry.sparse?.realSize ?? entry.size;
    inode.segments = entry.sparse?.segments;
    if (inode.size > fileMax) throw unpackError('set the size of', entry.path, -errno.EFBIG);
    this.file = inode;
    this.started = false;
  }

  protected makeSymlink(directory: LayerDirectory, name: BytePath, entry: Entry): void {
    this.put(directory, name, { ...entry, mode: 0o777 }, 'symlink').target = entry.linkPath;
  }

  protected makeNode(directory: LayerDirectory, name: BytePath, entry: Entry): void {
    const type = entry.type === 'fifo' || entry.type === 'block' ? entry.type : 'character';
    const inode = this.put(directory, name, entry, type);
    if (type === 'fifo') return;
    inode.major = entry.major;
    inode.minor = entry.minor;
  }

  protected makeDirectory(
    directory: LayerDirectory,
    name: BytePath,
    _entry: Entry,
    replaced: () => void,
  ): LayerDirectory {
    if (isTaken(directory, name)) {
      this.clear(directory, name);
      replaced();
    }
    return addDirectory(directory, name);
  }

  protected makeLink(from: LayerDirectory, target: BytePath, directory: LayerDirectory, name: BytePath): boolean {
    const inode = from.members?.get(target);
    if (inode === undefined) return false;
    if (directory.members?.get(name) === inode) return true;
    if (isTaken(directory, name)) this.clear(directory, name);
    // The target may have been in what had the name.
    if (!this.isThere(from)) return false;
    addMember(directory, name, inode);
    return true;
  }

  protected remove(directory: LayerDirectory, name: BytePath): void {
    directory.members?.delete(name);
    directory.children?.delete(name);
  }

  private put(directory: LayerDirectory, name: BytePath, attributes: Attributes, type: InodeType): Inode {
    if (isTaken(directory, name)) this.clear(directory, name);
    const { mode, uid, gid, mtime, atime, xattrs } = attributes;
    const inode = new Inode(type, { mode, uid, gid, mtime, atime, xattrs });
    addMember(directory, name, inode);
    return inode;
  }

  private isThere(directory: LayerDirectory): boolean {
    for (let at = directory; at.parent !== undefined; at = at.parent) {
      if (at.parent.children?.get(at.name) !== at) return false;
    }
    return true;
  }
}

export function isTaken(directory: LayerDirectory, name: BytePath): boolean {
  return directory.members?.has(name) === true || directory.children?.has(name) === true;
}

export function addMember(directory: LayerDirectory, name: BytePath, inode: Inode): void {
  directory.members ??= new Map();
  directory.members.set(name, inode);
}
