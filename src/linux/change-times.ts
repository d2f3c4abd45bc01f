/**
 * When files have changed, for lists that ask it of hundreds: by one descriptor, and one buffer for all names and answers, since
 * statSync makes an object of 18 fields of each and takes three times as long.
 */
import { AT_FDCWD, O_DIRECTORY, O_RDONLY, STATX_CTIME, STATX_MTIME } from './constants.ts';
import { errno, SyscallError } from './errno.ts';
import { addressOf, numericSyscall } from './ffi.ts';
import { close, openat } from './fs.ts';
import { numberOf } from './syscalls.ts';

/** Engines move buffers of less than a kilobyte, and the address of this one is taken once. */
const bufferSize = 4096;
/** Behind the name; struct statx (man 2 statx), and in it struct statx_timestamp: s64 seconds, u32 nanoseconds. */
const answerAt = 2048;
const ctimeAt = answerAt + 96;
const mtimeAt = answerAt + 112;
const nanosecondsAt = 8;

/**
 * What has changed within the last milliseconds may change again without a new time. The kernel's clock for files ticks at least
 * every 10 ms (man 7 time, "The software clock, HZ, and jiffies"); not every filesystem keeps more of it than seconds.
 */
const settled = 100;
const settledSeconds = 2000;

/** Whether what changed at that time would have another time had it changed after `now` again, both in milliseconds. */
export function isSettled(changed: number, now: number): boolean {
  return now - changed >= (Number.isInteger(changed / 1000) ? settledSeconds : settled);
}

export interface Times {
  /** The ctime and the mtime, in milliseconds since the epoch. */
  changed: number;
  modified: number;
}

/** When what is in one directory has changed. */
export class ChangeTimes {
  private readonly fd: number;
  private readonly statx = numberOf('statx');
  private readonly buffer = Buffer.alloc(bufferSize);
  private readonly address = Number(addressOf(this.buffer));

  /** Opens the directory. Throws `SyscallError` where there is none. */
  constructor(path: string) {
    this.fd = openat(AT_FDCWD, path, O_RDONLY | O_DIRECTORY);
  }

  /** Of a name in the directory, or `.`; undefined where it is not there. Throws `SyscallError`. */
  of(name: string): Times | undefined {
    const { buffer, address } = this;
    buffer[buffer.write(name, 0, answerAt - 1)] = 0;
    const result = numericSyscall(this.statx, this.fd, address, 0, STATX_CTIME | STATX_MTIME, address + answerAt);
    if (result === -errno.ENOENT || result === -errno.ENOTDIR) return undefined;
    if (result < 0) throw new SyscallError('statx', -result, name);
    return { changed: this.time(ctimeAt), modified: this.time(mtimeAt) };
  }

  close(): void {
    close(this.fd);
  }

  private time(at: number): number {
    // 32 bits of seconds last until 2106; of what is dated before 1970 it only matters that it is another time.
    return this.buffer.readUInt32LE(at) * 1000 + this.buffer.readUInt32LE(at + nanosecondsAt) / 1e6;
  }
}
