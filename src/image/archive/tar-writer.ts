/**
 * Writes a tar archive member by member to a sink: headers are made here, content comes from a descriptor or as bytes.
 * Synchronous, with one buffer of fixed size: a sink that blocks holds everything up, and nothing piles up.
 */
import { errno } from '../../linux/errno.ts';
import { addressOf, keepAlive, rawSyscall } from '../../linux/ffi.ts';
import { numbersOf } from '../../linux/syscalls.ts';
import { type BytePath, printable } from '../unpack/byte-path.ts';
import { unpackError } from '../unpack/failures.ts';
import type { ByteSink } from './sink.ts';
import { encodeHeader, paddingOf, type TarMember } from './tar-header.ts';

const NR = numbersOf('read');

const bufferSize = 512 * 1024;
/** Tar counts in records of 20 blocks; docker's archives end with two blocks, as POSIX asks for at least. */
const endSize = 1024;

export interface TarWriterOptions {
  /** Times keep their nanoseconds (pax records); else whole seconds. */
  subsecond?: boolean;
  /** Told about a file that became shorter while it was read; its missing bytes are zeros then. */
  onWarning?: (text: string) => void;
}

export class TarWriter {
  private readonly buffer = Buffer.allocUnsafeSlow(bufferSize);
  private readonly address: number;
  private fill = 0;
  /** Content of the current member that is still to come. */
  private remaining = 0;
  private padding = 0;

  constructor(
    private readonly sink: ByteSink,
    private readonly options: TarWriterOptions = {},
  ) {
    this.address = Number(addressOf(this.buffer));
  }

  /** Begins a member; `member.size` bytes of content must follow before the next. Throws what the sink throws. */
  header(member: TarMember): void {
    this.expectComplete();
    this.put(encodeHeader(member, this.options.subsecond));
    this.remaining = member.size;
    this.padding = paddingOf(member.size);
  }

  /** The next bytes of the member's content; they are taken before it returns. */
  content(bytes: Uint8Array): void {
    if (bytes.length > this.remaining) throw new RangeError('a member has more content than its header says');
    this.remaining -= bytes.length;
    this.put(bytes);
    this.pad();
  }

  /**
   * All of the member's content from a descriptor, from where that stands on. A file that has become longer is cut, one
   * that has become shorter is filled with zeros: the size has been promised. `path` is for messages.
   */
  contentFrom(fd: number, path: BytePath): void {
    while (this.remaining > 0) {
      if (this.fill === bufferSize) this.flush();
      const length = Math.min(this.remaining, bufferSize - this.fill);
      const result = rawSyscall(NR.read, fd, this.address + this.fill, length);
      keepAlive(this.buffer);
      if (result === -errno.EINTR) continue;
      if (result < 0) throw unpackError('read', path, result);
      if (result === 0) {
        this.options.onWarning?.(
          `${printable(path)} became shorter while it was read; zeros stand for what is missing`,
        );
        this.zeros(this.remaining);
        this.remaining = 0;
        break;
      }
      this.fill += result;
      this.remaining -= result;
    }
    this.pad();
  }

  /** Ends the archive; the sink has all of it then. */
  finish(): void {
    this.expectComplete();
    this.zeros(endSize);
    this.flush();
  }

  private expectComplete(): void {
    if (this.remaining > 0) throw new RangeError('a member has less content than its header says');
  }

  private pad(): void {
    if (this.remaining > 0) return;
    this.zeros(this.padding);
    this.padding = 0;
  }

  private put(bytes: Uint8Array): void {
    if (bytes.length > bufferSize - this.fill) this.flush();
    if (bytes.length > bufferSize) {
      this.sink.write(bytes);
      return;
    }
    this.buffer.set(bytes, this.fill);
    this.fill += bytes.length;
  }

  private zeros(count: number): void {
    for (let left = count; left > 0; ) {
      if (this.fill === bufferSize) this.flush();
      const step = Math.min(left, bufferSize - this.fill);
      this.buffer.fill(0, this.fill, this.fill + step);
      this.fill += step;
      left -= step;
    }
  }

  private flush(): void {
    if (this.fill > 0) this.sink.write(this.buffer.subarray(0, this.fill));
    this.fill = 0;
  }
}
