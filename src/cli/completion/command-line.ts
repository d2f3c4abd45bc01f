/** A line as bash has it, split into words the way a shell does (POSIX, "Token Recognition", quoting only). */

/** The words of `line`; the last one is what is being typed, and empty behind a space. */
export function splitLine(line: string): string[] {
  const words: string[] = [];
  let word: string | undefined;
  let quote: string | undefined;
  for (let at = 0; at < line.length; at++) {
    const character = line[at] ?? '';
    if (quote !== undefined) {
      if (character === quote) quote = undefined;
      else if (character === '\\' && quote === '"' && /["\\$`]/.test(line[at + 1] ?? '')) word += line[++at] ?? '';
      else word += character;
    } else if (character === "'" || character === '"') {
      quote = character;
      word ??= '';
    } else if (character === '\\') {
      word = (word ?? '') + (line[++at] ?? '');
    } else if (/\s/.test(character)) {
      if (word !== undefined) words.push(word);
      word = undefined;
    } else {
      word = (word ?? '') + character;
    }
  }
  words.push(word ?? '');
  return words;
}

/**
 * How much of a word bash has already behind it: it parts words at the characters of COMP_WORDBREAKS too, and replaces
 * only what follows the last of them.
 */
export function keptLength(word: string, wordBreaks: string): number {
  let length = 0;
  for (const [index, character] of [...word].entries()) {
    if ((character === '=' || character === ':') && wordBreaks.includes(character)) length = index + 1;
  }
  return length;
}
