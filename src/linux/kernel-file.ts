/**
 * Reading files that the kernel makes as they are read (proc(5), sysfs(5), cgroups(7)), whose size is told as 0. Not by
 * readFileSync: lists read them by the hundred, and it makes five calls where three do; and see own-file.ts.
 */
import { closeSync, openSync, readSync } from 'node:fs';
import { readFully } from './read-fully.ts';

const buffer = Buffer.alloc(4096);

/** The content of one that fits into one read, cut off at 4096 bytes; undefined where it is not there or cannot be read. */
export function readOnce(path: string): string | undefined {
  let fd: number;
  try {
    fd = openSync(path, 'r');
  } catch {
    return undefined;
  }
  try {
    return buffer.toString('latin1', 0, readSync(fd, buffer, 0, buffer.length, null));
  } catch {
    // Gone since it was opened: ESRCH of proc, ENODEV of cgroupfs.
    return undefined;
  } finally {
    closeSync(fd);
  }
}

/** The whole content, in however many pieces it comes. Throws what `fs.openSync` and `fs.readSync` throw. */
export function readKernelText(path: string): string {
  const fd = openSync(path, 'r');
  try {
    let bytes = Buffer.alloc(buffer.length);
    let fill = readFully(fd, bytes);
    while (fill === bytes.length) {
      bytes = Buffer.concat([bytes, Buffer.alloc(bytes.length)]);
      fill += readFully(fd, bytes.subarray(fill));
    }
    return bytes.toString('utf8', 0, fill);
  } finally {
    closeSync(fd);
  }
}
