/** Gives directories their owners, modes, attributes and times when nothing will be made in them any more. */
import { O_DIRECTORY, O_NOFOLLOW, O_RDONLY } from '../../linux/constants.ts';
import { setXattrs } from './attributes.ts';
import type { BytePath } from './byte-path.ts';
import * as calls from './calls.ts';
import { type DirectoryTree, type LayerDirectory, preorder } from './directory-tree.ts';
import type { Attributes } from './entry.ts';
import { unpackError } from './failures.ts';

/**
 * Applies what entries said about directories, the deepest first: to change a directory does not change the times of the
 * one above it, and one that may not be entered any more is not entered any more. `made`: who owns them now.
 */
export function finishDirectories(tree: DirectoryTree, made: { uid: number; gid: number }): void {
  const nodes = preorder(tree.root);
  for (let i = nodes.length - 1; i >= 0; i--) {
    const node = nodes[i] as LayerDirectory;
    if (node.attributes === undefined) continue;
    const current = { mode: node.madeWith, ...made };
    const parent = node.parent === undefined ? tree.handle(node) : tree.handle(node.parent);
    setDirectoryAttributes(parent, node.parent === undefined ? '.' : node.name, node.path, node.attributes, current);
  }
}

/**
 * Sets the attributes of the directory `name` in the directory `parent` (`.`: of `parent` itself), sparing the calls that
 * would change nothing if `current` is given. `path` is for messages.
 */
export function setDirectoryAttributes(
  parent: number,
  name: BytePath,
  path: BytePath,
  wanted: Attributes,
  current?: { mode: number; uid: number; gid: number },
): void {
  const must = (result: number, action: string) => {
    if (result < 0) throw unpackError(action, path, result);
    return result;
  };
  if (current === undefined || wanted.uid !== current.uid || wanted.gid !== current.gid) {
    must(calls.changeOwner(parent, name, wanted.uid, wanted.gid), 'set the owner of');
  }
  if (current === undefined || wanted.mode !== current.mode) {
    const fd = must(calls.openName(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0), 'open');
    const result = calls.changeOpenMode(fd, wanted.mode);
    calls.closeDescriptor(fd);
    must(result, 'set the mode of');
  }
  setXattrs(parent, name, path, wanted.xattrs);
  must(calls.setTimes(parent, name, wanted.atime ?? wanted.mtime, wanted.mtime), 'set the times of');
}
