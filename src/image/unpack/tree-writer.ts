/**
 * Makes the files of one layer from the entries of its archive, by system calls relative to the handle of the directory
 * that an entry belongs to. Entries of one name replace each other, the last one stays. Symbolic links in the middle of a
 * path are followed as if the layer were the root of everything (as docker does by chroot), so none leads out of it.
 */
import { O_CREAT, O_EXCL, O_NOFOLLOW, O_WRONLY, S_IFBLK, S_IFCHR, S_IFIFO } from '../../linux/constants.ts';
import { errno } from '../../linux/errno.ts';
import type { ArchiveRecorder } from './archive-recorder.ts';
import { setXattrs } from './attributes.ts';
import {
  archiveError,
  type BytePath,
  checkComponent,
  checkLinkTarget,
  joinPath,
  pathMax,
  printable,
  splitPath,
} from './byte-path.ts';
import * as calls from './calls.ts';
import { collectDeferred, type DeferredEntry } from './deferred.ts';
import { finishDirectories } from './directory-attributes.ts';
import { DirectoryTree, type LayerDirectory, markWanted, preorder } from './directory-tree.ts';
import type { Entry, EntrySink } from './entry.ts';
import { unpackError } from './failures.ts';
import { FileContent } from './file-content.ts';
import { removeTreeAt } from './remove-tree.ts';
import { isBelowIgnored, type Marker, markerOf } from './whiteout.ts';

/** As the kernel has it (man 7 path_resolution). */
const linksFollowedMax = 40;
/** uid and gid -1 would mean "leave as it is" to chown. */
const idMax = 0xfffffffe;

export interface TreeWriterOptions {
  /** More entries than this are an attack. */
  maxEntries: number;
  /** The file mode creation mask of this thread. */
  umask: number;
  /** Remembers the archive, if it is to be made again. */
  recorder?: ArchiveRecorder | undefined;
}

export class TreeWriter implements EntrySink {
  entries = 0;
  private made = 0;
  private readonly tree: DirectoryTree;
  private readonly content = new FileContent();
  private readonly uid = process.geteuid?.() ?? 0;
  private readonly gid = process.getegid?.() ?? 0;

  /** The directory of the last entry, under the name that the archive gave it: most entries have the same. */
  private lastDirectoryPath: BytePath | undefined;
  private lastDirectory: LayerDirectory | undefined;

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
    this.tree = new DirectoryTree(rootFd);
    // A setgid bit inherited from the store's directory would give all files its group.
    this.must(calls.changeOpenOwner(rootFd, this.uid, this.gid), 'prepare', '');
    this.must(calls.changeOpenMode(rootFd, 0o755), 'prepare', '');
    this.tree.root.madeWith = 0o755;
  }

  /** Bytes of content written. */
  get bytes(): number {
    return this.content.written;
  }

  entry(entry: Entry): void {
    this.entries++;
    this.count(entry.path);
    const located = this.locate(entry.path);
    if (located === 'ignored') return;
    if (located === 'root') {
      if (entry.type !== 'directory') throw archiveError(entry.path, 'would replace the root directory');
      this.describe(this.tree.root, entry);
      return;
    }
    const { directory, name } = located;
    const marker = markerOf(name, entry.path);
    if (marker !== undefined) this.mark(directory, marker);
    else this.make(directory, name, entry);
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
    return collectDeferred(this.tree.root);
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

  /** Directories that are only implied count as well: one long path could bring 2,000 of them. */
  private count(path: BytePath): void {
    if (++this.made > this.options.maxEntries) {
      throw archiveError(path, `is one too many: a layer may have ${this.options.maxEntries} files and directories`);
    }
  }

  private must(result: number, action: string, path: BytePath): void {
    if (result < 0) throw unpackError(action, path, result);
  }

  /** The directory that an entry belongs to, made if it is not there, and the entry's name in it. */
  private locate(path: BytePath): { directory: LayerDirectory; name: BytePath } | 'root' | 'ignored' {
    const end = path.endsWith('/') ? path.length - 1 : path.length;
    const slash = path.lastIndexOf('/', end - 1);
    const directoryPath = slash < 0 ? '' : path.slice(0, slash);
    const base = path.slice(slash + 1, end);
    const plain = base !== '' && base !== '.' && path.length <= pathMax;
    if (plain && directoryPath === this.lastDirectoryPath && this.lastDirectory !== undefined) {
      checkComponent(base, path);
      return { directory: this.lastDirectory, name: base };
    }
    const components = splitPath(path);
    const name = components.pop();
    if (name === undefined) return 'root';
    if (isBelowIgnored(components, path)) return 'ignored';
    const directory = this.walk(components, path, true);
    if (directory === undefined) throw unpackError('make the directory of', path, -errno.ENOENT);
    if (plain) {
      this.lastDirectoryPath = directoryPath;
      this.lastDirectory = directory;
    }
    return { directory, name };
  }

  /**
   * The directory that `components` lead to, links followed within the layer. With `create` what is missing is made, for
   * settleLayer to complete; without it, undefined where this layer has no such directory.
   */
  private walk(components: readonly BytePath[], path: BytePath, create: boolean): LayerDirectory | undefined {
    let at = this.tree.root;
    let links = 0;
    const todo = components.toReversed();
    for (let name = todo.pop(); name !== undefined; name = todo.pop()) {
      if (name === '..') {
        at = at.parent ?? at;
        continue;
      }
      const known = at.children?.get(name);
      if (known !== undefined) {
        at = known;
        continue;
      }
      if (create) checkLength(at, name, path);
      const fd = this.tree.handle(at);
      const made = create ? calls.makeDirectory(fd, name, 0o755) : -errno.EEXIST;
      if (made === 0) {
        this.count(path);
        at.links?.delete(name);
        at = this.tree.add(at, name);
        continue;
      }
      if (made !== -errno.EEXIST) throw unpackError('make the directory of', path, made);
      const target = calls.readLink(fd, name);
      if (typeof target === 'number') {
        if (!create && (target === -errno.ENOENT || target === -errno.EINVAL)) return undefined;
        if (target === -errno.EINVAL) throw archiveError(path, `is below ${printable(name)}, which is no directory`);
        throw unpackError('find the directory of', path, target);
      }
      if (++links > linksFollowedMax) throw unpackError('find the directory of', path, -errno.ELOOP);
      if (target.startsWith('/')) at = this.tree.root;
      const parts = target.split('/').filter((part) => part !== '' && part !== '.');
      for (let i = parts.length - 1; i >= 0; i--) todo.push(parts[i] as BytePath);
    }
    return at;
  }

  private mark(directory: LayerDirectory, marker: Marker): void {
    if (marker.kind === 'opaque') {
      directory.opaque = true;
    } else if (marker.kind === 'whiteout') {
      directory.whiteouts ??= new Set();
      directory.whiteouts.add(marker.name);
    }
  }

  private make(directory: LayerDirectory, name: BytePath, entry: Entry): void {
    if (entry.uid < 0 || entry.uid > idMax || entry.gid < 0 || entry.gid > idMax) {
      throw archiveError(entry.path, `belongs to ${entry.uid}:${entry.gid}, which no user or group can be`);
    }
    checkLength(directory, name, entry.path);
    if (!directory.wanted) markWanted(directory);
    switch (entry.type) {
      case 'file':
        this.makeFile(directory, name, entry);
        break;
      case 'directory':
        this.makeDirectory(directory, name, entry);
        return;
      case 'hardlink':
        this.makeLink(directory, name, entry);
        return;
      case 'symlink':
        checkLinkTarget(entry.linkPath, entry.path);
        this.create(directory, name, entry, (fd) => calls.makeSymlink(entry.linkPath, fd, name));
        this.describeNode(directory, name, entry);
        break;
      default:
        this.makeDevice(directory, name, entry);
    }
    directory.links?.delete(name);
  }

  private makeFile(directory: LayerDirectory, name: BytePath, entry: Entry): void {
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

  private makeDevice(directory: LayerDirectory, name: BytePath, entry: Entry): void {
    const { major, minor, type } = entry;
    const format = type === 'fifo' ? S_IFIFO : type === 'block' ? S_IFBLK : S_IFCHR;
    const device = type === 'fifo' ? { major: 0, minor: 0 } : { major, minor };
    if (device.major < 0 || device.major > 0xfff || device.minor < 0 || device.minor > 0xfffff) {
      throw archiveError(entry.path, `is a device with impossible numbers (${major}:${minor})`);
    }
    if (type === 'character' && major === 0 && minor === 0) {
      throw archiveError(entry.path, 'is a character device 0:0, which overlayfs takes for a whiteout');
    }
    this.create(directory, name, entry, (fd) =>
      calls.makeNode(fd, name, format | (entry.mode & 0o777), device.major, device.minor),
    );
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

  private makeDirectory(directory: LayerDirectory, name: BytePath, entry: Entry): void {
    let node = directory.children?.get(name);
    if (node === undefined) {
      const mode = (entry.mode & 0o1777) | 0o700;
      const fd = this.tree.handle(directory);
      let result = calls.makeDirectory(fd, name, mode);
      if (result === -errno.EEXIST) {
        this.clear(directory, name);
        // What was there hid a directory of the lower layers; the new one must not let it through.
        this.mark(directory, { kind: 'whiteout', name });
        result = calls.makeDirectory(this.tree.handle(directory), name, mode);
      }
      this.must(result, 'make', entry.path);
      directory.links?.delete(name);
      node = this.tree.add(directory, name);
      node.madeWith = mode & ~this.options.umask;
    }
    markWanted(node);
    this.describe(node, entry);
  }

  private describe(node: LayerDirectory, entry: Entry): void {
    const { mode, uid, gid, mtime, atime, xattrs } = entry;
    node.attributes = { mode, uid, gid, mtime, atime, xattrs };
  }

  private makeLink(directory: LayerDirectory, name: BytePath, entry: Entry): void {
    const components = splitPath(entry.linkPath);
    const target = components.pop();
    if (target === undefined) throw archiveError(entry.path, 'is a hard link to the root directory');
    if (isBelowIgnored([...components, target], entry.path)) {
      throw archiveError(entry.path, `is a hard link to ${printable(entry.linkPath)}, a name reserved for whiteouts`);
    }
    const from = this.walk(components, entry.path, false);
    const deferred = from?.links?.get(target);
    if (from === undefined || deferred !== undefined) {
      this.defer(directory, name, deferred ?? [...components, target].join('/'));
      return;
    }
    if (from.children?.has(target)) throw archiveError(entry.path, 'is a hard link to a directory');
    const linked = this.link(from, target, directory, name, entry);
    if (linked) directory.links?.delete(name);
    else this.defer(directory, name, [...components, target].join('/'));
  }

  /** Makes a hard link within the layer; false where the layer does not have its target. */
  private link(
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

  /** Leaves a hard link to what lower layers (or a later entry) have to settleLayer. */
  private defer(directory: LayerDirectory, name: BytePath, target: BytePath): void {
    this.clear(directory, name);
    directory.links ??= new Map();
    directory.links.set(name, target);
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

  /** Frees a name: a file loses this name and no other, a directory goes with its contents. */
  private clear(directory: LayerDirectory, name: BytePath): void {
    const child = directory.children?.get(name);
    this.keepFiles(directory, name, child);
    if (child !== undefined) this.tree.drop(child);
    this.lastDirectoryPath = undefined;
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

/** By links an archive could make paths that are longer than what anybody can name. */
function checkLength(directory: LayerDirectory, name: BytePath, path: BytePath): void {
  if (directory.pathLength + 1 + name.length > pathMax) {
    throw archiveError(path, `ends up at a path of more than ${pathMax} bytes`);
  }
}
