/** Directories that serve as locks (man 2 flock): who has one of them is at work on what is in it. */
import { fstatSync, statSync } from 'node:fs';
import { O_DIRECTORY, O_RDONLY } from '../linux/constants.ts';
import { errno, SyscallError } from '../linux/errno.ts';
import { AT_FDCWD, close, flock, openat } from '../linux/fs.ts';

/** Something that is held until it is released; closing the last copy of the descriptor releases it too. */
export interface Lock {
  fd: number;
  release(): void;
}

/** Opens a directory; undefined where there is none. */
export function openDirectory(path: string): number | undefined {
  try {
    return openat(AT_FDCWD, path, O_RDONLY | O_DIRECTORY);
  } catch (error) {
    if (error instanceof SyscallError && error.errno === errno.ENOENT) return undefined;
    throw error;
  }
}

/** Whether a path is still what was opened: a lock on what has no name any more is none. */
export function isStill(fd: number, path: string): boolean {
  const opened = fstatSync(fd);
  const named = statSync(path, { throwIfNoEntry: false });
  return opened.ino === named?.ino && opened.dev === named.dev;
}

/** Locks a directory; undefined where there is none, or where somebody else has it and `wait` is false. */
export function lockDirectory(path: string, wait: boolean): Lock | undefined {
  for (;;) {
    const fd = openDirectory(path);
    if (fd === undefined) return undefined;
    try {
      if (flock(fd, 'exclusive', wait)) {
        if (isStill(fd, path)) return { fd, release: () => close(fd) };
        close(fd);
        continue;
      }
    } catch (error) {
      close(fd);
      throw error;
    }
    close(fd);
    return undefined;
  }
}
