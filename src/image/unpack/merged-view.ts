/**
 * Several unpacked layers seen as overlayfs would show them (kernel, overlayfs.rst): the upper one wins, directories are
 * merged, whiteouts and opaque directories hide what is below. For looking things up before anything is mounted.
 */
import { AT_FDCWD, O_DIRECTORY, O_NOFOLLOW, O_PATH, S_IFCHR, S_IFDIR, S_IFLNK } from '../../linux/constants.ts';
import { errno } from '../../linux/errno.ts';
import { type BytePath, bytePath, joinPath } from './byte-path.ts';
import * as calls from './calls.ts';
import { checkCall, checkStat, unpackError } from './failures.ts';
import { opaqueXattr } from './whiteout.ts';

/** A directory of the view: the layers' directories that it consists of, the uppermost first. */
export interface MergedDirectory {
  path: BytePath;
  /** Handles, owned by the view; those of layers that do not have it are missing. */
  fds: readonly number[];
  /** The layer that each handle belongs to: 0 is the uppermost. */
  layers: readonly number[];
}

/** What a name of the view is. `fd` is the directory that holds it, in the layer that shows it. */
export type Found =
  | { kind: 'absent' }
  | { kind: 'directory'; directory: MergedDirectory }
  | { kind: 'other'; layer: number; fd: number; name: BytePath; stat: calls.Stat };

/** A name in a directory of the view: `fd` is that directory in the layer that shows the name. */
export interface Member {
  name: BytePath;
  fd: number;
  stat: calls.Stat;
}

/** Where a path leads: the directory, and the name in it, which may be absent. */
export interface Place {
  directory: MergedDirectory;
  name: BytePath;
  /** Components after `name`, where `name` is absent and so they are too. */
  rest: BytePath[];
}

const linksFollowedMax = 40;
/** Handles that are kept between lookups. */
const handlesMax = 256;

export class MergedView {
  private readonly root: MergedDirectory;
  private readonly cache = new Map<BytePath, MergedDirectory>();
  private handles = 0;

  /** `layers`: directories, the uppermost first. Throws `SyscallError` when one cannot be opened. */
  constructor(layers: readonly string[]) {
    const fds: number[] = [];
    try {
      for (const layer of layers) {
        const fd = calls.openName(AT_FDCWD, bytePath(layer), O_PATH | O_DIRECTORY | O_NOFOLLOW, 0);
        fds.push(checkCall(fd, 'openat', bytePath(layer)));
      }
    } catch (error) {
      for (const fd of fds) calls.closeDescriptor(fd);
      throw error;
    }
    this.root = { path: '', fds, layers: fds.map((_, index) => index) };
  }

  close(): void {
    this.forget();
    for (const fd of this.root.fds) calls.closeDescriptor(fd);
  }

  /** Closes the handles of all directories but the root; to be called after directories have been moved, too. */
  forget(): void {
    for (const directory of this.cache.values()) for (const fd of directory.fds) calls.closeDescriptor(fd);
    this.cache.clear();
    this.handles = 0;
  }

  /** The names in the view's root. */
  rootNames(): BytePath[] {
    return this.members(this.root).map(({ name }) => name);
  }

  /** The names in the directory at `path`; none where there is no such directory. */
  names(path: BytePath): BytePath[] {
    const found = this.lookup(path);
    return found.kind === 'directory' ? this.members(found.directory).map(({ name }) => name) : [];
  }

  /** The names in a directory of the view, each with the layer that shows it: the first that has it decides what it is. */
  members(directory: MergedDirectory): Member[] {
    const seen = new Map<BytePath, Member | undefined>();
    for (const fd of directory.fds) {
      const readable = checkCall(calls.openName(fd, '.', O_DIRECTORY, 0), 'openat', directory.path);
      const listed = calls.listDirectory(readable);
      calls.closeDescriptor(readable);
      if (typeof listed === 'number') throw unpackError('list', directory.path, listed);
      for (const { name } of listed) {
        if (seen.has(name)) continue;
        const stat = checkStat(calls.stat(fd, name), joinPath(directory.path, name));
        seen.set(name, isWhiteout(stat) ? undefined : { name, fd, stat });
      }
    }
    return [...seen.values()].filter((member) => member !== undefined);
  }

  /** What `path` is, if its directories are directories and not links; for the root, `''`. */
  lookup(path: BytePath): Found {
    // What is cached may be closed by any call below, so handles are counted on only within one.
    if (this.handles > handlesMax) this.forget();
    let directory = this.root;
    if (path === '') return { kind: 'directory', directory };
    const components = path.split('/');
    for (let i = 0; ; i++) {
      const found = this.child(directory, components[i] as BytePath);
      if (i === components.length - 1) return found;
      if (found.kind !== 'directory') return { kind: 'absent' };
      directory = found.directory;
    }
  }

  /**
   * Where `path`, from the directory at `from` on, leads when links are followed as if the view were the root of everything;
   * the last component is followed only with `followLast`. Throws `ARCHIVE` for loops; undefined if a component is a
   * file. `path` itself may be a link's target.
   */
  resolve(from: BytePath, path: BytePath, followLast: boolean): Place | 'root' | undefined {
    if (this.handles > handlesMax) this.forget();
    const stack = this.directoriesOf(path.startsWith('/') ? '' : from);
    const todo = componentsOf(path).reverse();
    let links = 0;
    for (;;) {
      const name = todo.pop();
      const directory = stack.at(-1) ?? this.root;
      if (name === undefined) {
        if (stack.length <= 1) return 'root';
        const parent = stack.at(-2) ?? this.root;
        return { directory: parent, name: directory.path.slice(directory.path.lastIndexOf('/') + 1), rest: [] };
      }
      if (name === '..') {
        if (stack.length > 1) stack.pop();
        continue;
      }
      const found = this.child(directory, name);
      if (found.kind === 'directory') {
        stack.push(found.directory);
        continue;
      }
      const isLast = todo.length === 0;
      if (found.kind === 'other' && found.stat.type === S_IFLNK && (!isLast || followLast)) {
        const target = calls.readLink(found.fd, found.name);
        if (typeof target === 'number') throw unpackError('read the link', joinPath(directory.path, name), target);
        if (++links > linksFollowedMax) throw unpackError('follow', joinPath(directory.path, name), -errno.ELOOP);
        if (target.startsWith('/')) stack.length = 1;
        todo.push(...componentsOf(target).reverse());
        continue;
      }
      if (found.kind === 'other' && !isLast) return undefined;
      return { directory, name, rest: todo.reverse() };
    }
  }

  /** The directories from the root to `path`, both included, as far as they exist. */
  private directoriesOf(path: BytePath): MergedDirectory[] {
    const result = [this.root];
    for (const name of componentsOf(path)) {
      const found = this.child(result.at(-1) ?? this.root, name);
      if (found.kind !== 'directory') break;
      result.push(found.directory);
    }
    return result;
  }

  /** What `name` is in a directory of the view. */
  child(directory: MergedDirectory, name: BytePath): Found {
    const path = joinPath(directory.path, name);
    const cached = this.cache.get(path);
    if (cached !== undefined) return { kind: 'directory', directory: cached };
    const fds: number[] = [];
    const layers: number[] = [];
    for (const [i, fd] of directory.fds.entries()) {
      const layer = directory.layers[i] ?? -1;
      const stat = calls.stat(fd, name);
      if (typeof stat === 'number') {
        if (stat === -errno.ENOENT) continue;
        throw unpackError('look at', path, stat);
      }
      if (stat.type !== S_IFDIR) {
        // A file below a directory ends the merge; a whiteout above it hides everything.
        if (fds.length > 0 || isWhiteout(stat)) break;
        return { kind: 'other', layer, fd, name, stat };
      }
      fds.push(checkCall(calls.openDirectory(fd, name), 'openat', path));
      layers.push(layer);
      if (isOpaque(fd, name)) break;
    }
    if (fds.length === 0) return { kind: 'absent' };
    const found = { path, fds, layers };
    this.handles += fds.length;
    this.cache.set(path, found);
    return { kind: 'directory', directory: found };
  }
}

function componentsOf(path: BytePath): BytePath[] {
  return path.split('/').filter((part) => part !== '' && part !== '.');
}

/** As overlayfs marks what is gone: a character device 0:0. */
export function isWhiteout(stat: calls.Stat): boolean {
  return stat.type === S_IFCHR && stat.major === 0 && stat.minor === 0;
}

/** Whether the directory `name` hides what lower layers have in it. */
export function isOpaque(fd: number, name: BytePath): boolean {
  const value = calls.getXattr(fd, name, opaqueXattr);
  return typeof value === 'object' && value.toString('latin1') === 'y';
}
