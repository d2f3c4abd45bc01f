/**
 * `tmpcopyup`: a tmpfs begins with what the root has at its place. The copy is made from outside before anything of the
 * container runs, from descriptor to descriptor: links of the root lead nowhere else.
 */
import {
  chmodSync,
  constants,
  copyFileSync,
  lchownSync,
  lstatSync,
  lutimesSync,
  mkdirSync,
  readdirSync,
  readlinkSync,
  symlinkSync,
} from 'node:fs';
import { join } from 'node:path';
import { O_DIRECTORY, O_PATH, RESOLVE_IN_ROOT } from '../linux/constants.ts';
import { AT_FDCWD, close, openat, openat2 } from '../linux/fs.ts';
import type { Mount } from '../runtime/spec.ts';

/** Copies what the mount hides in `rootfs` into the mount, as the process `pid` sees it. */
export function copyUp(rootfs: string, pid: number, { destination }: Mount): void {
  const from = openBelow(rootfs, destination);
  if (from < 0) return;
  const to = openBelow(`/proc/${pid}/root`, destination);
  try {
    if (to >= 0) copyTree(`/proc/self/fd/${from}`, `/proc/self/fd/${to}`);
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

function copyTree(from: string, to: string): void {
  for (const name of readdirSync(`${from}/.`)) {
    const [source, target] = [join(from, name), join(to, name)];
    const stat = lstatSync(source);
    if (stat.isSymbolicLink()) symlinkSync(readlinkSync(source), target);
    else if (stat.isDirectory()) {
      mkdirSync(target);
      copyTree(source, target);
    } else if (stat.isFile()) copyFileSync(source, target, constants.COPYFILE_EXCL);
    else continue;
    lchownSync(target, stat.uid, stat.gid);
    if (!stat.isSymbolicLink()) chmodSync(target, stat.mode & 0o7777);
    lutimesSync(target, stat.atime, stat.mtime);
  }
}
