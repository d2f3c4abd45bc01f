/** Waiting for descriptors (man 2 ppoll). */
import { syscall } from './ffi.ts';

/** struct pollfd: descriptor, what is asked for, what has happened. */
const entrySize = 8;
/** As long as nobody waits: the kernel's seconds have a bound. */
const longest = 1e9;

export interface Polled {
  /** -1 for none. */
  readonly fd: number;
  /** POLLIN, POLLOUT. */
  readonly events: number;
}

/**
 * Waits until something has happened to one of the descriptors, as many milliseconds at most (undefined: for ever). Returns what has
 * happened to each, 0 where nothing has, or a negative errno.
 */
export function poll(polled: readonly Polled[], milliseconds: number | undefined): number[] | number {
  const entries = Buffer.alloc(polled.length * entrySize);
  polled.forEach(({ fd, events }, index) => {
    entries.writeInt32LE(fd, index * entrySize);
    entries.writeInt16LE(events, index * entrySize + 4);
  });
  let timeout: Buffer | number = 0;
  if (milliseconds !== undefined) {
    const limited = Math.min(milliseconds, longest);
    // struct timespec: seconds and nanoseconds, a long each.
    timeout = Buffer.alloc(16);
    timeout.writeUInt32LE(Math.floor(limited / 1000), 0);
    timeout.writeUInt32LE(Math.floor((limited % 1000) * 1e6), 8);
  }
  const result = syscall('ppoll', entries, polled.length, timeout, 0, 8);
  return result < 0 ? result : polled.map((_, index) => entries.readInt16LE(index * entrySize + 6));
}
