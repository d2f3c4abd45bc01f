/**
 * Markdown for a terminal, as far as the pages of the course use it: headings, paragraphs, lists, quotes, fenced code,
 * and inside of them code, emphasis and links.
 */
import type { Style } from '../style.ts';

export interface MarkdownOptions {
  /** Columns. Code is not broken. */
  width: number;
  paint: (style: Style, text: string) => string;
}

interface Word {
  text: string;
  style: Style | undefined;
  /** Nothing stands between it and the word before. */
  joined: boolean;
}

/** The page; without colours it reads as plain text. */
export function renderMarkdown(page: string, options: MarkdownOptions): string {
  const { paint } = options;
  const width = Math.max(options.width, 20);
  const out: string[] = [];
  const lines = page.trimEnd().split('\n');
  for (let at = 0; at < lines.length; ) {
    const line = lines[at] ?? '';
    if (line.startsWith('```')) {
      at++;
      for (; at < lines.length && !lines[at]?.startsWith('```'); at++)
        out.push(`    ${paint('green', lines[at] ?? '')}`);
      at++;
      continue;
    }
    const heading = /^(#+) +(.*)$/.exec(line);
    if (heading !== null) {
      const text = plain(heading[2] ?? '');
      out.push(...flow(inline(text), width).map((each) => paint('bold', each)));
      if (heading[1] === '#') out.push('='.repeat(Math.min(text.length, width)));
      at++;
      continue;
    }
    if (line.trim() === '') {
      if (out.at(-1) !== '') out.push('');
      at++;
      continue;
    }
    // A paragraph, an item of a list or a quote goes on until something else begins.
    const marker = /^(\s*)(- |\d+\. |> )?/.exec(line);
    const lead = `${marker?.[1] ?? ''}${(marker?.[2] ?? '').replace('> ', '│ ')}`;
    let text = line.slice(marker?.[0].length ?? 0);
    for (at++; at < lines.length && !/^\s*(- |\d+\. |#+ |```|$)/.test(lines[at] ?? ''); at++) {
      text += ` ${(lines[at] ?? '').trim().replace(/^> ?/, '')}`;
    }
    const hanging = lead.includes('│') ? lead : ' '.repeat(lead.length);
    const flowed = flow(inline(text), width - lead.length, paint);
    out.push(...flowed.map((each, index) => (index === 0 ? lead : hanging) + each));
  }
  return `${out.join('\n')}\n`;
}

const marks = /`([^`]+)`|\*\*([^*]+)\*\*|\*([^*]+)\*|\[([^\]]+)\]\(([^)]+)\)/g;

/** Words with their style: `code`, **strong**, *emphasis*, and links, whose target follows in parentheses unless it is a file. */
function inline(text: string): Word[] {
  const words: Word[] = [];
  let end = 0;
  const add = (part: string, style?: Style): void => {
    const pieces = part.split(/(\s+)/).filter((piece) => piece !== '');
    let joined = words.length > 0 && !space;
    for (const piece of pieces) {
      space = /^\s/.test(piece);
      if (!space) words.push({ text: piece, style, joined });
      joined = false;
    }
  };
  let space = true;
  for (const match of text.matchAll(marks)) {
    add(text.slice(end, match.index));
    end = match.index + match[0].length;
    const [, code, strong, emphasis, link, target] = match;
    if (code !== undefined) add(code, 'green');
    else if (strong !== undefined) add(strong, 'bold');
    else if (emphasis !== undefined) add(emphasis, 'bold');
    else if (link !== undefined) add(/^https?:/.test(target ?? '') ? `${link} (${target})` : link);
  }
  add(text.slice(end));
  return words;
}

function plain(text: string): string {
  return text.replace(marks, (_, code, strong, emphasis, link) => code ?? strong ?? emphasis ?? link);
}

/** Lines of at most `width` columns; words that belong together are not parted. */
function flow(words: readonly Word[], width: number, paint?: MarkdownOptions['paint']): string[] {
  const lines: string[] = [];
  let line = '';
  let length = 0;
  for (let at = 0; at < words.length; ) {
    let group = '';
    let size = 0;
    do {
      const word = words[at++];
      if (word === undefined) break;
      group += word.style === undefined || paint === undefined ? word.text : paint(word.style, word.text);
      size += word.text.length;
    } while (words[at]?.joined === true);
    if (length > 0 && length + 1 + size > width) {
      lines.push(line);
      line = '';
      length = 0;
    }
    line += length === 0 ? group : ` ${group}`;
    length += size + (length === 0 ? 0 : 1);
  }
  if (length > 0) lines.push(line);
  return lines;
}
