/** WWW-Authenticate as RFC 9110 (11.6.1) has it: several challenges in one header, with quoted and bare parameters. */

export interface Challenge {
  /** Lower case: `bearer`, `basic`. */
  scheme: string;
  /** Names in lower case. */
  parameters: Map<string, string>;
}

const maxHeaderLength = 16_384;

/** One step of the grammar: spaces and commas, a token, optionally `=` and a value. */
const item =
  /[\s,]*([!#$%&'*+.^_`|~0-9A-Za-z-]+)(?:\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"=]+))|(?!\s*=|[!#$%&'*+.^_`|~0-9A-Za-z-]))/y;

/** Reads the header's challenges in their order; what does not parse ends the list. */
export function parseChallenges(header: string | undefined): Challenge[] {
  const challenges: Challenge[] = [];
  const text = (header ?? '').slice(0, maxHeaderLength);
  item.lastIndex = 0;
  for (;;) {
    const match = item.exec(text);
    if (match === null) break;
    const [, name = '', quoted, bare] = match;
    const value = quoted === undefined ? bare : quoted.replace(/\\(.)/g, '$1');
    if (value === undefined) challenges.push({ scheme: name.toLowerCase(), parameters: new Map() });
    else challenges.at(-1)?.parameters.set(name.toLowerCase(), value);
  }
  return challenges;
}
