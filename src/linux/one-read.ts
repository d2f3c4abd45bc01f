/**
 * Files of proc and cgroupfs that are made anew for each reader and fit into one read (man 5 proc, /proc/PID/stat;
 * cgroup.events): three calls each instead of readFileSync's five, since lists read them by the hundred.
 */
import { closeSync, openSync, readSync } from 'node:fs';

const buffer = Buffer.alloc(4096);

/** The content, cut off at 4096 bytes; undefined where the file is not there or cannot be read. */
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
