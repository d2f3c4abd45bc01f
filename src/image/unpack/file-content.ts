/** Writes the content of one file, holes as holes, straight from the inflated buffer (man 2 write, pwrite, ftruncate). */
import { errno } from '../../linux/errno.ts';
import { addressOf, keepAlive, rawSyscall } from '../../linux/ffi.ts';
import { numbersOf } from '../../linux/syscalls.ts';
import type { BytePath } from './byte-path.ts';
import { unpackError } from './failures.ts';
import type { SparseMap } from './sparse.ts';

const NR = numbersOf('ftruncate', 'pwrite64', 'write');

export class FileContent {
  private fd = -1;
  private path: BytePath = '';
  private sparse: SparseMap | undefined;
  /** The segment that is being filled, and how much of it has come. */
  private segment = 0;
  private filled = 0;
  /** The address of the buffer that was seen last: looked up once per buffer, not per file. */
  private chunk: Uint8Array | undefined;
  private address = 0;

  /** Bytes written in all. */
  written = 0;

  begin(fd: number, path: BytePath, sparse: SparseMap | undefined): void {
    this.fd = fd;
    this.path = path;
    this.sparse = sparse;
    this.segment = 0;
    this.filled = 0;
  }

  /** Bytes `start` to `end` of `chunk` come next. Throws `NO_SPACE` and others. */
  write(chunk: Uint8Array, start: number, end: number): void {
    if (chunk !== this.chunk) {
      this.chunk = chunk;
      this.address = Number(addressOf(chunk));
    }
    if (this.sparse === undefined) this.put(start, end, -1);
    else this.writeSparse(this.sparse, start, end);
    keepAlive(chunk);
  }

  private writeSparse(sparse: SparseMap, start: number, end: number): void {
    let position = start;
    while (position < end) {
      const offset = sparse.segments[this.segment];
      const length = sparse.segments[this.segment + 1];
      if (offset === undefined || length === undefined) throw new RangeError('a sparse map was not checked');
      const step = Math.min(end - position, length - this.filled);
      if (step > 0) this.put(position, position + step, offset + this.filled);
      position += step;
      this.filled += step;
      if (this.filled === length) {
        this.segment += 2;
        this.filled = 0;
      }
    }
  }

  /** Writes a range of the buffer, at `offset` of the file or, with -1, where it stands. */
  private put(start: number, end: number, offset: number): void {
    let position = start;
    while (position < end) {
      const result =
        offset < 0
          ? rawSyscall(NR.write, this.fd, this.address + position, end - position)
          : rawSyscall(NR.pwrite64, this.fd, this.address + position, end - position, offset + position - start);
      if (result === -errno.EINTR) continue;
      if (result <= 0) throw unpackError('write', this.path, result === 0 ? -errno.ENOSPC : result);
      position += result;
    }
    this.written += end - start;
  }

  /** After the last byte: a hole at the end is made by setting the size. The descriptor stays the caller's. */
  finish(): void {
    if (this.sparse === undefined) return;
    const result = rawSyscall(NR.ftruncate, this.fd, this.sparse.realSize);
    if (result < 0) throw unpackError('set the size of', this.path, result);
  }

  /** Forgets the last buffer, so that it can be collected. */
  release(): void {
    this.chunk = undefined;
  }
}
