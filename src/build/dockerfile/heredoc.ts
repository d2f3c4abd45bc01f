/** Here-documents of RUN, COPY and ADD (buildkit frontend/dockerfile/parser: `<<EOF`, `<<-EOF`, `<<"EOF"`, `3<<EOF`). */
import { splitWords } from '../../image/shell-word.ts';

export interface Heredoc {
  /** The word that ends it; the file's name where it is copied. */
  name: string;
  /** Lines with their newlines, as they stand. */
  content: string;
  /** Not quoted: variables are put in. */
  expand: boolean;
  /** `<<-`: tabs at the beginning of lines fall away. */
  chomp: boolean;
}

/** What a word announces; undefined where it is no here-document. */
export function parseHeredocWord(word: string): Omit<Heredoc, 'content'> | undefined {
  const match = /^\d*<<(-?)([^<]+)$/s.exec(word);
  if (match === null) return undefined;
  const written = match[2] ?? '';
  const name = written.replace(/\\(.)/gs, '$1').replace(/["']/g, '');
  if (name === '' || /\s/.test(written.replace(/(["']).*?\1/gs, ''))) return undefined;
  return { name, expand: !/["'\\]/.test(written), chomp: match[1] === '-' };
}

/** All that a line announces. */
export function heredocsOfLine(line: string): Omit<Heredoc, 'content'>[] {
  if (!line.includes('<<')) return [];
  return splitWords(line).flatMap((word) => parseHeredocWord(word) ?? []);
}

/** The content with its tabs taken away, where `<<-` asks for it. */
export function heredocText({ content, chomp }: Heredoc): string {
  return chomp ? content.replace(/^\t+/gm, '') : content;
}
