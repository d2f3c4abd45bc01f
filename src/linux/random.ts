/** Random bytes from the kernel (man 2 getrandom): node:crypto takes several milliseconds to load. */
import { syscall } from './ffi.ts';
import { check } from './fs.ts';

/** `count` random bytes (at most 256, which the kernel never gives in part). */
export function randomBytes(count: number): Buffer {
  const buffer = Buffer.alloc(count);
  check(syscall('getrandom', buffer, count, 0), 'getrandom');
  return buffer;
}

/** `count` random bytes as hexadecimal digits. */
export function randomHex(count: number): string {
  return randomBytes(count).toString('hex');
}

/** A whole number from 0 to below `limit` (at most 2^32), each as likely as the others. */
export function randomBelow(limit: number): number {
  const fair = 2 ** 32 - (2 ** 32 % limit);
  for (;;) {
    const number = randomBytes(4).readUInt32LE();
    if (number < fair) return number % limit;
  }
}
