/**
 * `$TSRUN_STATE/monitors`: an empty file of which each container's monitor has locked one byte for as long as it lives. A lock of an
 * open file description (man 2 fcntl) ends with its last descriptor, however that comes about, and whether it is there can be
 * asked without taking it: so lists learn of hundreds of monitors without a look at their processes.
 */
import { join } from 'node:path';
import { O_CREAT, O_NOFOLLOW, O_RDWR } from '../linux/constants.ts';
import { AT_FDCWD, lockByte, openat } from '../linux/fs.ts';
import { LockedBytes } from '../linux/locked-bytes.ts';

/** So many digits of an id are a safe integer, and two containers of one machine will not share them. */
const digits = 13;

const fileIn = (state: string): string => join(state, 'monitors');
const byteOf = (id: string): number => Number.parseInt(id.slice(0, digits), 16);

/**
 * Opens the descriptor that tells of a container's monitor, which is to be the last one that has it. Where another container has
 * that byte, or the monitor's predecessor is not quite gone, it tells nothing, and lists look for the processes.
 */
export function openMark(state: string, id: string): number {
  const fd = openat(AT_FDCWD, fileIn(state), O_RDWR | O_CREAT | O_NOFOLLOW, 0o600);
  lockByte(fd, byteOf(id));
  return fd;
}

/** Whose monitors are there. */
export class Monitors {
  private readonly marks: LockedBytes;

  /** `state`: the directory of what a reboot may lose. */
  constructor(state: string) {
    this.marks = new LockedBytes(fileIn(state));
  }

  /** Whether the container's monitor is there for certain; `false` says nothing. */
  has(id: string): boolean {
    return this.marks.has(byteOf(id));
  }

  close(): void {
    this.marks.close();
  }
}
