/**
 * Words of a Dockerfile's instructions (buildkit frontend/dockerfile/shell/lex.go and parser/line_parsers.go): quotes,
 * backslashes and variables as a shell has them, without everything else that a shell does.
 */
import { TsrunError } from '../error.ts';

/** Splits at blanks outside of quotes; quotes and backslashes (or what else is `escape`) stay. */
export function splitWords(text: string, escapeToken = '\\'): string[] {
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
    if (character === escapeToken && quote !== "'" && at + 1 < text.length) word += text[++at] ?? '';
    else if (quote === '' && (character === '"' || character === "'")) quote = character;
    else if (character === quote) quote = '';
  }
  if (inWord) words.push(word);
  return words;
}

export interface ExpandOptions {
  /** A backslash, or what a Dockerfile's `escape` directive puts in its place. */
  escapeToken?: string;
  /** Quotes and backslashes stay: for the text of a here-document. */
  raw?: boolean;
}

/** Takes quotes away and puts values of variables in; an unknown variable is empty. Throws `USAGE` for what is not closed. */
export function expandWord(
  text: string,
  variables: ReadonlyMap<string, string>,
  { escapeToken = '\\', raw = false }: ExpandOptions = {},
): string {
  return new Expansion(text, variables, escapeToken, raw).run();
}

class Expansion {
  private at = 0;

  constructor(
    private readonly text: string,
    private readonly variables: ReadonlyMap<string, string>,
    private readonly escapeToken: string,
    private readonly raw: boolean,
  ) {}

  run(end = ''): string {
    let result = '';
    while (this.at < this.text.length) {
      const character = this.text[this.at] ?? '';
      if (character === end) return result;
      this.at++;
      if (character === '$') result += this.variable();
      else if (character === this.escapeToken) result += this.escaped();
      else if (!this.raw && character === "'") result += this.single();
      else if (!this.raw && character === '"') result += this.double();
      else result += character;
    }
    if (end !== '') throw this.failed(`missing ${end}`);
    return result;
  }

  /** A variable is all that an escape keeps from meaning something in raw text. */
  private escaped(): string {
    const next = this.text[this.at++] ?? '';
    if (this.raw) return next === '$' ? next : `${this.escapeToken}${next}`;
    return next === '' ? this.escapeToken : next;
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
      else if (character === this.escapeToken) {
        const next = this.text[this.at++] ?? '';
        result += `"$${this.escapeToken}`.includes(next) ? next : `${this.escapeToken}${next}`;
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
    if (name !== '' && /[#%/]/.test(this.text[this.at] ?? '')) return this.edited(value ?? '');
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

  /** `${x#pattern}`, `##`, `%`, `%%`, `${x/pattern/replacement}`, `//`: patterns have `*` and `?`. */
  private edited(value: string): string {
    const operator = /^(##?|%%?|\/\/?)/.exec(this.text.slice(this.at))?.[0] ?? '';
    this.at += operator.length;
    const replaces = operator.startsWith('/');
    const pattern = replaces ? this.run('/') : this.run('}');
    this.at++;
    const replacement = replaces ? this.run('}') : '';
    if (replaces) this.at++;
    const any = operator === '#' || operator === '%' ? '.*?' : '.*';
    const source = patternSource(pattern, any);
    if (replaces) return value.replace(new RegExp(source, operator === '//' ? 'gs' : 's'), () => replacement);
    if (operator.startsWith('#')) return value.replace(new RegExp(`^(?:${source})`, 's'), '');
    // The shortest end begins last: it is looked for from behind.
    const starts = Array.from({ length: value.length + 1 }, (_, index) => index);
    const whole = new RegExp(`^(?:${source})$`, 's');
    const start = (operator === '%' ? starts.reverse() : starts).find((at) => whole.test(value.slice(at)));
    return start === undefined ? value : value.slice(0, start);
  }

  private failed(why: string): TsrunError {
    return new TsrunError('USAGE', `failed to process ${JSON.stringify(this.text)}: ${why}`);
  }
}

/** A shell's pattern as a regular expression; a backslash takes the meaning of what follows. */
function patternSource(pattern: string, any: string): string {
  return pattern.replace(/\\(.)|[\s\S]/g, (character: string, escaped: string | undefined) => {
    if (escaped !== undefined) return escaped.replace(/[^\w\s]/g, '\\$&');
    if (character === '*') return any;
    return character === '?' ? '.' : character.replace(/[^\w\s]/g, '\\$&');
  });
}
