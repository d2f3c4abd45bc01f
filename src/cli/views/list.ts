/** Prints rows the ways that docker's --format has: a table, one's own table, JSON lines, one's own template. */
import { TsrunError } from '../../error.ts';
import { compileTemplate, TemplateError } from '../format/template.ts';
import { type Struct, toJson, type Value } from '../format/value.ts';
import { escapeCells, escapeControls, print } from '../output.ts';
import { alignColumns } from '../table.ts';
import { printForeign } from '../terminal.ts';

export interface ListOptions {
  /** Of --format; absent or empty: the default table. */
  format: string | undefined;
  /** -q: only this field. */
  quiet: boolean;
  /** Fields of the default table. */
  columns: readonly string[];
  /** The field that -q shows. */
  idField: string;
  titles: Readonly<Record<string, Value>>;
  /** For messages: `container`. */
  thing: string;
}

/** Whether the rows end up in a table, where text of images and containers must be made harmless. */
export function isTable(format: string | undefined): boolean {
  return format === undefined || format === '' || /^table(\s|$)/.test(format);
}

/** Docker takes `\t` and `\n` in templates for what they stand for. */
function unescapeFormat(format: string): string {
  return format.replaceAll('\\t', '\t').replaceAll('\\n', '\n');
}

function fail(error: unknown, where: string): never {
  if (error instanceof TemplateError) throw new TsrunError('USAGE', `${where}: ${error.message}`, { hint: formatHint });
  throw error;
}

const formatHint = 'fields are written {{.Name}}; --format json shows which there are';

/** Applies a template, with docker's words for what is wrong with it. */
function compile(format: string, thing: string): ReturnType<typeof compileTemplate> {
  try {
    return compileTemplate(format, (field) => `can't evaluate field ${field} in type ${thing}`);
  } catch (error) {
    fail(error, 'failed to parse template');
  }
}

/** The text of all rows. Throws `USAGE` for a template that does not fit. */
export function renderList(rows: readonly Struct[], options: ListOptions): string {
  const format = options.format ?? '';
  if (format === 'json') return rows.map((row) => `${toJson(row)}\n`).join('');
  if (options.quiet && (format === '' || format === 'table')) {
    return rows.map((row) => `${String(row[options.idField])}\n`).join('');
  }
  if (format === '' || format === 'table') {
    const header = options.columns.map((column) => String(options.titles[column]));
    const lines = rows.map((row) => escapeCells(options.columns.map((column) => String(row[column]))));
    return alignColumns([header, ...lines].map((cells) => `${cells.join('\t')}\n`).join(''));
  }
  const asTable = isTable(format);
  const template = compile(unescapeFormat(asTable ? format.slice('table'.length).trim() : format), options.thing);
  let text = asTable ? `${template.header(options.titles)}\n` : '';
  for (const row of rows) {
    try {
      text += `${template.apply(row)}\n`;
    } catch (error) {
      fail(error, 'failed to execute template');
    }
  }
  return asTable ? alignColumns(escapeControls(text, true)) : text;
}

/** Prints what `renderList` makes of the rows. */
export function printList(rows: readonly Struct[], options: ListOptions): void {
  const text = renderList(rows, options);
  if (isTable(options.format)) print(text);
  else printForeign(text);
}
