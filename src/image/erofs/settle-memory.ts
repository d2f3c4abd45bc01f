/**
 * Fits a layer that is still in memory onto those below it: what `settleLayer` does on disk (unpack/settle.ts says by which
 * rules), but for what needs files of other layers, which makes the layer `Unfit`: hard links to them, and directories that
 * move to where a link of theirs leads.
 */
import { S_IFLNK } from '../../linux/constants.ts';
import type { BytePath } from '../unpack/byte-path.ts';
import type { DeferredEntry } from '../unpack/deferred.ts';
import type { LayerDirectory } from '../unpack/directory-tree.ts';
import { Hidden } from '../unpack/hidden.ts';
import { splitLast } from '../unpack/layer-access.ts';
import { MergedView } from '../unpack/merged-view.ts';
import { attributesOf, pruneImplied, unknownDirectory } from '../unpack/settle.ts';
import { whiteout } from './inode.ts';
import { addMember, isTaken } from './memory-tree.ts';
import { Unfit } from './unfit.ts';

/** Completes a tree. `lowers`: directories of the layers below, the lowest first. Throws `Unfit`, and what reading them throws. */
export function settleInMemory(
  root: LayerDirectory,
  deferred: readonly DeferredEntry[],
  lowers: readonly string[],
): void {
  if (deferred.length === 0) return;
  if (deferred.some(({ kind }) => kind === 'hardlink')) throw new Unfit('a hard link to what another layer has');
  const lower = new MergedView(lowers.toReversed());
  try {
    new Settlement(root, lower, new Hidden(deferred)).run(deferred);
  } finally {
    lower.close();
  }
}

class Settlement {
  constructor(
    private readonly root: LayerDirectory,
    private readonly lower: MergedView,
    private readonly hidden: Hidden,
  ) {}

  run(deferred: readonly DeferredEntry[]): void {
    for (const { kind, path } of deferred) {
      if (kind === 'directory' && this.isLinkBelow(path))
        throw new Unfit('a directory that a lower layer has as a link');
      // From here on it says what the directory is, no more what the archive said.
      const node = this.directory(path);
      if (kind === 'opaque' && node !== undefined) node.opaque = false;
    }
    for (const { kind, path } of deferred) {
      if (kind === 'whiteout') this.whiteout(path, this.hidden.above(path));
      else if (kind === 'opaque') this.makeOpaque(path);
    }
    const kept = pruneImplied(deferred, {
      isBelow: (path) => this.lowerDirectory(path) !== undefined,
      removeEmpty: (path) => this.removeEmpty(path),
    });
    for (const path of kept) this.describe(path);
  }

  private directory(path: BytePath): LayerDirectory | undefined {
    let at: LayerDirectory | undefined = this.root;
    for (const name of path === '' ? [] : path.split('/')) at = at?.children?.get(name);
    return at;
  }

  private isLinkBelow(path: BytePath): boolean {
    if (path === '' || this.hidden.at(path)) return false;
    const found = this.lower.lookup(path);
    return found.kind === 'other' && found.stat.type === S_IFLNK;
  }

  private whiteout(path: BytePath, hidden: boolean): void {
    if (hidden || this.lower.lookup(path).kind === 'absent') return;
    const [parent, name] = splitLast(path);
    const node = this.directory(parent);
    if (node === undefined) return;
    const child = node.children?.get(name);
    if (child !== undefined) child.opaque = true;
    else if (!isTaken(node, name)) addMember(node, name, whiteout());
  }

  private makeOpaque(path: BytePath): void {
    if (path === '') {
      // The root of a layer cannot be opaque in overlayfs.
      for (const name of this.lower.rootNames()) this.whiteout(name, false);
      return;
    }
    if (this.hidden.above(path) || this.lower.lookup(path).kind !== 'directory') return;
    const node = this.directory(path);
    if (node !== undefined) node.opaque = true;
  }

  private removeEmpty(path: BytePath): boolean {
    const node = this.directory(path);
    if (node === undefined || (node.children?.size ?? 0) > 0 || (node.members?.size ?? 0) > 0) return false;
    node.parent?.children?.delete(node.name);
    return true;
  }

  /** A handle of the lower layers' directory at `path`, valid until the next lookup. */
  private lowerDirectory(path: BytePath): number | undefined {
    if (this.hidden.at(path)) return undefined;
    const found = this.lower.lookup(path);
    return found.kind === 'directory' ? found.directory.fds[0] : undefined;
  }

  private describe(path: BytePath): void {
    const node = this.directory(path);
    if (node === undefined) return;
    const lower = this.lowerDirectory(path);
    node.attributes = lower === undefined ? unknownDirectory : attributesOf(lower, path);
  }
}
