/**
 * Which bytes of one file somebody has locked by `lockByte`, for lists that ask it of hundreds. /proc/locks (man 5 proc_locks) would tell
 * it at once, but stops everybody's locks while it is read, and waits for all processors before.
 */
import { AT_FDCWD, F_OFD_GETLK, F_UNLCK, F_WRLCK, O_CLOEXEC, O_NOFOLLOW, O_NONBLOCK, O_RDONLY } from './constants.ts';
import { addressOf, numericSyscall, syscall } from './ffi.ts';
import { close } from './fs.ts';
import { numberOf } from './syscalls.ts';

/** Engines move buffers of less than a kilobyte, and the address of this one is taken once. */
const bufferSize = 4096;

/** Takes no lock itself, so that it is in nobody's way. */
export class LockedBytes {
  private readonly fd: number;
  private readonly fcntl = numberOf('fcntl');
  private readonly buffer = Buffer.alloc(bufferSize);
  private readonly address = Number(addressOf(this.buffer));

  /** Opens the file; where that fails no byte is locked. */
  constructor(path: string) {
    this.fd = syscall('openat', AT_FDCWD, path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
  }

  /** `offset`: a safe integer. */
  has(offset: number): boolean {
    if (this.fd < 0) return false;
    const { buffer } = this;
    // struct flock: type, whence, start, length, pid. The kernel has written its answer over the last question.
    buffer.fill(0, 0, 32);
    buffer.writeInt16LE(F_WRLCK, 0);
    buffer.writeUInt32LE(offset % 2 ** 32, 8);
    buffer.writeUInt32LE(Math.floor(offset / 2 ** 32), 12);
    buffer.writeUInt32LE(1, 16);
    return (
      numericSyscall(this.fcntl, this.fd, F_OFD_GETLK, this.address, 0, 0) === 0 && buffer.readInt16LE(0) !== F_UNLCK
    );
  }

  close(): void {
    close(this.fd);
  }
}
