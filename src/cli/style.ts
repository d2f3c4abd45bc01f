/** Colours, for terminals that have them and people who want them (no-color.org). */
import { isTerminal } from './terminal.ts';

const codes = { red: 31, green: 32, yellow: 33, dim: 2, bold: 1 } as const;

export type Style = keyof typeof codes;

/** Whether text that goes to a descriptor may be coloured. */
export function hasColours(fd: number): boolean {
  if (process.env.NO_COLOR) return false;
  return process.env.TERM !== 'dumb' && process.env.TERM !== undefined && isTerminal(fd);
}

/** Colours text, or leaves it alone. */
export function painter(coloured: boolean): (style: Style, text: string) => string {
  return (style, text) => (coloured ? `\x1b[${codes[style]}m${text}\x1b[0m` : text);
}
