/** What a layer leaves to `settleLayer`, because it depends on the layers below; plain data that can be sent or stored. */
import { archiveError, type BytePath, joinPath } from './byte-path.ts';
import { type LayerDirectory, preorder } from './directory-tree.ts';

/** Paths are relative to the layer, one character per byte; `''` is the layer itself. Parents precede what is in them. */
export type DeferredEntry =
  /** A directory that entries only imply. `bare`: nothing but whiteouts is in it. */
  | { kind: 'directory'; path: BytePath; bare: boolean }
  /** `path` of the lower layers is hidden. */
  | { kind: 'whiteout'; path: BytePath }
  /** What the lower layers have in the directory `path` is hidden. */
  | { kind: 'opaque'; path: BytePath }
  /** `path` is a hard link to `target`, which this layer did not have when the entry came. */
  | { kind: 'hardlink'; path: BytePath; target: BytePath };

/** What unpacking one layer came to. */
export interface UnpackedLayer {
  /** `sha256:` and the digest of the inflated archive. */
  diffId: string;
  /** Bytes of file contents written. */
  bytes: number;
  /** Members of the archive, markers included. */
  entries: number;
  /** Bytes of the inflated archive. */
  archiveSize: number;
  deferred: DeferredEntry[];
}

/**
 * All paths of these together, in bytes: one entry of 2,000 nested directories would else become megabytes, and a small
 * archive the whole memory.
 */
const deferredMax = 16 * 1024 * 1024;

/** What the directories of a finished layer leave to do. Throws `ARCHIVE` when that is more than any layer needs. */
export function collectDeferred(root: LayerDirectory): DeferredEntry[] {
  const deferred: DeferredEntry[] = [];
  let size = 0;
  const add = (entry: DeferredEntry) => {
    size += entry.path.length + (entry.kind === 'hardlink' ? entry.target.length : 0);
    if (size > deferredMax) throw archiveError(entry.path, 'is one of too many that depend on other layers');
    deferred.push(entry);
  };
  for (const node of preorder(root)) {
    const { attributes, links, opaque, wanted, whiteouts } = node;
    if (attributes !== undefined && !opaque && whiteouts === undefined && links === undefined) continue;
    const path = node.path;
    if (attributes === undefined) add({ kind: 'directory', path, bare: !wanted });
    if (opaque) add({ kind: 'opaque', path });
    for (const name of whiteouts ?? []) add({ kind: 'whiteout', path: joinPath(path, name) });
    for (const [name, target] of links ?? []) add({ kind: 'hardlink', path: joinPath(path, name), target });
  }
  return deferred;
}
