/**
 * Removes a directory with all that is in it, without following a link or leaving the filesystem (man 2 unlinkat): a
 * directory is opened only as one that is no mount point. Descriptors stay few however deep the tree is.
 */
import { basename, dirname } from 'node:path';
import { AT_FDCWD, O_DIRECTORY, O_PATH } from '../../linux/constants.ts';
import { errno, SyscallError } from '../../linux/errno.ts';
import { type BytePath, bytePath } from './byte-path.ts';
import {
  closeDescriptor,
  listDirectory,
  openName,
  openUnmounted,
  removeDirectory,
  renameNew,
  unlinkFile,
} from './calls.ts';
import { checkCall } from './failures.ts';

/** Directories below this depth are moved to the top first: then neither descriptors nor the stack can run out. */
const depthMax = 64;

/**
 * Removes `path` (a file, a link or a directory with all its contents); nothing happens if it is not there. Others may be
 * at work on the same tree: what a killed command left is taken away by whoever comes first.
 */
export function removeTree(path: string): void {
  const parent = openName(AT_FDCWD, bytePath(dirname(path)), O_PATH | O_DIRECTORY, 0);
  if (parent === -errno.ENOENT) return;
  checkCall(parent, 'openat', bytePath(dirname(path)));
  try {
    removeTreeAt(parent, bytePath(basename(path)));
  } finally {
    closeDescriptor(parent);
  }
}

/** `removeTree` for the name `name` in the directory `parent`, with the name as bytes. Throws `SyscallError`. */
export function removeTreeAt(parent: number, name: BytePath): void {
  const result = unlinkFile(parent, name);
  if (result === 0 || result === -errno.ENOENT) return;
  if (result !== -errno.EISDIR && result !== -errno.EPERM) checkCall(result, 'unlinkat', name);
  new Removal(parent, name).run();
}

class Removal {
  private moved = 0;
  private top = -1;

  constructor(
    private readonly parent: number,
    private readonly name: BytePath,
  ) {}

  run(): void {
    this.top = this.open(this.parent, this.name);
    if (this.top < 0) return;
    try {
      let before: number;
      do {
        before = this.moved;
        this.empty(this.top, 0);
      } while (this.moved !== before);
    } finally {
      closeDescriptor(this.top);
    }
    checkGone(removeDirectory(this.parent, this.name), 'unlinkat', this.name);
  }

  /** Negative where it is gone already. */
  private open(directory: number, name: BytePath): number {
    const fd = openUnmounted(directory, name);
    if (fd === -errno.EXDEV) {
      throw new SyscallError('unlinkat', errno.EBUSY, name, {
        hint: 'something is mounted there; unmount it',
      });
    }
    return checkGone(fd, 'openat2', name);
  }

  /** Removes everything in `fd`; what is too deep is moved up to the top instead. */
  private empty(fd: number, depth: number): void {
    const names = listDirectory(fd);
    if (typeof names === 'number') {
      checkGone(names, 'getdents64', this.name);
      return;
    }
    for (const { name, isDirectory } of names) {
      if (isDirectory !== true) {
        const result = unlinkFile(fd, name);
        if (result === 0 || result === -errno.ENOENT) continue;
        if (isDirectory === false || (result !== -errno.EISDIR && result !== -errno.EPERM)) {
          checkCall(result, 'unlinkat', name);
        }
      }
      this.removeDirectory(fd, name, depth);
    }
  }

  private removeDirectory(fd: number, name: BytePath, depth: number): void {
    // An empty directory needs no look into it.
    const result = removeDirectory(fd, name);
    if (result === 0 || result === -errno.ENOENT) return;
    if (result !== -errno.ENOTEMPTY && result !== -errno.EEXIST) checkCall(result, 'unlinkat', name);
    if (depth >= depthMax) {
      this.moveToTop(fd, name);
      return;
    }
    const inner = this.open(fd, name);
    if (inner < 0) return;
    try {
      this.empty(inner, depth + 1);
    } finally {
      closeDescriptor(inner);
    }
    checkGone(removeDirectory(fd, name), 'unlinkat', name);
  }

  private moveToTop(fd: number, name: BytePath): void {
    let result = -errno.EEXIST;
    // Whoever made the tree may have taken names of this form.
    for (let attempt = 0; attempt < 10_000 && result === -errno.EEXIST; attempt++) {
      this.moved++;
      result = renameNew(fd, name, this.top, `.removing-${this.moved}`);
    }
    checkGone(result, 'renameat2', name);
  }
}

/** `checkCall`, but that somebody else was faster is no failure. */
function checkGone(result: number, call: Parameters<typeof checkCall>[1], name: BytePath): number {
  return result === -errno.ENOENT ? result : checkCall(result, call, name);
}
