/** An explanation for a terminal. */
import { escapeControls } from '../output.ts';
import type { Style } from '../style.ts';
import type { Section, Sheet, SheetStep } from './sheet.ts';
import { words } from './words.ts';

export interface TextOptions {
  /** Columns. */
  width: number;
  paint: (style: Style, text: string) => string;
}

/** The whole sheet; no line is wider than the terminal. */
export function renderText(sheet: Sheet, { width, paint }: TextOptions): string {
  const columns = Math.max(width, 40);
  const digits = String(sheet.sections.at(-1)?.steps.at(-1)?.number ?? 0).length;
  const lines = wrap(sheet.heading, columns).map((line) => paint('bold', line));
  for (const note of sheet.notes) lines.push(...wrap(note, columns));
  for (const remark of sheet.remarks) {
    const { remark: word } = words[sheet.language];
    lines.push(...wrap(`${word}: ${remark}`, columns).map((line) => paint('yellow', line)));
  }
  for (const section of sheet.sections) lines.push('', ...renderSection(section, sheet, digits, columns, paint));
  return `${lines.join('\n')}\n`;
}

function renderSection(
  section: Section,
  sheet: Sheet,
  digits: number,
  columns: number,
  paint: TextOptions['paint'],
): string[] {
  return [
    ...wrap(`${section.name} (${section.side})`, columns).map((line) => paint('bold', line)),
    ...wrap(section.about, columns).map((line) => paint('dim', line)),
    ...section.steps.flatMap((step) => renderStep(step, sheet, digits, columns, paint)),
  ];
}

function renderStep(
  step: SheetStep,
  sheet: Sheet,
  digits: number,
  columns: number,
  paint: TextOptions['paint'],
): string[] {
  const text = words[sheet.language];
  const indent = ' '.repeat(digits + 2);
  const room = columns - indent.length;
  const [first = '', ...rest] = wrap(step.title, room);
  const lines = [`${String(step.number).padStart(digits)}. ${first}`, ...rest.map((line) => indent + line)];
  const below = (words: string, style?: Style): void => {
    for (const line of wrap(words, room)) lines.push(indent + (style === undefined ? line : paint(style, line)));
  };
  if (step.call !== undefined) below(step.call, 'green');
  if (step.why !== '') below(`${text.why}: ${step.why}`);
  if (step.without !== '') below(`${text.without}: ${step.without}`, 'yellow');
  // Of a script only how it begins: --format sh has all of it.
  const [shell = '', ...more] = step.shell.split('\n');
  // A comment stands where a shell has no command for it.
  if (shell !== '') below(`${shell.startsWith('#') ? '' : '$ '}${shell}${more.length === 0 ? '' : ' …'}`, 'dim');
  return lines;
}

/** Lines of at most `width` columns; a word that is longer is broken. Control characters are made visible. */
export function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of escapeControls(text).split(' ')) {
    let rest = word;
    if (line !== '' && line.length + 1 + rest.length > width) {
      lines.push(line);
      line = '';
    }
    while (rest.length > width) {
      const room = line === '' ? width : width - line.length - 1;
      line = line === '' ? rest.slice(0, room) : `${line} ${rest.slice(0, room)}`;
      lines.push(line);
      line = '';
      rest = rest.slice(room);
    }
    line = line === '' ? rest : `${line} ${rest}`;
  }
  lines.push(line);
  return lines;
}
