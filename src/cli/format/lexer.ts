/** Splits a template into text and the tokens of its actions (the syntax of Go's text/template). */
import { TemplateError } from './error.ts';

export type TokenKind =
  | 'field' // .Name
  | 'dot'
  | 'variable' // $, $name
  | 'word' // function or keyword
  | 'string'
  | 'number'
  | 'pipe'
  | 'declare' // :=
  | 'assign' // =
  | 'comma'
  | 'open'
  | 'close'
  | 'char'; // anything else that can be printed

export interface Token {
  kind: TokenKind;
  /** The value: of a string without its quotes, of a field without its dot. */
  text: string;
  /** As written. */
  source: string;
  /** Where it begins and ends in the template. */
  start: number;
  end: number;
  /** Whether white space stands before it. */
  spaced: boolean;
}

export type Piece =
  | { kind: 'text'; text: string; start: number }
  | { kind: 'action'; tokens: Token[]; start: number; end: number };

const isSpace = (character: string | undefined): boolean => character !== undefined && /^[ \t\r\n]$/.test(character);
const isWord = (character: string | undefined): boolean =>
  character !== undefined && /^[\p{L}\p{N}_]$/u.test(character);

/** Splits `source`. Throws `TemplateError` with text/template's words. */
export function tokenize(source: string, name: string): Piece[] {
  const pieces: Piece[] = [];
  let at = 0;
  let trimNext = false;
  while (at < source.length) {
    const open = source.indexOf('{{', at);
    let text = open === -1 ? source.slice(at) : source.slice(at, open);
    if (trimNext) text = text.trimStart();
    const inner = open + 2;
    const trimBefore = open !== -1 && source[inner] === '-' && isSpace(source[inner + 1]);
    if (trimBefore) text = text.trimEnd();
    if (text !== '') pieces.push({ kind: 'text', text, start: at });
    if (open === -1) break;
    const start = inner + (trimBefore ? 2 : 0);
    const action = source.startsWith('/*', start)
      ? skipComment(source, start, name)
      : new ActionLexer(source, start, name).run();
    if (action.tokens !== undefined) pieces.push({ kind: 'action', tokens: action.tokens, start, end: action.end });
    at = action.end;
    trimNext = action.trimAfter;
  }
  return pieces;
}

interface Action {
  tokens?: Token[];
  end: number;
  trimAfter: boolean;
}

function fail(source: string, name: string, position: number, message: string): never {
  throw new TemplateError(`template: ${name}:${lineOf(source, position)}: ${message}`);
}

/** Line of a position, from 1. */
export function lineOf(source: string, position: number): number {
  return source.slice(0, position).split('\n').length;
}

function skipComment(source: string, start: number, name: string): Action {
  const close = source.indexOf('*/', start + 2);
  if (close === -1) fail(source, name, start, 'unclosed comment');
  const match = /^(\s-)?\}\}/.exec(source.slice(close + 2, close + 6));
  if (match === null) fail(source, name, start, 'comment ends before closing delimiter');
  return { end: close + 2 + match[0].length, trimAfter: match[1] !== undefined };
}

const escapes: Readonly<Record<string, string>> = {
  a: '\x07',
  b: '\b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
  v: '\v',
  '\\': '\\',
  '"': '"',
  "'": "'",
};

/** What a string or character constant of Go stands for. */
function unquote(body: string): string | undefined {
  let bad = false;
  const text = body.replace(
    /\\(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([0-7]{3})|([\s\S]))/g,
    (_, hex?: string, short?: string, long?: string, octal?: string, simple?: string) => {
      const code = hex ?? short ?? long;
      if (code !== undefined) return String.fromCodePoint(Number.parseInt(code, 16));
      if (octal !== undefined) return String.fromCodePoint(Number.parseInt(octal, 8));
      const replacement = escapes[simple ?? ''];
      if (replacement === undefined) bad = true;
      return replacement ?? '';
    },
  );
  return bad ? undefined : text;
}

const singleTokens: Readonly<Record<string, TokenKind>> = {
  '|': 'pipe',
  '(': 'open',
  ')': 'close',
  ',': 'comma',
  '=': 'assign',
};

class ActionLexer {
  private at: number;
  private spaced = false;
  private readonly tokens: Token[] = [];
  private readonly source: string;
  private readonly start: number;
  private readonly name: string;

  constructor(source: string, start: number, name: string) {
    this.source = source;
    this.start = start;
    this.at = start;
    this.name = name;
  }

  run(): Action {
    for (;;) {
      this.spaced = false;
      while (isSpace(this.source[this.at])) {
        this.at++;
        this.spaced = true;
      }
      if (this.spaced && this.source.startsWith('-}}', this.at)) return this.finish(3, true);
      if (this.source.startsWith('}}', this.at)) return this.finish(2, false);
      if (this.at >= this.source.length) this.fail('unclosed action');
      this.next();
    }
  }

  private finish(length: number, trimAfter: boolean): Action {
    return { tokens: this.tokens, end: this.at + length, trimAfter };
  }

  private fail(message: string): never {
    fail(this.source, this.name, this.start, message);
  }

  private push(kind: TokenKind, end: number, text?: string): void {
    const source = this.source.slice(this.at, end);
    this.tokens.push({ kind, text: text ?? source, source, start: this.at, end, spaced: this.spaced });
    this.at = end;
  }

  private next(): void {
    const character = this.source[this.at] ?? '';
    const rest = this.source.slice(this.at);
    const single = singleTokens[character];
    if (single !== undefined) this.push(single, this.at + 1);
    else if (character === '"') this.quoted('"', 'unterminated quoted string');
    else if (character === "'") this.quoted("'", 'unterminated character constant');
    else if (character === '`') this.raw();
    else if (rest.startsWith(':=')) this.push('declare', this.at + 2);
    else if (/^[+-]?(\.?\d)/.test(rest)) this.number();
    else if (character === '.') this.field();
    else if (character === '$') this.variable();
    else if (isWord(character)) this.word();
    else this.push('char', this.at + 1);
  }

  private quoted(quote: string, message: string): void {
    let end = this.at + 1;
    while (this.source[end] !== quote) {
      if (end >= this.source.length || this.source[end] === '\n') this.fail(message);
      end += this.source[end] === '\\' ? 2 : 1;
    }
    const text = unquote(this.source.slice(this.at + 1, end));
    if (text === undefined) this.fail('invalid syntax');
    if (quote === '"') {
      this.push('string', end + 1, text);
      return;
    }
    const code = text.codePointAt(0);
    if (code === undefined || [...text].length !== 1) {
      this.fail(`malformed character constant: ${this.source.slice(this.at, end + 1)}`);
    }
    this.push('number', end + 1, String(code));
  }

  private raw(): void {
    const end = this.source.indexOf('`', this.at + 1);
    if (end === -1) this.fail('unterminated raw quoted string');
    this.push('string', end + 1, this.source.slice(this.at + 1, end));
  }

  private number(): void {
    const match = /^[+-]?(?:0[xX][\da-fA-F_]+|0[bB][01_]+|0[oO][0-7_]+|(?:\d[\d_]*)?\.?\d*(?:[eE][+-]?\d+)?)/.exec(
      this.source.slice(this.at),
    );
    const end = this.at + (match?.[0].length ?? 1);
    const text = (match?.[0] ?? '').replaceAll('_', '').replace(/^\+/, '');
    const negative = text.startsWith('-');
    const value = Number(negative ? text.slice(1) : text) * (negative ? -1 : 1);
    if (isWord(this.source[end]) || Number.isNaN(value)) {
      this.fail(`bad number syntax: ${JSON.stringify(this.source.slice(this.at, end + 1))}`);
    }
    this.push('number', end, String(value));
  }

  private wordEnd(from: number): number {
    let end = from;
    while (isWord(this.source[end])) end++;
    return end;
  }

  /** What may follow a field, variable or word. */
  private checkEnd(end: number): void {
    const character = this.source[end];
    if (character === undefined || isSpace(character) || '.,|:=)('.includes(character)) return;
    if (this.source.startsWith('}}', end)) return;
    const code = character.charCodeAt(0).toString(16).toUpperCase().padStart(4, '0');
    this.fail(`bad character U+${code} '${character}'`);
  }

  private field(): void {
    const end = this.wordEnd(this.at + 1);
    if (end === this.at + 1) {
      this.push('dot', end);
      return;
    }
    this.checkEnd(end);
    this.push('field', end, this.source.slice(this.at + 1, end));
  }

  private variable(): void {
    const end = this.wordEnd(this.at + 1);
    this.checkEnd(end);
    this.push('variable', end);
  }

  private word(): void {
    const end = this.wordEnd(this.at);
    this.checkEnd(end);
    this.push('word', end);
  }
}
