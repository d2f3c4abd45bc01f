/**
 * Columns as Go's text/tabwriter lays them out: a cell ends at a tab, a column is as wide as the widest cell of the
 * lines that follow one another and have it, and at least ten; three spaces part it from the next.
 */

const minimumWidth = 10;
const padding = 3;

/** How many columns a text takes: code points, as docker counts. */
function codePoints(text: string): number {
  let width = 0;
  for (const _ of text) width++;
  return width;
}

function codeUnits(text: string): number {
  return text.length;
}

/** Aligns text of lines and tabs; `minimum` is the width of the narrowest column. The last cell of a line belongs to no column. */
export function alignColumns(text: string, minimum = minimumWidth): string {
  // Nothing but one unit each, as nearly always.
  const displayWidth = /[\ud800-\udbff]/.test(text) ? codePoints : codeUnits;
  const lines = text.split('\n').map((line) => line.split('\t'));
  const whole = text.endsWith('\n') ? lines.slice(0, -1) : [];
  const [first] = whole;
  if (first !== undefined && whole.every(({ length }) => length === first.length)) {
    return alignEven(whole, displayWidth, minimum);
  }
  const widths = lines.map((): number[] => []);
  const columns = Math.max(...lines.map((cells) => cells.length)) - 1;
  for (let column = 0; column < columns; column++) {
    let first = 0;
    while (first < lines.length) {
      let last = first;
      let width = minimum;
      while (last < lines.length && (lines[last]?.length ?? 0) > column + 1) {
        width = Math.max(width, displayWidth(lines[last]?.[column] ?? '') + padding);
        last++;
      }
      for (let line = first; line < last; line++) widths[line]?.push(width);
      first = last + 1;
    }
  }
  return lines
    .map((cells, line) =>
      cells
        .map((cell, column) => {
          const width = widths[line]?.[column];
          return width === undefined || column === cells.length - 1
            ? cell
            : cell + ' '.repeat(width - displayWidth(cell));
        })
        .join(''),
    )
    .join('\n');
}

/** The same for lines that all have the same columns, as lists have, in a third of the time. */
function alignEven(lines: readonly string[][], displayWidth: (text: string) => number, minimum: number): string {
  const last = (lines[0]?.length ?? 1) - 1;
  const widths = Array.from({ length: last }, () => minimum);
  for (const cells of lines) {
    for (let column = 0; column < last; column++) {
      const width = displayWidth(cells[column] ?? '') + padding;
      if (width > (widths[column] ?? 0)) widths[column] = width;
    }
  }
  let text = '';
  for (const cells of lines) {
    for (let column = 0; column < last; column++) {
      const cell = cells[column] ?? '';
      text += cell;
      text += ' '.repeat((widths[column] ?? 0) - displayWidth(cell));
    }
    text += `${cells[last] ?? ''}\n`;
  }
  return text;
}
