/** Copies of files and streams of them, of `node:fs`. */
import { AT_FDCWD, O_CLOEXEC, O_CREAT, O_EXCL, O_RDONLY, O_WRONLY } from '../linux/constants.ts';
import { engine } from './engine.ts';
import { call, EISDIR, failure, nr, onlyOptions, pathAddress, unknownOption } from './file-calls.ts';
import { closeSync, openSync, readSync } from './fs-file.ts';
import { fstatSync, type Stats } from './fs-stat.ts';

/** COPYFILE_EXCL of node:fs. */
const exclusive = 1;
/** What one call of sendfile takes at most (man 2 sendfile), less the odd bytes. */
const pieceMax = 0x7ffff000;

/** `mode` is COPYFILE_EXCL or nothing: clones of files are not made. */
export function copyFileSync(from: string, to: string, mode = 0): void {
  if ((mode & ~exclusive) !== 0) throw unknownOption('copyFile', `mode ${mode}`);
  const fail = (result: number): never => {
    throw failure(result, 'copyfile', from, to);
  };
  const source = call(nr.openat, AT_FDCWD, pathAddress(from, 'src'), O_RDONLY | O_CLOEXEC);
  if (source < 0) fail(source);
  let target = -1;
  let result = 0;
  try {
    const stats = fstatSync(source) as Stats;
    const flags = O_WRONLY | O_CREAT | O_CLOEXEC | (mode === exclusive ? O_EXCL : 0);
    target = call(nr.openat, AT_FDCWD, pathAddress(to, 'dest'), flags, stats.mode);
    if (target < 0) fail(target);
    const before = fstatSync(target) as Stats;
    if (before.dev === stats.dev && before.ino === stats.ino) return;
    result = call(nr.ftruncate, target, 0);
    // A filesystem without modes refuses; the content counts.
    call(nr.fchmod, target, stats.mode & 0o7777);
    if (stats.isDirectory()) result = EISDIR;
    do {
      if (result >= 0) result = call(nr.sendfile, target, source, 0, pieceMax);
    } while (result > 0);
    if (result < 0) {
      call(nr.unlinkat, AT_FDCWD, pathAddress(to));
      fail(result);
    }
  } finally {
    closeSync(source);
    if (target >= 0) engine.syscall(nr.close, target, 0, 0, 0, 0, 0);
  }
}

export interface ReadStreamOptions {
  fd?: number | null | undefined;
  flags?: string | undefined;
  mode?: number | undefined;
  /** First and last byte. */
  start?: number | undefined;
  end?: number | undefined;
  highWaterMark?: number | undefined;
  autoClose?: boolean | undefined;
}

/**
 * The chunks of a file for `for await`; the file is closed at the end, and where the loop is left. Each is read when it is asked
 * for, and waited for where it is not there: for files and nothing else.
 */
export class ReadStream {
  readonly path: string;
  #fd: number | undefined;
  #position: number | null;
  #left: number;
  readonly #size: number;
  readonly #closes: boolean;
  readonly #flags: string;

  constructor(path: string, options: ReadStreamOptions) {
    onlyOptions('createReadStream', options, ' fd flags mode start end highWaterMark autoClose ');
    const { fd, flags = 'r', start, end = Infinity, highWaterMark = 64 * 1024, autoClose = true } = options;
    this.path = path;
    this.#fd = fd ?? undefined;
    this.#position = start ?? null;
    this.#left = end - (start ?? 0) + 1;
    this.#size = highWaterMark;
    this.#closes = autoClose;
    this.#flags = flags;
  }

  /** Closes the file if it is open and ours to close. */
  destroy(): void {
    const fd = this.#fd;
    this.#fd = undefined;
    this.#left = 0;
    if (fd !== undefined && this.#closes) closeSync(fd);
  }

  close(): void {
    this.destroy();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Buffer, void, undefined> {
    try {
      while (this.#left > 0) {
        this.#fd ??= openSync(this.path, this.#flags);
        const chunk = Buffer.allocUnsafe(Math.min(this.#size, this.#left));
        const length = readSync(this.#fd, chunk, 0, chunk.length, this.#position);
        if (length === 0) return;
        this.#left -= length;
        if (this.#position !== null) this.#position += length;
        yield chunk.subarray(0, length);
      }
    } finally {
      this.destroy();
    }
  }
}

export function createReadStream(path: string, options: string | ReadStreamOptions = {}): ReadStream {
  if (typeof options === 'string') throw unknownOption('createReadStream', `encoding ${options}`);
  return new ReadStream(path, options);
}
