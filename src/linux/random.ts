/** Random bytes from the kernel (man 2 getrandom): node:crypto takes several milliseconds to load. */
import { syscall } from './ffi.ts';
import { check } from './fs.ts';

/** `bytes` random bytes (at most 256, which the kernel never gives in part) as hexadecimal digits. */
export function randomHex(bytes: number): string {
  const buffer = Buffer.alloc(bytes);
  check(syscall('getrandom', buffer, bytes, 0), 'getrandom');
  return buffer.toString('hex');
}
