/** Archives as they come in: from a file or a pipe, compressed or not. */

import { closeSync, fstatSync, openSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { TsrunError } from '../../error.ts';
import { errno } from '../../linux/errno.ts';
import { addressOf, keepAlive, rawSyscall } from '../../linux/ffi.ts';
import { check, writeAll } from '../../linux/fs.ts';
import { pause } from '../../linux/pause.ts';
import { numbersOf } from '../../linux/syscalls.ts';
import { throwIfInterrupted } from '../errors.ts';
import { createDecompressor, magicSize } from '../unpack/decompress.ts';

const NR = numbersOf('pread64', 'read');

const chunkSize = 1024 * 1024;

/** man 2 read; 0 at the end. Waits where somebody made the descriptor non-blocking. */
function readSome(fd: number, buffer: Buffer): number {
  for (;;) {
    const result = rawSyscall(NR.read, fd, addressOf(buffer), buffer.length);
    keepAlive(buffer);
    if (result === -errno.EINTR) continue;
    if (result !== -errno.EAGAIN) return check(result, 'read');
    pause(1);
  }
}

/** Hands all that a descriptor has to `write`, a piece after the other; their memory is the callee's. */
export async function readAll(
  fd: number,
  write: (chunk: Buffer) => Promise<void> | void,
  signal?: AbortSignal,
): Promise<void> {
  for (;;) {
    const buffer = Buffer.allocUnsafe(chunkSize);
    const got = readSome(fd, buffer);
    if (got === 0) return;
    await write(buffer.subarray(0, got));
    // Signals are heard between two turns of the event loop only.
    await setImmediate();
    throwIfInterrupted(signal);
  }
}

/** An archive that can be read from any place. */
export interface SeekableArchive {
  fd: number;
  close(): void;
}

/**
 * The archive behind a descriptor, inflated and seekable: a plain file as it is, everything else as a copy in `directory`
 * without a name, which ends with its descriptor. `fd` stays the caller's. Throws `ARCHIVE`, `NO_SPACE`.
 */
export async function seekableArchive(fd: number, directory: string, signal?: AbortSignal): Promise<SeekableArchive> {
  const first = Buffer.alloc(magicSize);
  if (fstatSync(fd).isFile()) {
    const got = rawSyscall(NR.pread64, fd, addressOf(first), first.length, 0);
    keepAlive(first);
    if (got === first.length && !isCompressed(first)) return { fd, close: () => {} };
  }
  const path = join(directory, `.load-${process.pid}`);
  const copy = openSync(path, 'w+', 0o600);
  rmSync(path);
  try {
    await inflateInto(fd, copy, signal);
  } catch (error) {
    closeSync(copy);
    const compression = error instanceof TsrunError ? /is compressed with (\w+)$/.exec(error.message)?.[1] : undefined;
    if (compression === undefined) throw error;
    throw new TsrunError('ARCHIVE', `the archive is compressed with ${compression}`, {
      hint: `tsrun reads gzip, zstd and plain archives: ${compression} -dc FILE | tsrun load`,
    });
  }
  return { fd: copy, close: () => closeSync(copy) };
}

/** Whether the decompressor has something to do, or to refuse. */
function isCompressed(magic: Buffer): boolean {
  return (
    magic.readUInt16BE(0) === 0x1f8b ||
    magic.readUInt32BE(0) === 0x28b52ffd ||
    magic.readUInt16BE(0) === 0x425a ||
    magic.readUInt32BE(0) === 0xfd377a58
  );
}

async function inflateInto(fd: number, copy: number, signal?: AbortSignal): Promise<void> {
  let magic = Buffer.alloc(0);
  let decompressor: ReturnType<typeof createDecompressor> | undefined;
  const output = (chunk: Buffer): void => writeAll(copy, chunk);
  try {
    await readAll(
      fd,
      async (chunk) => {
        if (decompressor !== undefined) return decompressor.write(chunk);
        magic = Buffer.concat([magic, chunk]);
        if (magic.length < magicSize) return;
        decompressor = createDecompressor(magic, output);
        await decompressor.write(magic);
      },
      signal,
    );
    if (decompressor === undefined) {
      decompressor = createDecompressor(magic, output);
      await decompressor.write(magic);
    }
    await decompressor.end();
  } finally {
    decompressor?.destroy();
  }
}
