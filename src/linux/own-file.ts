/**
 * Reading what tsrun itself has written. Whoever could lay a link, a fifo or a device where such a file was gets an error that
 * names the place: the link is not followed, and nobody waits for the fifo's writer (man 2 open, O_NOFOLLOW, O_NONBLOCK).
 */
import { closeSync, constants, fstatSync, openSync } from 'node:fs';
import { codeOf, TsrunError } from '../error.ts';
import { readFully } from './read-fully.ts';

const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;

/**
 * The content. Not by readFileSync: in the executable the first call of that touches as much memory as all of a small command.
 * What is cut short meanwhile comes shorter. Throws `CORRUPT` where it is no ordinary file, and what `fs.openSync` throws.
 */
export function readOwn(path: string): Buffer {
  const { fd, size } = openOwn(path);
  try {
    const bytes = Buffer.alloc(size);
    return bytes.subarray(0, readFully(fd, bytes));
  } finally {
    closeSync(fd);
  }
}

/** The file for reading, and its bytes; the caller closes it. Throws as `readOwn` does. */
export function openOwn(path: string): { fd: number; size: number } {
  let fd: number;
  try {
    fd = openSync(path, flags);
  } catch (error) {
    if (codeOf(error) === 'ELOOP' || codeOf(error) === 'ENXIO') throw foreign(path, error);
    throw error;
  }
  const stats = fstatSync(fd);
  if (stats.isFile()) return { fd, size: stats.size };
  closeSync(fd);
  throw foreign(path);
}

/** As `readOwn`, as text. */
export function readOwnText(path: string): string {
  return readOwn(path).toString();
}

function foreign(path: string, cause?: unknown): TsrunError {
  return new TsrunError('CORRUPT', `"${path}" is no ordinary file`, {
    ...(cause === undefined ? {} : { cause }),
    hint: 'tsrun writes ordinary files there and follows nothing else: look at it, and take it away',
  });
}
