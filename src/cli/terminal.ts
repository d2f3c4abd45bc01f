/** Whether a person looks at it. Apart from output.ts, since node:tty takes two milliseconds to load. */
import { isatty } from 'node:tty';
import { escapeControls, print } from './output.ts';

/** Whether a descriptor is a terminal: 0 stdin, 1 stdout, 2 stderr. */
export function isTerminal(fd: number): boolean {
  return isatty(fd);
}

/** Prints text that holds foreign values in a form of the user's: raw for programs, made harmless on a terminal. */
export function printForeign(text: string): void {
  print(isTerminal(1) ? escapeControls(text, true) : text);
}
