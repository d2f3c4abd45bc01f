/**
 * Writing to the terminal or pipe of the user. Synchronous writes to the descriptors: nothing is lost at exit, and
 * process.stdout, which takes milliseconds to set up, is never touched.
 */
import { writeSync } from 'node:fs';
import { codeOf, TsrunError } from '../error.ts';
import { pause } from '../linux/pause.ts';

/** 128 + SIGPIPE: what a shell sees of any program whose reader has left. */
export const exitAfterBrokenPipe = 141;

/** Writes all of `bytes`. Where the reader has left (`| head`) the process ends quietly. */
export function writeBytes(fd: number, bytes: Uint8Array): void {
  let offset = 0;
  while (offset < bytes.length) {
    try {
      offset += writeSync(fd, bytes, offset);
    } catch (error) {
      const code = codeOf(error);
      if (code === 'EPIPE') process.exit(exitAfterBrokenPipe);
      if (code !== 'EAGAIN') {
        // There is nowhere to say that messages cannot be written.
        if (fd === 2) return;
        throw new TsrunError('NO_SPACE', `cannot write to ${fd === 1 ? 'stdout' : `descriptor ${fd}`}: ${code}`, {
          cause: error,
        });
      }
      // Somebody else made the pipe non-blocking (a pipe is shared with all its users): wait a moment.
      pause(1);
    }
  }
}

/** Writes text to stdout as it is. */
export function print(text: string): void {
  if (text !== '') writeBytes(1, Buffer.from(text));
}

/** Writes a line to stderr; control characters from names and foreign messages are made visible. */
export function printError(line: string): void {
  writeBytes(2, Buffer.from(`${escapeControls(line, true)}\n`));
}

const controls = /[\u0000-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff]/;
let allControls: RegExp | undefined;

/**
 * Makes control characters visible (`\x1b`), those of C1 and the ones that turn the direction of writing too: text from
 * images and containers must not drive the terminal. `lines` keeps tabs and line breaks.
 */
export function escapeControls(text: string, lines = false): string {
  allControls ??= new RegExp(controls, 'g');
  return text.replace(allControls, (character) => {
    if (lines && (character === '\n' || character === '\t')) return character;
    const code = character.charCodeAt(0);
    if (character === '\n') return '\\n';
    if (character === '\t') return '\\t';
    if (character === '\r') return '\\r';
    return code < 0x100 ? `\\x${code.toString(16).padStart(2, '0')}` : `\\u${code.toString(16).padStart(4, '0')}`;
  });
}

/** As `escapeControls` of each cell: a list has hundreds, and hardly ever one with a control character. */
export function escapeCells(cells: readonly string[]): readonly string[] {
  return controls.test(cells.join('')) ? cells.map((cell) => escapeControls(cell)) : cells;
}
