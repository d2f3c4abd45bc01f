/**
 * A blob that is written once and read from any place, while it still grows: what breaks off on the way to a registry is sent
 * again without being made again. It is a file without a name, which ends with its descriptor.
 */
import { closeSync, openSync, readSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { TsrunError } from '../../error.ts';
import { writeAll } from '../../linux/fs.ts';
import { type Digest, Digester } from '../digest.ts';
import { interrupted } from '../errors.ts';

/** Bytes of a piece that is read. */
const pieceSize = 256 * 1024;

export class Spool {
  readonly #fd: number;
  readonly #digester = new Digester();
  #size = 0;
  #digest: Digest | undefined;
  #failure: { error: unknown } | undefined;
  #waiting: (() => void)[] = [];

  /** `directory`: on the disk of the store. */
  constructor(directory: string) {
    const path = join(directory, `.push-${process.pid}`);
    this.#fd = openSync(path, 'w+', 0o600);
    rmSync(path);
  }

  /** Bytes so far. */
  get size(): number {
    return this.#size;
  }

  /** Of the whole; undefined while it grows. */
  get digest(): Digest | undefined {
    return this.#digest;
  }

  /** Throws what `fail` was told. */
  append(bytes: Buffer): void {
    if (this.#failure !== undefined) throw this.#failure.error;
    writeAll(this.#fd, bytes);
    this.#digester.update(bytes);
    this.#size += bytes.length;
    this.#wake();
  }

  /** All of it is there. */
  finish(): void {
    this.#digest = this.#digester.digest();
    this.#wake();
  }

  /** It will never be whole: readers throw this. */
  fail(error: unknown): void {
    this.#failure ??= { error };
    this.#wake();
  }

  #wake(): void {
    for (const resolve of this.#waiting.splice(0)) resolve();
  }

  /** Resolves when there is more than `offset` bytes, or all. Rejects with what `fail` was told. */
  async until(offset: number): Promise<void> {
    for (;;) {
      if (this.#failure !== undefined) throw this.#failure.error;
      if (this.#size > offset || this.#digest !== undefined) return;
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
  }

  /** What is there from `offset` on, and what comes, to the end. */
  async *read(offset: number): AsyncGenerator<Buffer, void, void> {
    for (let at = offset; ; ) {
      await this.until(at);
      if (at >= this.#size) return;
      const piece = Buffer.allocUnsafe(Math.min(pieceSize, this.#size - at));
      const got = readSync(this.#fd, piece, 0, piece.length, at);
      if (got === 0) throw new TsrunError('SYSCALL', 'a blob on its way to a registry has lost its end');
      at += got;
      yield piece.subarray(0, got);
    }
  }

  /** Readers that are left get no more. */
  close(): void {
    this.fail(interrupted());
    closeSync(this.#fd);
  }
}
