/** What a layer leaves to `settleLayer`, because it depends on the layers below; plain data that can be sent or stored. */
import { type BytePath, joinPath } from './byte-path.ts';
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
  deferred: DeferredEntry[];
}

/** What the directories of a finished layer leave to do. */
export function collectDeferred(root: LayerDirectory): DeferredEntry[] {
  const deferred: DeferredEntry[] = [];
  for (const node of preorder(root)) {
    const { attributes, links, opaque, wanted, whiteouts } = node;
    if (attributes !== undefined && !opaque && whiteouts === undefined && links === undefined) continue;
    const path = node.path;
    if (attributes === undefined) deferred.push({ kind: 'directory', path, bare: !wanted });
    if (opaque) deferred.push({ kind: 'opaque', path });
    for (const name of whiteouts ?? []) deferred.push({ kind: 'whiteout', path: joinPath(path, name) });
    for (const [name, target] of links ?? []) deferred.push({ kind: 'hardlink', path: joinPath(path, name), target });
  }
  return deferred;
}
