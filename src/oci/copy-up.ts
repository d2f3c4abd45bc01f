/**
 * `tmpcopyup`: a tmpfs begins with what the root has at its place. The copy is made from outside before anything of the
 * container runs, from descriptor to descriptor: whoever shares the root may put links into it meanwhile, and they lead nowhere.
 */
import { sortedNames } from '../image/archive/tree.ts';
import { type BytePath, bytePath, joinPath } from '../image/unpack/byte-path.ts';
import * as calls from '../image/unpack/calls.ts';
import { copyNode, readXattrs } from '../image/unpack/copy-node.ts';
import { setDirectoryAttributes } from '../image/unpack/directory-attributes.ts';
import { checkCall, checkStat } from '../image/unpack/failures.ts';
import { O_DIRECTORY, O_PATH, RESOLVE_IN_ROOT, S_IFDIR, S_IFLNK, S_IFREG } from '../linux/constants.ts';
import { AT_FDCWD, close, openat, openat2 } from '../linux/fs.ts';
import type { Mount } from '../runtime/spec.ts';

/** Copies what the mount hides in `rootfs` into the mount, as the process `pid` sees it. */
export function copyUp(rootfs: string, pid: number, { destination }: Mount): void {
  const from = openBelow(rootfs, destination);
  if (from < 0) return;
  const to = openBelow(`/proc/${pid}/root`, destination);
  try {
    if (to >= 0) copyTree(from, to, bytePath(destination));
  } finally {
    close(from);
    close(to);
  }
}

/** Opens a directory below another, whose links cannot lead out of it; negative: there is none. */
export function openBelow(directory: string, path: string): number {
  let root = -1;
  try {
    root = openat(AT_FDCWD, directory, O_PATH);
    return openat2(root, path.replace(/^\/+/, '') || '.', O_PATH | O_DIRECTORY, RESOLVE_IN_ROOT);
  } catch {
    return -1;
  } finally {
    close(root);
  }
}

/** Copies directories, files and links from one open directory into another, which is empty. `path` is for messages. */
export function copyTree(from: number, to: number, path: BytePath): void {
  for (const name of namesOf(from, path)) {
    const inner = joinPath(path, name);
    const stat = checkStat(calls.stat(from, name), inner);
    if (stat.type === S_IFDIR) copyDirectory({ fd: from, name }, stat, to, inner);
    else if (stat.type === S_IFREG || stat.type === S_IFLNK)
      copyNode({ fd: from, name }, stat, { fd: to, name }, inner);
  }
}

function namesOf(directory: number, path: BytePath): BytePath[] {
  const fd = checkCall(calls.openBeneath(directory, ''), 'openat2', path);
  try {
    return sortedNames(fd, path);
  } finally {
    calls.closeDescriptor(fd);
  }
}

function copyDirectory(from: { fd: number; name: BytePath }, stat: calls.Stat, to: number, path: BytePath): void {
  const { name } = from;
  checkCall(calls.makeDirectory(to, name, 0o700), 'mkdirat', path);
  const source = checkCall(calls.openDirectory(from.fd, name), 'openat', path);
  try {
    const target = checkCall(calls.openDirectory(to, name), 'openat', path);
    try {
      copyTree(source, target, path);
    } finally {
      calls.closeDescriptor(target);
    }
    setDirectoryAttributes(to, name, path, { ...stat, xattrs: readXattrs({ fd: source, name: '.' }) });
  } finally {
    calls.closeDescriptor(source);
  }
}
