/** Questions that are answered with y: before something is removed. */
import { print } from './output.ts';
import { readLine } from './prompt.ts';

/** Asks on stdout and reads a line of stdin; anything but y is no, and so is no answer at all. */
export function confirm(question: string): boolean {
  print(`${question} [y/N] `);
  const answer = readLine();
  return answer.toLowerCase() === 'y';
}
