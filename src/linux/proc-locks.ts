/**
 * Which files somebody holds a lock of an open file description on (man 5 proc_locks; man 2 fcntl, "Open file description
 * locks"): one file tells all of them. A flock(2) is there too, but not where its taker has ended in another pid namespace.
 */
import { statSync } from 'node:fs';
import { readKernelText } from './kernel-file.ts';

/** A file as /proc/locks names it: device and inode, `00:1a:4711`. Undefined where it is not there. */
export function lockName(path: string): string | undefined {
  const stats = statSync(path, { throwIfNoEntry: false });
  if (stats === undefined) return undefined;
  const { dev, ino } = stats;
  const major = (dev >>> 8) & 0xfff;
  const minor = (dev & 0xff) | ((dev >>> 12) & 0xfff00);
  const two = (value: number): string => value.toString(16).padStart(2, '0');
  return `${two(major)}:${two(minor)}:${ino}`;
}

/** The names of the files with such a lock; none where /proc does not tell. */
export function heldLocks(): Set<string> {
  const held = new Set<string>();
  for (const [, name = ''] of readLocks().matchAll(/ OFDLCK .* ([0-9a-f]+:[0-9a-f]+:\d+) /g)) held.add(name);
  return held;
}

function readLocks(): string {
  try {
    return readKernelText('/proc/locks');
  } catch {
    return '';
  }
}
