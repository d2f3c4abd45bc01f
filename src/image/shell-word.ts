/**
 * Words of a Dockerfile's instructions (buildkit frontend/dockerfile/shell/lex.go and parser/line_parsers.go): quotes,
 * backslashes and variables as a shell has them, without everything else that a shell does.
 */
import { TsrunError } from '../error.ts';

/** Splits at blanks outside of quotes; quotes and backslashes stay. */
export function splitWords(text: string): string[] {
  const words: string[] = [];
  let word = '';
  let inWord = false;
  let quote = '';
  for (let at = 0; at < text.length; at++) {
    const character = text[at] ?? '';
    if (quote === '' && /\s/.test(character)) {
      if (inWord) words.push(word);
      word = '';
      inWord = false;
      continue;
    }
    inWord = true;
    word += character;
    if (character === '\\' && quote !== "'" && at + 1 < text.length) word += text[++at] ?? '';
    else if (quote === '' && (character === '"' || character === "'")) quote = character;
    else if (character === quote) quote = '';
  }
  if (inWord) words.push(word);
  return words;
}

/** Takes quotes away and puts values of variables in; an unknown variable is empty. Throws `USAGE` for what is not closed. */
export function expandWord(text: string, variables: ReadonlyMap<string, string>): string {
  return new Expansion(text, variables).run();
}

class Expansion {
  private at = 0;

  constructor(
    private readonly text: string,
    private readonly variables: ReadonlyMap<string, string>,
  ) {}

  run(end = ''): string {
    let result = '';
    while (this.at < this.text.length) {
      const character = this.text[this.at] ?? '';
      if (character === end) return result;
      this.at++;
      if (character === "'") result += this.single();
      else if (character === '"') result += this.double();
      else if (character === '$') result += this.variable();
      else if (character === '\\') result += this.text[this.at++] ?? '\\';
      else result += character;
    }
    if (end !== '') throw this.failed(`missing ${end}`);
    return result;
  }

  private single(): string {
    const close = this.text.indexOf("'", this.at);
    if (close === -1) throw this.failed('unexpected end of statement while looking for matching single-quote');
    const result = this.text.slice(this.at, close);
    this.at = close + 1;
    return result;
  }

  private double(): string {
    let result = '';
    while (this.at < this.text.length) {
      const character = this.text[this.at++] ?? '';
      if (character === '"') return result;
      if (character === '$') result += this.variable();
      else if (character === '\\') {
        const next = this.text[this.at++] ?? '';
        result += '"$\\'.includes(next) ? next : `\\${next}`;
      } else result += character;
    }
    throw this.failed('unexpected end of statement while looking for matching double-quote');
  }

  private variable(): string {
    if (this.text[this.at] !== '{') {
      const name = /^(?:[A-Za-z_]\w*|\d|[@*#?\-$!])/.exec(this.text.slice(this.at))?.[0];
      if (name === undefined) return '$';
      this.at += name.length;
      return this.variables.get(name) ?? '';
    }
    this.at++;
    const name = /^\w+/.exec(this.text.slice(this.at))?.[0] ?? '';
    this.at += name.length;
    const value = this.variables.get(name);
    if (name !== '' && this.text[this.at] === '}') {
      this.at++;
      return value ?? '';
    }
    const modifier = /^:?[-+?]/.exec(this.text.slice(this.at))?.[0];
    if (name === '' || modifier === undefined) throw this.failed('bad substitution');
    this.at += modifier.length;
    const word = this.run('}');
    this.at++;
    const set = modifier.startsWith(':') ? value !== undefined && value !== '' : value !== undefined;
    if (modifier.endsWith('+')) return set ? word : '';
    if (set) return value ?? '';
    if (modifier.endsWith('-')) return word;
    throw this.failed(`${name}: ${word === '' ? 'not set' : word}`);
  }

  private failed(why: string): TsrunError {
    return new TsrunError('USAGE', `failed to process ${JSON.stringify(this.text)}: ${why}`);
  }
}
