/** Reading and writing the files of cgroupfs, and waiting for what they tell (cgroup-v2.rst, "Core Interface Files"). */
import { constants, openSync, readFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { POLLERR } from '../linux/constants.ts';
import { errno } from '../linux/errno.ts';
import { syscall } from '../linux/ffi.ts';
import { close } from '../linux/fs.ts';
import { readOnce } from '../linux/kernel-file.ts';

/** poll.h: a file of cgroupfs changed since it was read. */
const POLLPRI = 2;

/** Writes to a file that is there; O_CREAT, which node:fs would add, is refused by cgroupfs. Throws node:fs's errors. */
export function writeControl(path: string, value: string): void {
  const fd = openSync(path, constants.O_WRONLY);
  try {
    writeSync(fd, value);
  } finally {
    close(fd);
  }
}

/** The content without the last newline; undefined where the file is not there or cannot be read. */
export function readControl(path: string): string | undefined {
  try {
    return readFileSync(path, 'latin1').trimEnd();
  } catch {
    return undefined;
  }
}

/** `key value` lines as in cgroup.events and memory.stat. */
export function parseKeyed(text: string | undefined): Record<string, number> {
  const values: Record<string, number> = {};
  for (const line of (text ?? '').split('\n')) {
    const [key, value] = line.split(' ');
    if (key && value !== undefined) values[key] = Number(value);
  }
  return values;
}

/** Whether the cgroup is frozen, completely. */
export function isFrozen(path: string): boolean {
  return readOnce(`${path}/cgroup.events`)?.includes('frozen 1') === true;
}

/**
 * Waits until `key` of cgroup.events has `value`; at most `milliseconds`. Returns whether it came so; true also when the
 * cgroup is gone. The kernel wakes the poll when the file changes; between reading and polling nothing gets lost, since
 * an open file remembers what was read from it.
 */
export function waitForEvent(cgroup: string, key: 'populated' | 'frozen', value: 0 | 1, milliseconds: number): boolean {
  const deadline = performance.now() + milliseconds;
  let fd: number;
  try {
    fd = openSync(join(cgroup, 'cgroup.events'), constants.O_RDONLY);
  } catch {
    return true;
  }
  try {
    const text = Buffer.alloc(256);
    for (;;) {
      const length = syscall('pread64', fd, text, text.length, 0);
      if (length === -errno.ENODEV) return true;
      const events = parseKeyed(text.toString('latin1', 0, Math.max(0, length)));
      if (events[key] === value) return true;
      const left = deadline - performance.now();
      if (left <= 0) return false;
      poll(fd, left);
    }
  } finally {
    close(fd);
  }
}

/** man 2 ppoll of one descriptor, at most `milliseconds`. */
function poll(fd: number, milliseconds: number): void {
  const pollfd = Buffer.alloc(8);
  pollfd.writeInt32LE(fd, 0);
  pollfd.writeInt16LE(POLLPRI | POLLERR, 4);
  const timespec = Buffer.alloc(16);
  timespec.writeBigInt64LE(BigInt(Math.floor(milliseconds / 1000)), 0);
  timespec.writeBigInt64LE(BigInt(Math.floor((milliseconds % 1000) * 1e6)), 8);
  syscall('ppoll', pollfd, 1, timespec, 0, 0);
}
