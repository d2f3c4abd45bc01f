/** Questions that are answered with y: before something is removed. */
import { readSync } from 'node:fs';
import { codeOf } from '../error.ts';
import { print } from './output.ts';

/** Asks on stdout and reads a line of stdin; anything but y is no, and so is no answer at all. */
export function confirm(question: string): boolean {
  print(`${question} [y/N] `);
  const answer = readLine();
  return answer.toLowerCase() === 'y';
}

/** The next line of stdin without its end. Byte by byte: what follows it is not ours to take. */
function readLine(): string {
  const bytes: number[] = [];
  const byte = Buffer.alloc(1);
  for (;;) {
    try {
      if (readSync(0, byte) === 0 || byte[0] === 0x0a) break;
    } catch (error) {
      // A terminal that somebody made non-blocking: nobody would wait for the answer.
      if (['EAGAIN', 'EOF', 'EBADF', 'EIO'].includes(codeOf(error) ?? '')) break;
      throw error;
    }
    bytes.push(byte[0] ?? 0);
  }
  return Buffer.from(bytes).toString().replace(/\r$/, '');
}
