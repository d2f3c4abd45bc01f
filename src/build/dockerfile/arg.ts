/** The words of an ARG: `NAME[=DEFAULT] …`. */
import { TsrunError } from '../../error.ts';
import { splitWords } from '../../image/shell-word.ts';

export interface Argument {
  name: string;
  /** With its quotes. */
  value: string | undefined;
}

/** Throws `USAGE`. */
export function argumentsOf(rest: string, escapeToken: string): Argument[] {
  return splitWords(rest, escapeToken).map((word) => {
    const [name = '', value] = word.split(/=(.*)/s);
    if (!/^[A-Za-z_][\w.-]*$/.test(name)) {
      throw new TsrunError('USAGE', `ARG names cannot be ${name === '' ? 'blank' : JSON.stringify(name)}`);
    }
    return { name, value };
  });
}
