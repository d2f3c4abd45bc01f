/** Whether a person looks at it. Not by node:tty, which loads all of Node's streams. */
import { fstatSync } from 'node:fs';
import { isTty } from '../linux/tty.ts';
import { escapeControls, print } from './output.ts';

/** Whether a descriptor is a terminal: 0 stdin, 1 stdout, 2 stderr. */
export function isTerminal(fd: number): boolean {
  try {
    // Pipes and files, which most are, without a system call of our own: those have to be loaded first.
    return fstatSync(fd).isCharacterDevice() && isTty(fd);
  } catch {
    return false; // closed
  }
}

/**
 * The size of the terminal at a descriptor; undefined where it is none. process.stdout and process.stderr are touched
 * for terminals only: of a pipe they would make a non-blocking one, for everybody who has it, containers included.
 */
export function terminalSize(fd: 1 | 2): { columns: number; rows: number } | undefined {
  if (!isTerminal(fd)) return undefined;
  const { columns, rows } = fd === 1 ? process.stdout : process.stderr;
  return { columns: columns || 80, rows: rows || 24 };
}

/** Prints text that holds foreign values in a form of the user's: raw for programs, made harmless on a terminal. */
export function printForeign(text: string): void {
  print(isTerminal(1) ? escapeControls(text, true) : text);
}
