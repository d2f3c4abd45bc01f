import { readSync } from 'node:fs';

/** Fills a buffer from where a descriptor stands; returns how many bytes there were, fewer only at the end of the file. */
export function readFully(fd: number, buffer: Uint8Array): number {
  let fill = 0;
  while (fill < buffer.length) {
    const got = readSync(fd, buffer, fill, buffer.length - fill, null);
    if (got === 0) break;
    fill += got;
  }
  return fill;
}
