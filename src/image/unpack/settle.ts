/**
 * Fits an unpacked layer onto those below it, in order from the lowest layer up. Layers are unpacked side by side, so
 * whatever depends on lower ones waits for this:
 *
 *   implied directory   takes mode, owner, times and attributes of the lower one; 0755 root:root at the epoch where there
 *                       is none; moves to where a lower symbolic link leads; hides a lower file; vanishes again if it
 *                       holds nothing but whiteouts and lower layers have no such directory
 *   hard link           to a file of this layer that came later: a link; to one of a lower layer: a copy of it
 *   whiteout            a character device 0:0, if lower layers have the name and this layer does not; on a directory of
 *                       this layer: the directory is opaque. A whiteout that hides nothing is left out, because overlayfs
 *                       shows it as a broken name in a directory that is not merged
 *   opaque directory    trusted.overlay.opaque, if lower layers have the directory; the root, which cannot be opaque in
 *                       overlayfs, gets a whiteout for every name instead
 */
import { S_IFCHR, S_IFDIR } from '../../linux/constants.ts';
import { errno } from '../../linux/errno.ts';
import { archiveError, type BytePath, printable } from './byte-path.ts';
import * as calls from './calls.ts';
import { copyNode, readXattrs } from './copy-node.ts';
import type { DeferredEntry } from './deferred.ts';
import { setDirectoryAttributes } from './directory-attributes.ts';
import type { Attributes } from './entry.ts';
import { unpackError } from './failures.ts';
import { Hidden } from './hidden.ts';
import { LayerAccess, splitLast } from './layer-access.ts';
import { MergedView } from './merged-view.ts';
import { relocateDirectories } from './relocate.ts';
import { opaqueXattr } from './whiteout.ts';

export interface SettleOptions {
  /** The layer, as `LayerWriter` left it. */
  directory: string;
  /** The layers below it, all settled, the lowest first (the order of a manifest). */
  lowers: readonly string[];
  /** What `LayerWriter` left to do. */
  deferred: readonly DeferredEntry[];
  /** The layer's own directory, if its archive is remembered there. */
  archive?: string | undefined;
}

/** Completes a layer. Throws `ARCHIVE` for a hard link to nothing, `NO_SPACE` and others; then the layer is unusable. */
export function settleLayer({ directory, lowers, deferred, archive }: SettleOptions): void {
  if (deferred.length === 0) return;
  const below = lowers.toReversed();
  const layer = new LayerAccess(directory);
  let lower: MergedView | undefined;
  let whole: MergedView | undefined;
  try {
    lower = new MergedView(below);
    whole = new MergedView([directory, ...below]);
    new Settlement(layer, lower, whole, archive).run(deferred);
  } finally {
    whole?.close();
    lower?.close();
    layer.close();
  }
}

export const unknownDirectory: Attributes = {
  mode: 0o755,
  uid: 0,
  gid: 0,
  mtime: { seconds: 0, nanoseconds: 0 },
  atime: undefined,
  xattrs: undefined,
};

/**
 * Removes directories that nothing but useless whiteouts implied; returns the other implied ones. `removeEmpty` says whether
 * it could.
 */
export function pruneImplied(
  entries: readonly DeferredEntry[],
  tree: { isBelow: (path: BytePath) => boolean; removeEmpty: (path: BytePath) => boolean },
): BytePath[] {
  const kept: BytePath[] = [];
  for (const entry of entries.toReversed()) {
    if (entry.kind !== 'directory') continue;
    const { bare, path } = entry;
    const useless = bare && path !== '' && !tree.isBelow(path);
    if (!useless || !tree.removeEmpty(path)) kept.push(path);
  }
  return kept;
}

/** What a directory of a lower layer is, for one that is implied over it. `path` is for messages. */
export function attributesOf(fd: number, path: BytePath): Attributes {
  const stat = calls.stat(fd, '');
  if (typeof stat === 'number') throw unpackError('look at the lower', path, stat);
  const { mode, uid, gid, mtime, atime } = stat;
  return { mode, uid, gid, mtime, atime, xattrs: readXattrs({ fd, name: '.' }) };
}

class Settlement {
  private hidden = new Hidden([]);

  constructor(
    private readonly layer: LayerAccess,
    private readonly lower: MergedView,
    private readonly whole: MergedView,
    private readonly archive: string | undefined,
  ) {}

  run(deferred: readonly DeferredEntry[]): void {
    const { layer, lower, whole, archive } = this;
    const entries = relocateDirectories(deferred, { layer, lower, whole, archive, hidden: new Hidden(deferred) });
    this.hidden = new Hidden(entries);
    this.whole.forget();
    this.linkAll(entries);
    for (const entry of entries) {
      if (entry.kind === 'whiteout') this.whiteout(entry.path);
      else if (entry.kind === 'opaque') this.makeOpaque(entry.path);
    }
    const kept = pruneImplied(entries, {
      isBelow: (path) => this.lowerDirectory(path) !== undefined,
      removeEmpty: (path) => this.removeEmpty(path),
    });
    layer.restoreTimes();
    for (const path of kept) this.describe(path);
  }

  private linkAll(entries: readonly DeferredEntry[]): void {
    // Links to one file of a lower layer share one copy.
    const copies = new Map<BytePath, BytePath>();
    for (const entry of entries) {
      if (entry.kind !== 'hardlink') continue;
      const copy = copies.get(entry.target);
      if (copy === undefined) {
        if (this.linkOrCopy(entry.path, entry.target)) copies.set(entry.target, entry.path);
      } else {
        const [from, name] = splitLast(copy);
        this.layer.directory(from, (fd) => this.link(fd, name, entry.path));
      }
    }
  }

  /** Returns whether it was a copy. */
  private linkOrCopy(path: BytePath, target: BytePath): boolean {
    const place = this.whole.resolve('', target, false);
    const found =
      place === undefined || place === 'root' || place.rest.length > 0
        ? undefined
        : this.whole.child(place.directory, place.name);
    if (found === undefined || found.kind === 'absent') {
      throw archiveError(
        path,
        `is a hard link to ${printable(target)}, which neither this layer nor those below it have`,
      );
    }
    if (found.kind === 'directory') throw archiveError(path, 'is a hard link to a directory');
    if (found.layer === 0) {
      this.link(found.fd, found.name, path);
      return false;
    }
    const [parent, name] = splitLast(path);
    this.layer.directory(parent, (fd) => {
      this.layer.touch(parent, fd);
      copyNode(found, found.stat, { fd, name }, path);
    });
    return true;
  }

  private link(fromFd: number, from: BytePath, path: BytePath): void {
    const [parent, name] = splitLast(path);
    this.layer.directory(parent, (fd) => {
      this.layer.touch(parent, fd);
      const result = calls.link(fromFd, from, fd, name);
      if (result < 0) throw unpackError('link', path, result);
    });
  }

  private whiteout(path: BytePath): void {
    if (this.hidden.above(path) || this.lower.lookup(path).kind === 'absent') return;
    const [parent, name] = splitLast(path);
    this.layer.tryDirectory(parent, (fd) => {
      const existing = calls.stat(fd, name);
      if (existing === -errno.ENOENT) {
        this.layer.touch(parent, fd);
        const result = calls.makeNode(fd, name, S_IFCHR, 0, 0);
        if (result < 0) throw unpackError('make the whiteout', path, result);
      } else if (typeof existing === 'number') {
        throw unpackError('look at', path, existing);
      } else if (existing.type === S_IFDIR) {
        this.setOpaque(fd, name, path);
      }
    });
  }

  private makeOpaque(path: BytePath): void {
    if (path === '') {
      for (const name of this.lower.rootNames()) this.whiteoutInRoot(name);
      return;
    }
    if (this.hidden.above(path) || this.lower.lookup(path).kind !== 'directory') return;
    this.layer.tryDirectory(path, (fd) => this.setOpaque(fd, '.', path));
  }

  /** The root hides everything below, and so this one name, whatever else is said about it. */
  private whiteoutInRoot(name: BytePath): void {
    const { hidden } = this;
    this.hidden = new Hidden([]);
    this.whiteout(name);
    this.hidden = hidden;
  }

  private setOpaque(fd: number, name: BytePath, path: BytePath): void {
    const result = calls.setXattr(fd, name, opaqueXattr, Buffer.from('y'));
    if (result < 0) throw unpackError('make opaque', path, result);
  }

  private removeEmpty(path: BytePath): boolean {
    const [parent, name] = splitLast(path);
    return this.layer.directory(parent, (fd) => {
      this.layer.touch(parent, fd);
      const result = calls.removeDirectory(fd, name);
      if (result < 0 && result !== -errno.ENOTEMPTY) throw unpackError('remove', path, result);
      return result === 0;
    });
  }

  /** A handle of the lower layers' directory at `path`, valid until the next lookup. */
  private lowerDirectory(path: BytePath): number | undefined {
    if (this.hidden.at(path)) return undefined;
    const found = this.lower.lookup(path);
    return found.kind === 'directory' ? found.directory.fds[0] : undefined;
  }

  private describe(path: BytePath): void {
    const lower = this.lowerDirectory(path);
    const attributes = lower === undefined ? unknownDirectory : attributesOf(lower, path);
    this.layer.directory(path, (fd) => setDirectoryAttributes(fd, '.', path, attributes));
  }
}
