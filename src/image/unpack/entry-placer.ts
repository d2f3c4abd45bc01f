/**
 * Where the entries of a layer's archive belong, whatever keeps its tree: directories on disk (TreeWriter) or memory
 * (erofs/memory-tree.ts). Entries of one name replace each other, the last one stays. Symbolic links in the middle of a
 * path are followed as if the layer were the root of everything (as docker does by chroot), so none leads out of it.
 */
import { errno } from '../../linux/errno.ts';
import {
  archiveError,
  type BytePath,
  checkComponent,
  checkLinkTarget,
  pathMax,
  printable,
  splitPath,
} from './byte-path.ts';
import type { DeferredEntry } from './deferred.ts';
import { type LayerDirectory, markWanted } from './directory-tree.ts';
import type { Entry, EntrySink } from './entry.ts';
import { unpackError } from './failures.ts';
import { isBelowIgnored, type Marker, markerOf } from './whiteout.ts';

/** As the kernel has it (man 7 path_resolution). */
const linksFollowedMax = 40;
/** uid and gid -1 would mean "leave as it is" to chown. */
const idMax = 0xfffffffe;

export abstract class EntryPlacer implements EntrySink {
  entries = 0;
  /** Bytes of content that files got. */
  abstract readonly bytes: number;
  protected abstract readonly root: LayerDirectory;
  private made = 0;

  /** The directory of the last entry, under the name that the archive gave it: most entries have the same. */
  private lastDirectoryPath: BytePath | undefined;
  private lastDirectory: LayerDirectory | undefined;

  /** `maxEntries`: more than these are an attack. */
  constructor(private readonly maxEntries: number) {}

  abstract data(chunk: Uint8Array, start: number, end: number): void;
  abstract end(): void;
  /** Nothing more comes; says what is left to settle. */
  abstract finish(): DeferredEntry[];

  /** Makes a directory that entries imply: 0, or a negative errno (EEXIST where the name is taken). */
  protected abstract imply(parent: LayerDirectory, name: BytePath): number;
  protected abstract addDirectory(parent: LayerDirectory, name: BytePath): LayerDirectory;
  /** The target of a link, or a negative errno: EINVAL where it is something else. */
  protected abstract readLink(directory: LayerDirectory, name: BytePath): BytePath | number;
  protected abstract makeFile(directory: LayerDirectory, name: BytePath, entry: Entry): void;
  protected abstract makeSymlink(directory: LayerDirectory, name: BytePath, entry: Entry): void;
  /** Devices and fifos; the numbers have been checked. */
  protected abstract makeNode(directory: LayerDirectory, name: BytePath, entry: Entry): void;
  /** The directory of that name, made unless it is there; `replaced` is called when something else had the name. */
  protected abstract makeDirectory(
    directory: LayerDirectory,
    name: BytePath,
    entry: Entry,
    replaced: () => void,
  ): LayerDirectory;
  /** Makes a hard link within the layer; false where the layer does not have its target. */
  protected abstract makeLink(
    from: LayerDirectory,
    target: BytePath,
    directory: LayerDirectory,
    name: BytePath,
    entry: Entry,
  ): boolean;
  /** Takes away what has a name: a file loses this name and no other, a directory goes with its contents. */
  protected abstract remove(directory: LayerDirectory, name: BytePath): void;

  entry(entry: Entry): void {
    this.entries++;
    this.count(entry.path);
    const located = this.locate(entry.path);
    if (located === 'ignored') return;
    if (located === 'root') {
      if (entry.type !== 'directory') throw archiveError(entry.path, 'would replace the root directory');
      describe(this.root, entry);
      return;
    }
    const { directory, name } = located;
    const marker = markerOf(name, entry.path);
    if (marker !== undefined) this.mark(directory, marker);
    else this.make(directory, name, entry);
  }

  /** Directories that are only implied count as well: one long path could bring 2,000 of them. */
  private count(path: BytePath): void {
    if (++this.made > this.maxEntries) {
      throw archiveError(path, `is one too many: a layer may have ${this.maxEntries} files and directories`);
    }
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
   * settling to complete; without it, undefined where this layer has no such directory.
   */
  private walk(components: readonly BytePath[], path: BytePath, create: boolean): LayerDirectory | undefined {
    let at = this.root;
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
      const made = create ? this.imply(at, name) : -errno.EEXIST;
      if (made === 0) {
        this.count(path);
        at.links?.delete(name);
        at = this.addDirectory(at, name);
        continue;
      }
      if (made !== -errno.EEXIST) throw unpackError('make the directory of', path, made);
      const target = this.readLink(at, name);
      if (typeof target === 'number') {
        if (!create && (target === -errno.ENOENT || target === -errno.EINVAL)) return undefined;
        if (target === -errno.EINVAL) throw archiveError(path, `is below ${printable(name)}, which is no directory`);
        throw unpackError('find the directory of', path, target);
      }
      if (++links > linksFollowedMax) throw unpackError('find the directory of', path, -errno.ELOOP);
      if (target.startsWith('/')) at = this.root;
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
        this.directory(directory, name, entry);
        return;
      case 'hardlink':
        this.hardlink(directory, name, entry);
        return;
      case 'symlink':
        checkLinkTarget(entry.linkPath, entry.path);
        this.makeSymlink(directory, name, entry);
        break;
      default:
        checkDevice(entry);
        this.makeNode(directory, name, entry);
    }
    directory.links?.delete(name);
  }

  private directory(directory: LayerDirectory, name: BytePath, entry: Entry): void {
    const known = directory.children?.get(name);
    // What was there hid a directory of the lower layers; the new one must not let it through.
    const replaced = () => this.mark(directory, { kind: 'whiteout', name });
    const node = known ?? this.makeDirectory(directory, name, entry, replaced);
    if (known === undefined) directory.links?.delete(name);
    markWanted(node);
    describe(node, entry);
  }

  private hardlink(directory: LayerDirectory, name: BytePath, entry: Entry): void {
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
    const linked = this.makeLink(from, target, directory, name, entry);
    if (linked) directory.links?.delete(name);
    else this.defer(directory, name, [...components, target].join('/'));
  }

  /** Leaves a hard link to what lower layers (or a later entry) have for later. */
  private defer(directory: LayerDirectory, name: BytePath, target: BytePath): void {
    this.clear(directory, name);
    directory.links ??= new Map();
    directory.links.set(name, target);
  }

  /** Frees a name. */
  protected clear(directory: LayerDirectory, name: BytePath): void {
    this.lastDirectoryPath = undefined;
    this.remove(directory, name);
  }
}

function describe(node: LayerDirectory, entry: Entry): void {
  const { mode, uid, gid, mtime, atime, xattrs } = entry;
  node.attributes = { mode, uid, gid, mtime, atime, xattrs };
}

function checkDevice({ path, type, major, minor }: Entry): void {
  if (type === 'fifo') return;
  if (major < 0 || major > 0xfff || minor < 0 || minor > 0xfffff) {
    throw archiveError(path, `is a device with impossible numbers (${major}:${minor})`);
  }
  if (type === 'character' && major === 0 && minor === 0) {
    throw archiveError(path, 'is a character device 0:0, which overlayfs takes for a whiteout');
  }
}

/** By links an archive could make paths that are longer than what anybody can name. */
function checkLength(directory: LayerDirectory, name: BytePath, path: BytePath): void {
  if (directory.pathLength + 1 + name.length > pathMax) {
    throw archiveError(path, `ends up at a path of more than ${pathMax} bytes`);
  }
}
