/** Help in docker's layout: usage, description, aliases, options in two columns. */
import type { Command, CommandEntry, CommandGroup } from './command.ts';
import type { Flag, FlagType } from './flag.ts';

/** Columns of the terminal, or 80. */
export function helpWidth(columns: number | undefined): number {
  return columns === undefined || columns < 40 ? 80 : columns;
}

/** What help prints behind the name of a flag. */
function valueWord(type: FlagType): string {
  return type === 'bool' ? '' : ` ${type}`;
}

/** Breaks text at spaces into lines of at most `width` columns; line breaks in it stay. */
export function wrapText(text: string, width: number): string[] {
  const lines: string[] = [];
  for (const paragraph of text.split('\n')) {
    let line = '';
    for (const word of paragraph.split(' ')) {
      if (line !== '' && line.length + 1 + word.length > width) {
        lines.push(line);
        line = word;
      } else {
        line = line === '' ? word : `${line} ${word}`;
      }
    }
    lines.push(line);
  }
  return lines;
}

/** The block below "Options:". */
export function renderFlags(flags: readonly Flag[], width: number): string {
  const shown = flags.filter((flag) => flag.hidden !== true);
  shown.sort((a, b) => (a.name < b.name ? -1 : 1));
  const titles = shown.map((flag) => {
    const short = flag.short === undefined ? '    ' : `-${flag.short}, `;
    return `  ${short}--${flag.name}${valueWord(flag.type)}`;
  });
  const indent = Math.max(0, ...titles.map((title) => title.length)) + 3;
  const lines = shown.map((flag, index) => {
    const shownDefault = flag.shownDefault === undefined ? '' : ` (default ${flag.shownDefault})`;
    const [first = '', ...rest] = wrapText(flag.description + shownDefault, Math.max(24, width - 1 - indent));
    const title = (titles[index] ?? '').padEnd(indent);
    return [title + first, ...rest.map((line) => ' '.repeat(indent) + line)].join('\n');
  });
  return lines.join('\n');
}

/** Usage line and description: what also follows a wrong number of arguments. */
export function renderUsage(name: string, command: Command): string {
  return `\nUsage:  ${name} ${command.usage}\n\n${command.description}\n`;
}

/** The whole help of a command that was called by `name`. */
export function renderCommandHelp(name: string, entry: CommandEntry, command: Command, width: number): string {
  let text = renderUsage(name, command);
  if (entry.names.length > 1) {
    const names = [...entry.names].reverse().map((alias) => `tsrun ${alias}`);
    text += `\nAliases:\n  ${names.join(', ')}\n`;
  }
  if (command.flags.some((flag) => flag.hidden !== true)) {
    text += `\nOptions:\n${renderFlags(command.flags, width)}\n`;
  }
  return text;
}

function renderList(title: string, rows: readonly { name: string; summary: string }[]): string {
  const width = Math.max(...rows.map((row) => row.name.length)) + 3;
  return `\n${title}:\n${rows.map((row) => `  ${row.name.padEnd(width)}${row.summary}\n`).join('')}`;
}

/** The help of a group: `tsrun container`. */
export function renderGroupHelp(group: CommandGroup, commands: readonly CommandEntry[]): string {
  const prefix = `${group.name} `;
  const rows = commands.flatMap((entry) => {
    const name = entry.names.find((alias) => alias.startsWith(prefix));
    return name === undefined ? [] : [{ name: name.slice(prefix.length), summary: entry.summary }];
  });
  rows.sort((a, b) => (a.name < b.name ? -1 : 1));
  return (
    `\nUsage:  tsrun ${group.name} COMMAND\n\n${group.summary}\n${renderList('Commands', rows)}` +
    `\nRun 'tsrun ${group.name} COMMAND --help' for more information on a command.\n`
  );
}

/** The help of tsrun itself. */
export function renderMainHelp(
  globalFlags: readonly Flag[],
  groups: readonly CommandGroup[],
  commands: readonly CommandEntry[],
  width: number,
): string {
  const rows = commands
    .filter((entry) => entry.hidden !== true && !entry.names[0]?.includes(' '))
    .map((entry) => ({ name: entry.names[0] ?? '', summary: entry.summary }));
  return (
    '\nUsage:  tsrun [OPTIONS] COMMAND\n\nA container runtime without a daemon\n' +
    `\nOptions:\n${renderFlags(globalFlags, width)}\n` +
    renderList('Management Commands', groups) +
    renderList('Commands', rows) +
    "\nRun 'tsrun COMMAND --help' for more information on a command.\n"
  );
}
