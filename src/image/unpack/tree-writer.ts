/**
 * Makes the files of one layer from the entries of its archive, by system calls relative to the handle of the directory
 * that an entry belongs to.
 */
import { O_CREAT, O_EXCL, O_NOFOLLOW, O_WRONLY, S_IFBLK, S_IFCHR, S_IFIFO } from '../../linux/constants.ts';
import { errno } from '../../linux/errno.ts';
import type { ArchiveRecorder } from './archive-recorder.ts';
import { setXattrs } from './attributes.ts';
import { type BytePath, joinPath } from './byte-path.ts';
import * as calls from './calls.ts';
import { collectDeferred, type DeferredEntry } from './deferred.ts';
import { finishDirectories } from './directory-attributes.ts';
import { DirectoryTree, type LayerDirectory, preorder } from './directory-tree.ts';
import type { Entry } from './entry.ts';
import { EntryPlacer } from './entry-placer.ts';
import { unpackError } from './failures.ts';
import { FileContent } from './file-content.ts';
import { removeTreeAt } from './remove-tree.ts';

export interface TreeWriterOptions {
  /** More entries than this are an attack. */
  maxEntries: number;
  /** The file mode creation mask of this thread. */
  umask: number;
  /** Remembers the archive, if it is to be made again. */
  recorder?: ArchiveRecorder | undefined;
}

export class TreeWriter extends EntryPlacer {
  protected readonly root: LayerDirectory;
  private readonly tree: DirectoryTree;
  private readonly content = new FileContent();
  private readonly uid = process.geteuid?.() ?? 0;
  private readonly gid = process.getegid?.() ?? 0;

  /** The directory of the last file that was recorded, and its path: putting that together takes time. */
  private recordedDirectory: LayerDirectory | undefined;
  private recordedPath: BytePath = '';

  /** The file that is being written. */
  private fd = -1;
  private file: Entry | undefined;

  /** `rootFd`: the layer's directory, open for reading; it stays the caller's. */
  constructor(
    rootFd: number,
    private readonly options: TreeWriterOptions,
  ) {
    super(options.maxEntries);
    this.tree = new DirectoryTree(rootFd);
    this.root = this.tree.root;
    // A setgid bit inherited from the store's directory would give all files its group.
    this.must(calls.changeOpenOwner(rootFd, this.uid, this.gid), 'prepare', '');
    this.must(calls.changeOpenMode(rootFd, 0o755), 'prepare', '');
    this.root.madeWith = 0o755;
  }

  get bytes(): number {
    return this.content.written;
  }

  data(chunk: Uint8Array, start: number, end: number): void {
    if (this.file === undefined) return;
    this.content.write(chunk, start, end);
    if (this.file.sparse === undefined) this.options.recorder?.content(start, end);
  }

  end(): void {
    const { file, fd } = this;
    if (file === undefined) return;
    this.content.finish();
    const special = file.mode & (0o7000 | this.options.umask);
    if (special !== 0) this.must(calls.changeOpenMode(fd, file.mode), 'set the mode of', file.path);
    // After the content: a write takes file capabilities away.
    setXattrs(fd, undefined, file.path, file.xattrs);
    this.must(calls.setOpenTimes(fd, file.atime ?? file.mtime, file.mtime), 'set the times of', file.path);
    this.closeFile();
  }

  /** Gives directories their attributes, and says what is left to `settleLayer`. */
  finish(): DeferredEntry[] {
    finishDirectories(this.tree, { uid: this.uid, gid: this.gid });
    return collectDeferred(this.root);
  }

  /** Closes all descriptors; to be called in every case. */
  close(): void {
    this.closeFile();
    this.content.release();
    this.tree.close();
  }

  private closeFile(): void {
    calls.closeDescriptor(this.fd);
    this.fd = -1;
    this.file = undefined;
  }

  private must(result: number, action: string, path: BytePath): void {
    if (result < 0) throw unpackError(action, path, result);
  }

  protected imply(parent: LayerDirectory, name: BytePath): number {
    return calls.makeDirectory(this.tree.handle(parent), name, 0o755);
  }

  protected addDirectory(parent: LayerDirectory, name: BytePath): LayerDirectory {
    return this.tree.add(parent, name);
  }

  protected readLink(directory: LayerDirectory, name: BytePath): BytePath | number {
    return calls.readLink(this.tree.handle(directory), name);
  }

  protected makeFile(directory: LayerDirectory, name: BytePath, entry: Entry): void {
    const flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW;
    this.fd = this.create(directory, name, entry, (fd) => calls.openName(fd, name, flags, entry.mode & 0o777));
    this.file = entry;
    this.content.begin(this.fd, entry.path, entry.sparse);
    this.record(directory, name, entry);
    if (entry.uid !== this.uid || entry.gid !== this.gid) {
      this.must(calls.changeOpenOwner(this.fd, entry.uid, entry.gid), 'set the owner of', entry.path);
    }
  }

  /** Holes are not in the archive: the pieces of a sparse file are recorded as they stand there. */
  private record(directory: LayerDirectory, name: BytePath, entry: Entry): void {
    const { recorder } = this.options;
    if (recorder === undefined || entry.sparse !== undefined || entry.size === 0) return;
    directory.files ??= new Map();
    if (this.recordedDirectory !== directory) {
      this.recordedDirectory = directory;
      this.recordedPath = directory.path;
    }
    directory.files.set(name, recorder.file(joinPath(this.recordedPath, name), entry.size));
  }

  protected makeSymlink(directory: LayerDirectory, name: BytePath, entry: Entry): void {
    this.create(directory, name, entry, (fd) => calls.makeSymlink(entry.linkPath, fd, name));
    this.describeNode(directory, name, entry);
  }

  protected makeNode(directory: LayerDirectory, name: BytePath, entry: Entry): void {
    const { type } = entry;
    const format = type === 'fifo' ? S_IFIFO : type === 'block' ? S_IFBLK : S_IFCHR;
    const { major, minor } = type === 'fifo' ? { major: 0, minor: 0 } : entry;
    this.create(directory, name, entry, (fd) => calls.makeNode(fd, name, format | (entry.mode & 0o777), major, minor));
    this.describeNode(directory, name, entry);
  }

  /** Owner, mode, attributes and times of what has no descriptor: links and devices are never opened. */
  private describeNode(directory: LayerDirectory, name: BytePath, entry: Entry): void {
    const fd = this.tree.handle(directory);
    if (entry.uid !== this.uid || entry.gid !== this.gid) {
      this.must(calls.changeOwner(fd, name, entry.uid, entry.gid), 'set the owner of', entry.path);
    }
    if (entry.type !== 'symlink' && (entry.mode & (0o7000 | this.options.umask)) !== 0) {
      this.must(calls.changeMode(fd, name, entry.mode), 'set the mode of', entry.path);
    }
    setXattrs(fd, name, entry.path, entry.xattrs);
    this.must(calls.setTimes(fd, name, entry.atime ?? entry.mtime, entry.mtime), 'set the times of', entry.path);
  }

  protected makeDirectory(
    directory: LayerDirectory,
    name: BytePath,
    entry: Entry,
    replaced: () => void,
  ): LayerDirectory {
    const mode = (entry.mode & 0o1777) | 0o700;
    let result = calls.makeDirectory(this.tree.handle(directory), name, mode);
    if (result === -errno.EEXIST) {
      this.clear(directory, name);
      replaced();
      result = calls.makeDirectory(this.tree.handle(directory), name, mode);
    }
    this.must(result, 'make', entry.path);
    const node = this.tree.add(directory, name);
    node.madeWith = mode & ~this.options.umask;
    return node;
  }

  protected makeLink(
    from: LayerDirectory,
    target: BytePath,
    directory: LayerDirectory,
    name: BytePath,
    entry: Entry,
  ): boolean {
    return this.tree.withPinned(from, (fromFd) => {
      const fd = this.tree.handle(directory);
      let result = calls.link(fromFd, target, fd, name);
      if (result === -errno.EEXIST) {
        const old = calls.stat(fd, name);
        const wanted = calls.stat(fromFd, target);
        if (typeof old === 'object' && typeof wanted === 'object' && old.inode === wanted.inode) return true;
        this.clear(directory, name);
        result = calls.link(fromFd, target, this.tree.handle(directory), name);
      }
      if (result === -errno.ENOENT) return false;
      this.must(result, 'link', entry.path);
      return true;
    });
  }

  /** Makes something; whatever had its name before goes. Returns what `call` does. */
  private create(directory: LayerDirectory, name: BytePath, entry: Entry, call: (fd: number) => number): number {
    let result = call(this.tree.handle(directory));
    if (result === -errno.EEXIST) {
      this.clear(directory, name);
      result = call(this.tree.handle(directory));
    }
    this.must(result, 'create', entry.path);
    return result;
  }

  protected remove(directory: LayerDirectory, name: BytePath): void {
    const child = directory.children?.get(name);
    this.keepFiles(directory, name, child);
    if (child !== undefined) this.tree.drop(child);
    removeTreeAt(this.tree.handle(directory), name);
  }

  /** The archive is to be made again with the contents of files that later entries replace. */
  private keepFiles(directory: LayerDirectory, name: BytePath, child: LayerDirectory | undefined): void {
    const kept = this.options.recorder?.kept;
    if (kept === undefined) return;
    const index = directory.files?.get(name);
    if (index !== undefined) {
      kept.move(this.tree.handle(directory), name, index);
      directory.files?.delete(name);
    }
    for (const inner of child === undefined ? [] : preorder(child)) {
      for (const [file, number] of inner.files ?? []) kept.move(this.tree.handle(inner), file, number);
    }
  }
}
