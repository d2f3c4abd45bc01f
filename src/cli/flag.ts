/** What a flag is: the table entries from which command lines are parsed and help is printed. */

/** How the value of a flag reads; the word that help prints behind its name. */
export type FlagType =
  | 'bool'
  | 'string'
  | 'list' // repeated; each value is one entry
  | 'int'
  | 'uint'
  | 'decimal'
  | 'bytes'
  | 'duration'
  | 'map' // repeated NAME=VALUE
  | 'filter'
  | 'mount'
  | 'network'
  | 'ulimit';

export interface Flag {
  name: string;
  /** One letter. */
  short?: string;
  type: FlagType;
  description: string;
  /** As help shows it; the value of an absent flag is the caller's matter. */
  shownDefault?: string;
  /** Works, but help does not list it. */
  hidden?: boolean;
  /** Another name of the flag with this name. */
  aliasOf?: string;
  /** Throws an `Error` that says what is wrong with one value; called for each as it is met. */
  check?: (text: string) => void;
}

/** `-m, --memory`: how messages name a flag. */
export function flagTitle(flag: Flag): string {
  return flag.short === undefined ? `--${flag.name}` : `-${flag.short}, --${flag.name}`;
}

/** Go's strconv.ParseBool, which is what docker takes after `--flag=`. */
export function parseBoolean(text: string): boolean {
  if (/^(1|t|T|true|TRUE|True)$/.test(text)) return true;
  if (/^(0|f|F|false|FALSE|False)$/.test(text)) return false;
  throw new Error(`strconv.ParseBool: parsing ${JSON.stringify(text)}: invalid syntax`);
}

/** A whole number as Go's strconv.ParseInt reads it with base 0: decimal, 0x, 0o, 0b, `_` between digits. */
export function parseInteger(text: string): number {
  const match = /^([+-]?)(0[xX][0-9a-fA-F_]+|0[bB][01_]+|0[oO]?[0-7_]*|[1-9][0-9_]*)$/.exec(text);
  if (match === null || /__|_$/.test(text)) {
    throw new Error(`strconv.ParseInt: parsing ${JSON.stringify(text)}: invalid syntax`);
  }
  let digits = (match[2] ?? '').replaceAll('_', '');
  if (/^0[0-7]+$/.test(digits)) digits = `0o${digits.slice(1)}`;
  const value = Number(digits) * (match[1] === '-' ? -1 : 1);
  if (!Number.isSafeInteger(value)) {
    throw new Error(`strconv.ParseInt: parsing ${JSON.stringify(text)}: value out of range`);
  }
  return value;
}

/** `parseInteger` for numbers that cannot be negative. */
export function parseUnsigned(text: string): number {
  if (!/^[0-9]/.test(text)) throw new Error(`strconv.ParseUint: parsing ${JSON.stringify(text)}: invalid syntax`);
  return parseInteger(text);
}

/** `NAME=VALUE`, the only form that filters have. */
export function parseFilter(text: string): { name: string; value: string } {
  const equals = text.indexOf('=');
  if (equals === -1) throw new Error('bad format of filter (expected name=value)');
  return { name: text.slice(0, equals).trim().toLowerCase(), value: text.slice(equals + 1).trim() };
}

/** Throws when `text` is no value of the flag's type. */
export function checkValue(flag: Flag, text: string): void {
  if (flag.type === 'bool') parseBoolean(text);
  else if (flag.type === 'int') parseInteger(text);
  else if (flag.type === 'uint') parseUnsigned(text);
  else if (flag.type === 'filter' && text !== '') parseFilter(text);
  flag.check?.(text);
}
