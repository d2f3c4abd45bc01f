/**
 * Reads a Dockerfile into instructions (Dockerfile reference; buildkit frontend/dockerfile/parser): directives, comments,
 * continued lines, here-documents, flags. What the instructions mean is not known here.
 */
import { parseArray } from '../../image/instructions.ts';
import { type Heredoc, heredocsOfLine } from './heredoc.ts';
import { DockerfileSource, type Location } from './source.ts';

export interface Instruction {
  /** In capitals. */
  name: string;
  /** `--NAME[=VALUE]`, as they stand. */
  flags: readonly string[];
  /** Behind the flags, in one line. */
  rest: string;
  heredocs: readonly Heredoc[];
  at: Location;
}

export interface Dockerfile {
  source: DockerfileSource;
  instructions: readonly Instruction[];
  escapeToken: '\\' | '`';
  /** Of a `# syntax=` line, which names a frontend that tsrun does not need. */
  syntax: string | undefined;
}

const known = new Set(
  'ADD ARG CMD COPY ENTRYPOINT ENV EXPOSE FROM HEALTHCHECK LABEL MAINTAINER ONBUILD RUN SHELL STOPSIGNAL USER VOLUME WORKDIR'.split(
    ' ',
  ),
);
const withHeredocs = new Set(['ADD', 'COPY', 'RUN']);
const directive = /^#\s*([a-zA-Z][a-zA-Z0-9]*)\s*=\s*(.+?)\s*$/;

/** Parses a Dockerfile. Throws `USAGE` with the place. */
export function parseDockerfile(text: string, name: string): Dockerfile {
  return new Parser(new DockerfileSource(name, text)).run();
}

/** One instruction in one line, as ONBUILD keeps it. */
export function parseTrigger(text: string, image: string): { source: DockerfileSource; instruction: Instruction } {
  const { source, instructions } = new Parser(new DockerfileSource(`ONBUILD of ${image}`, text)).run();
  const [instruction] = instructions;
  if (instruction === undefined) throw source.error({ start: 1, end: 1 }, 'an ONBUILD trigger is empty');
  return { source, instruction };
}

class Parser {
  private at = 0;
  private escapeToken: '\\' | '`' = '\\';
  private syntax: string | undefined;
  private readonly instructions: Instruction[] = [];

  constructor(private readonly source: DockerfileSource) {}

  run(): Dockerfile {
    this.directives();
    const { lines } = this.source;
    while (this.at < lines.length) {
      const line = lines[this.at] ?? '';
      if (isSkipped(line)) this.at++;
      else this.instruction();
    }
    const { source, instructions, escapeToken, syntax } = this;
    return { source, instructions, escapeToken, syntax };
  }

  private directives(): void {
    const seen = new Set<string>();
    for (; this.at < this.source.lines.length; this.at++) {
      const [, key = '', value = ''] = directive.exec(this.source.lines[this.at] ?? '') ?? [];
      const name = key.toLowerCase();
      if (!['escape', 'syntax', 'check'].includes(name)) return;
      const place = { start: this.at + 1, end: this.at + 1 };
      if (seen.has(name)) throw this.source.error(place, `only one ${name} parser directive can be used`);
      seen.add(name);
      if (name === 'syntax') this.syntax = value;
      if (name !== 'escape') continue;
      if (value !== '\\' && value !== '`') {
        throw this.source.error(place, `invalid escape token '${value}' does not match \\ or \``);
      }
      this.escapeToken = value;
    }
  }

  private instruction(): void {
    const start = this.at + 1;
    const line = this.logicalLine().trim();
    const [word = ''] = /^\S+/.exec(line) ?? [];
    const name = word.toUpperCase();
    const place = (): Location => ({ start, end: Math.max(start, this.at) });
    if (!known.has(name)) {
      throw this.source.error(place(), `unknown instruction: ${word}`, {
        hint: `there are ${[...known].join(', ')}; a line that goes on ends with ${this.escapeToken}`,
      });
    }
    const { flags, rest } = splitFlags(line.slice(word.length).trim(), this.escapeToken);
    const heredocs = this.heredocs(name, rest, start);
    if (rest === '' && name !== 'CMD' && name !== 'ENTRYPOINT') {
      throw this.source.error(place(), `${name} requires at least one argument`);
    }
    this.instructions.push({ name, flags, rest, heredocs, at: place() });
  }

  /** A line with all that continues it; comments and empty lines in between fall away. */
  private logicalLine(): string {
    const { lines } = this.source;
    const first = this.withoutContinuation((lines[this.at++] ?? '').trimStart());
    let { text, continued } = first;
    while (continued && this.at < lines.length) {
      const line = lines[this.at++] ?? '';
      if (isSkipped(line)) continue;
      const next = this.withoutContinuation(line);
      text += next.text;
      continued = next.continued;
    }
    return text;
  }

  private withoutContinuation(line: string): { text: string; continued: boolean } {
    const end = line.replace(/[ \t]+$/, '');
    const continued = end.endsWith(this.escapeToken) && end.at(-2) !== this.escapeToken;
    return continued ? { text: end.slice(0, -1), continued } : { text: line, continued };
  }

  private heredocs(name: string, rest: string, start: number): Heredoc[] {
    const line = name === 'ONBUILD' ? rest.replace(/^\S+\s*/, '') : rest;
    const keyword = name === 'ONBUILD' ? (/^\S+/.exec(rest)?.[0].toUpperCase() ?? '') : name;
    if (!withHeredocs.has(keyword) || parseArray(line) !== undefined) return [];
    return heredocsOfLine(line).map((announced) => {
      let content = '';
      for (;;) {
        const next = this.source.lines[this.at];
        if (next === undefined) {
          throw this.source.error({ start, end: start }, `unterminated heredoc: a line "${announced.name}" is missing`);
        }
        this.at++;
        if ((announced.chomp ? next.replace(/^\t+/, '') : next) === announced.name) return { ...announced, content };
        content += `${next}\n`;
      }
    });
  }
}

function isSkipped(line: string): boolean {
  return /^\s*(#|$)/.test(line);
}

/** Flags stand before everything else; `--` ends them (buildkit extractBuilderFlags). */
function splitFlags(text: string, escapeToken: string): { flags: string[]; rest: string } {
  const flags: string[] = [];
  let rest = text;
  while (rest.startsWith('--')) {
    const { word, length } = firstWord(rest, escapeToken);
    rest = rest.slice(length).trimStart();
    if (word === '--') break;
    flags.push(word);
  }
  return { flags, rest };
}

/** The first word, its quotes taken away, and how much of the text it is. */
function firstWord(text: string, escapeToken: string): { word: string; length: number } {
  let word = '';
  let quote = '';
  let at = 0;
  for (; at < text.length; at++) {
    const character = text[at] ?? '';
    if (quote === '' && /\s/.test(character)) break;
    if (character === escapeToken && quote !== "'" && at + 1 < text.length) word += text[++at] ?? '';
    else if (quote === '' && (character === '"' || character === "'")) quote = character;
    else if (character === quote) quote = '';
    else word += character;
  }
  return { word, length: at };
}
