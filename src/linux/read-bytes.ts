import { closeSync, fstatSync, openSync, readSync } from 'node:fs';

/**
 * The bytes of a regular file. Instead of readFileSync without an encoding: in the executable the first call of that touches
 * as much memory as all of a small command. Throws as readFileSync does; what is cut short meanwhile comes shorter.
 */
export function readBytes(path: string): Buffer {
  const fd = openSync(path, 'r');
  try {
    const bytes = Buffer.alloc(fstatSync(fd).size);
    let length = 0;
    while (length < bytes.length) {
      const count = readSync(fd, bytes, length, bytes.length - length, null);
      if (count === 0) break;
      length += count;
    }
    return bytes.subarray(0, length);
  } finally {
    closeSync(fd);
  }
}
