/**
 * Reading what others have written, below a root that is theirs: links lead nowhere out of it (man 2 openat2,
 * RESOLVE_IN_ROOT), and what is no ordinary file is not opened.
 */
import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';
import { O_PATH, RESOLVE_IN_ROOT, RESOLVE_NO_MAGICLINKS } from './constants.ts';
import { SyscallError } from './errno.ts';
import { close, openat2 } from './fs.ts';

/** Bytes of a file that are looked at: passwd files of large organisations have one. */
const maxBytes = 1024 * 1024;

/** The text of a regular file below an open root; undefined for whatever else is there, and where nothing is. */
export function readTextIn(root: number, path: string): string | undefined {
  let found: number;
  try {
    // Without opening it: a fifo would wait, a device could do anything.
    found = openat2(root, path, O_PATH, RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS);
  } catch (error) {
    if (error instanceof SyscallError) return undefined;
    throw error;
  }
  try {
    if (!fstatSync(found).isFile()) return undefined;
    const fd = openSync(`/proc/self/fd/${found}`, constants.O_RDONLY | constants.O_NONBLOCK);
    try {
      const buffer = Buffer.alloc(Math.min(fstatSync(fd).size, maxBytes));
      return buffer.toString('utf8', 0, readSync(fd, buffer, 0, buffer.length, 0));
    } finally {
      closeSync(fd);
    }
  } finally {
    close(found);
  }
}
