/**
 * Archives that a build unpacks: contexts, and what ADD finds (Dockerfile reference, "ADD"): tar, plain or compressed with gzip,
 * zstd, bzip2 or xz. For the latter two programs of the host are run, as docker runs xz: no JavaScript runtime has them.
 */
import { spawn } from 'node:child_process';
import { closeSync, mkdirSync, openSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';
import { TsrunError } from '../error.ts';
import { readAll } from '../image/archive/source.ts';
import { errorCode, interrupted } from '../image/errors.ts';
import { defaultMaxBytes, defaultMaxEntries } from '../image/unpack/index.ts';
import { removeTree } from '../image/unpack/remove-tree.ts';
import { LayerUnpacker } from '../image/unpack/unpacker.ts';
import { archiveKind, readStart } from './archive-kind.ts';

/**
 * Unpacks an archive into a directory that is made for it. `start`: what has been read of it. Throws `ARCHIVE` and others;
 * nothing is left then.
 */
export async function unpackArchive(fd: number, start: Buffer, directory: string, signal: AbortSignal): Promise<void> {
  mkdirSync(dirname(directory), { recursive: true, mode: 0o700 });
  const kind = archiveKind(start) ?? 'plain';
  if (kind === 'plain') return unpackPlain(fd, start, directory, signal);
  const paths = [`${directory}.${kind}`, `${directory}.tar`] as const;
  try {
    const input = openSync(paths[0], 'wx+', 0o600);
    try {
      writeSync(input, start);
      await readAll(fd, (chunk) => void writeSync(input, chunk), signal);
    } finally {
      closeSync(input);
    }
    await decompress(kind, paths[0], paths[1], signal);
    const plain = openSync(paths[1], 'r');
    try {
      await unpackPlain(plain, readStart(plain), directory, signal);
    } finally {
      closeSync(plain);
    }
  } finally {
    for (const path of paths) removeTree(path);
  }
}

async function decompress(kind: 'bzip2' | 'xz', from: string, to: string, signal: AbortSignal): Promise<void> {
  const input = openSync(from, 'r');
  const output = openSync(to, 'wx', 0o600);
  try {
    await new Promise<void>((resolve, reject) => {
      // In a session of its own: Ctrl-C is heard here, and says more than that it was killed.
      const child = spawn(kind, ['-dc'], { stdio: [input, output, 'ignore'], signal, detached: true });
      child.once('error', (cause) => {
        if (signal.aborted) return reject(interrupted());
        const absent = new TsrunError(
          'UNSUPPORTED',
          `an archive is compressed with ${kind}, which this machine has not`,
          {
            hint: `install it (Debian: apt-get install ${kind === 'xz' ? 'xz-utils' : kind}), or decompress the archive before`,
          },
        );
        reject(errorCode(cause) === 'ENOENT' ? absent : cause);
      });
      child.once('exit', (code) => {
        if (code === 0) resolve();
        else reject(new TsrunError('ARCHIVE', `${kind} cannot decompress the archive (exit code ${code})`));
      });
    });
  } finally {
    closeSync(input);
    closeSync(output);
  }
}

async function unpackPlain(fd: number, start: Buffer, directory: string, signal: AbortSignal): Promise<void> {
  mkdirSync(directory, { mode: 0o700 });
  const unpacker = new LayerUnpacker(
    { directory, mediaType: '', maxBytes: defaultMaxBytes, maxEntries: defaultMaxEntries, form: 'unpacked' },
    process.umask(),
  );
  try {
    await unpacker.write(start);
    await readAll(fd, (chunk) => unpacker.write(chunk), signal);
    await unpacker.finish();
    unpacker.settle([]);
  } catch (error) {
    removeTree(directory);
    throw error;
  } finally {
    unpacker.close();
  }
}
