import { expect, test } from 'vitest';
import { alignColumns } from '../../../src/cli/table.ts';

test('columns are as wide as their widest cell and three more, and at least ten', () => {
  expect(alignColumns('NAMES\tSTATUS\nweb\tUp\n')).toBe('NAMES     STATUS\nweb       Up\n');
  expect(alignColumns('ID\tX\n0123456789ab\ty\n')).toBe('ID             X\n0123456789ab   y\n');
});

test('an empty cell takes its column, the last cell takes none', () => {
  expect(alignColumns('A\tB\tC\nx\t\tz\n')).toBe('A         B         C\nx                   z\n');
});

test('text without tabs is left alone', () => {
  expect(alignColumns('a b c\nlonger line\n')).toBe('a b c\nlonger line\n');
});

test('a column ends where a line has no cell in it', () => {
  expect(alignColumns('a long cell indeed\tx\nplain\nb\ty\n')).toBe('a long cell indeed   x\nplain\nb         y\n');
});

test('characters count, not bytes', () => {
  expect(alignColumns('"sh -c …"\tx\n0123456789012\ty\n')).toBe('"sh -c …"       x\n0123456789012   y\n');
});

test('lines of the same columns are laid out as others are', () => {
  const even = 'NAME\tX\tEND\na 👍 name of more than ten\t\t\nb\t0123456789ab\te\n';
  // A last line without columns makes it uneven, and is in no column.
  expect(alignColumns(even)).toBe(alignColumns(`${even}.\n`).slice(0, -2));
  expect(alignColumns(even, 4)).toBe(alignColumns(`${even}.\n`, 4).slice(0, -2));
});
