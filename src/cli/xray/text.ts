/** The sheet of `xray` for a terminal: tables that fit its width, whatever the container has put into names. */
import { wrap } from '../explain/text.ts';
import type { Style } from '../style.ts';
import type { Field, Table, Way, XraySection, XraySheet } from './sheet.ts';

export interface TextOptions {
  /** Columns. */
  width: number;
  paint: (style: Style, text: string) => string;
}

const gap = 2;
/** No column gets narrower than this many characters. */
const narrowest = 6;

/** No line is wider than the terminal; control characters are made visible. */
export function renderXray(sheet: XraySheet, options: TextOptions): string {
  const width = Math.max(options.width, 40);
  const { paint } = options;
  const lines = wrap(sheet.heading, width).map((line) => paint('bold', line));
  for (const section of sheet.sections) lines.push('', ...renderSection(section, { width, paint }));
  return `${lines.join('\n')}\n`;
}

export function renderSection({ title, about, fields, table, ways }: XraySection, options: TextOptions): string[] {
  const { width, paint } = options;
  return [
    ...wrap(title, width).map((line) => paint('bold', line)),
    ...wrap(about, width).map((line) => paint('dim', line)),
    ...renderFields(fields, options),
    ...(table === undefined ? [] : renderTable(table, options)),
    ...ways.flatMap((way) => renderWay(way, options)),
  ];
}

/** Labels in a column of their own, values beside it. */
export function renderFields(fields: readonly Field[], { width, paint }: TextOptions): string[] {
  const label = Math.min(
    Math.max(0, ...fields.map((one) => wrap(one.label, 1000)[0]?.length ?? 0)),
    Math.floor(width / 3),
  );
  return fields.flatMap((one) => {
    const names = wrap(one.label, label);
    const values = wrap(one.value, width - label - gap);
    return Array.from({ length: Math.max(names.length, values.length) }, (_, index) => {
      const name = (names[index] ?? '').padEnd(label);
      return `${paint('green', name)}${' '.repeat(gap)}${values[index] ?? ''}`.trimEnd();
    });
  });
}

/** The widest columns give way until the table fits; their cells go on in the next lines. */
export function renderTable({ head, rows }: Table, { width, paint }: TextOptions): string[] {
  const all = [head, ...rows].map((row) => row.map(visible));
  const widths = head.map((_, column) => Math.max(...all.map((row) => row[column]?.length ?? 0)));
  const room = width - gap * (head.length - 1);
  while (widths.reduce((sum, one) => sum + one, 0) > room) {
    const widest = widths.indexOf(Math.max(...widths));
    if ((widths[widest] ?? 0) <= narrowest) break;
    widths[widest] = (widths[widest] ?? 0) - 1;
  }
  return all.flatMap((row, index) => {
    const cells = row.map((cell, column) => wrapIndented(cell, widths[column] ?? narrowest));
    const height = Math.max(...cells.map((cell) => cell.length));
    return Array.from({ length: height }, (_, line) => {
      const parts = cells.map((cell, column) => (cell[line] ?? '').padEnd(widths[column] ?? 0));
      const text = parts.join(' '.repeat(gap)).trimEnd();
      return index === 0 ? paint('green', text) : text;
    });
  });
}

/** Spaces at the beginning stand for a place in a tree. */
function wrapIndented(cell: string, width: number): string[] {
  const indent = /^ */.exec(cell)?.[0].slice(0, Math.max(0, width - narrowest)) ?? '';
  return wrap(cell.trimStart(), width - indent.length).map((line) => indent + line);
}

/** As it will be shown, with its indentation. */
function visible(cell: string): string {
  const indent = /^ */.exec(cell)?.[0] ?? '';
  return indent + wrap(cell.slice(indent.length), Number.MAX_SAFE_INTEGER).join('');
}

function renderWay({ title, stages }: Way, { width, paint }: TextOptions): string[] {
  return [
    '',
    ...wrap(title, width).map((line) => paint('green', line)),
    ...stages.flatMap(({ kind, name, details }, index) => {
      const [first = '', ...more] = wrap(`${kind}: ${name}`, width - 4);
      return [
        `${index === 0 ? '   ' : '-> '} ${first}`,
        ...more.map((line) => `    ${line}`),
        ...details.flatMap((detail) => wrap(detail, width - 6).map((line) => paint('dim', `      ${line}`))),
      ];
    }),
  ];
}
