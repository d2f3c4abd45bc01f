/** The words of COPY, ADD, SHELL: in the form of a JSON array or with blanks between them. */
import { TsrunError } from '../error.ts';
import { parseArray } from '../image/instructions.ts';
import { splitWords } from '../image/shell-word.ts';
import type { Instruction } from './dockerfile/parser.ts';

/** Not yet expanded. */
export function wordsOf({ rest }: Pick<Instruction, 'rest'>, escapeToken: string): string[] {
  return parseArray(rest) ?? splitWords(rest, escapeToken);
}

/** What a shell is to run, with that shell before it. */
export function shellCommand(script: string, shell: readonly string[]): string[] {
  return [...(shell.length > 0 ? shell : ['/bin/sh', '-c']), script];
}

/** SHELL knows the exec form alone. Throws `USAGE`. */
export function shellOf(rest: string): string[] {
  const array = parseArray(rest);
  if (array !== undefined && array.length > 0) return array;
  throw new TsrunError('USAGE', 'SHELL requires the arguments to be in JSON form', { hint: 'SHELL ["/bin/sh", "-c"]' });
}
