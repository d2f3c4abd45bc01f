/** Questions whose answer is a text: a name, a password. */
import { readSync } from 'node:fs';
import { codeOf } from '../error.ts';
import { makeRaw } from '../linux/tty.ts';
import { print } from './output.ts';

/** A byte of stdin; undefined at its end. */
function readByte(): number | undefined {
  const byte = Buffer.alloc(1);
  try {
    return readSync(0, byte) === 0 ? undefined : byte[0];
  } catch (error) {
    // A terminal that somebody made non-blocking: nobody would wait for the answer.
    if (['EAGAIN', 'EOF', 'EBADF', 'EIO'].includes(codeOf(error) ?? '')) return undefined;
    throw error;
  }
}

/** The next line of stdin without its end. Byte by byte: what follows it is not ours to take. */
export function readLine(): string {
  const bytes: number[] = [];
  for (let byte = readByte(); byte !== undefined && byte !== 0x0a; byte = readByte()) bytes.push(byte);
  return Buffer.from(bytes).toString().replace(/\r$/, '');
}

const [ctrlC, ctrlD, backspace, newline, carriageReturn, ctrlU, quit, del] = [3, 4, 8, 10, 13, 21, 28, 127];

/**
 * Asks at the terminal of stdin, which does not show what is typed. Its signals are characters meanwhile, since this thread waits
 * for them: Ctrl-C ends the process as the signal would.
 */
export function askSecret(question: string): string {
  print(question);
  const restore = makeRaw(0);
  const bytes: number[] = [];
  try {
    for (;;) {
      const byte = readByte();
      if (byte === undefined || byte === newline || byte === carriageReturn) break;
      if (byte === ctrlD && bytes.length === 0) break;
      if (byte === ctrlC || byte === quit) {
        restore();
        print('\n');
        process.exit(128 + (byte === ctrlC ? 2 : 3));
      }
      if (byte === ctrlU) bytes.length = 0;
      else if (byte !== backspace && byte !== del) bytes.push(byte);
      // A character may have several bytes: those that continue it have 10 at their top.
      else while (bytes.length > 0 && ((bytes.pop() ?? 0) & 0xc0) === 0x80);
    }
  } finally {
    restore();
  }
  print('\n');
  return Buffer.from(bytes).toString();
}
