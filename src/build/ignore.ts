/**
 * `.dockerignore`: which files of a context are no part of it (moby patternmatcher): patterns of Go's filepath.Match and
 * `**`, in order, the last that matches counts, `!` takes back. A directory that matches takes along what is in it.
 */
import { TsrunError } from '../error.ts';
import { type BytePath, bytePath } from '../image/unpack/byte-path.ts';

interface Pattern {
  expression: RegExp;
  /** `!`: what matches is a part of the context after all. */
  negated: boolean;
}

export class IgnorePatterns {
  private readonly patterns: readonly Pattern[];
  private readonly hasNegation: boolean;

  /** `lines`: of a `.dockerignore`. Throws `USAGE` for patterns that are none. */
  constructor(lines: readonly string[]) {
    this.patterns = lines.flatMap((line) => parsePattern(line) ?? []);
    this.hasNegation = this.patterns.some(({ negated }) => negated);
  }

  /** From the text of a `.dockerignore`. */
  static parse(text: string): IgnorePatterns {
    const lines = text.replace(/^\ufeff/, '').split('\n');
    return new IgnorePatterns(lines.filter((line) => !line.startsWith('#')));
  }

  /** Whether a path below the context's root is left out. */
  ignores(path: BytePath): boolean {
    if (this.patterns.length === 0) return false;
    const parts = path.split('/');
    const prefixes = parts.map((_, index) => parts.slice(0, index + 1).join('/'));
    let ignored = false;
    for (const { expression, negated } of this.patterns) {
      // What matched already needs no further match, and what is not ignored needs no exception.
      if (negated !== ignored) continue;
      if (prefixes.some((prefix) => expression.test(prefix))) ignored = !negated;
    }
    return ignored;
  }

  /** Whether nothing in an ignored directory can be a part of the context: then it need not be looked at. */
  ignoresAllIn(path: BytePath): boolean {
    return !this.hasNegation && this.ignores(path);
  }
}

function parsePattern(line: string): Pattern | undefined {
  let text = line.trim();
  if (text === '') return undefined;
  const negated = text.startsWith('!');
  if (negated) text = text.slice(1).trim();
  if (negated && text === '') throw new TsrunError('USAGE', 'illegal exclusion pattern: "!"');
  const cleaned = cleanPath(text);
  // The root itself is always there.
  if (cleaned === '') return undefined;
  return { expression: patternExpression(bytePath(cleaned)), negated };
}

/** `./a//b/../c/` is `a/c`; what would lead out of the context leads to its root. */
export function cleanPath(path: string): string {
  const parts: string[] = [];
  for (const part of path.split('/')) {
    if (part === '..') parts.pop();
    else if (part !== '' && part !== '.') parts.push(part);
  }
  return parts.join('/');
}

/** A pattern for whole paths. Throws `USAGE` where it is malformed. */
export function patternExpression(pattern: string): RegExp {
  let source = '';
  for (let at = 0; at < pattern.length; at++) {
    const character = pattern[at] ?? '';
    if (character === '*' && pattern[at + 1] === '*') {
      at++;
      // `**/` is any number of directories, and so none too.
      if (pattern[at + 1] === '/') {
        at++;
        source += '(?:.*/)?';
      } else source += '.*';
    } else if (character === '*') source += '[^/]*';
    else if (character === '?') source += '[^/]';
    else if (character === '[') {
      const end = pattern.indexOf(']', at + 2);
      if (end === -1) throw syntaxError(pattern);
      const body = pattern.slice(at + 1, end).replaceAll('[', '\\[');
      source += `(?!/)[${body}]`;
      at = end;
    } else if (character === '\\') {
      const next = pattern[++at];
      if (next === undefined) throw syntaxError(pattern);
      source += escapeExpression(next);
    } else source += escapeExpression(character);
  }
  try {
    return new RegExp(`^${source}$`, 's');
  } catch {
    throw syntaxError(pattern);
  }
}

function escapeExpression(character: string): string {
  return character.replace(/[\\^$.*+?()[\]{}|/-]/, '\\$&');
}

function syntaxError(pattern: string): TsrunError {
  return new TsrunError('USAGE', `syntax error in pattern: ${JSON.stringify(pattern)}`);
}
