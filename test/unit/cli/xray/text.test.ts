import { expect, test } from 'vitest';
import { renderFields, renderTable } from '../../../../src/cli/xray/text.ts';
import { xrayWords } from '../../../../src/cli/xray/words.ts';

const plain = (width: number) => ({ width, paint: (_: unknown, text: string) => text });

test('a table that is too wide goes on in the next lines of its widest column', () => {
  const table = { head: ['a', 'path'], rows: [['1', '/a/very/long/path/that/does/not/fit']] };
  expect(renderTable(table, plain(20))).toEqual(['a  path', '1  /a/very/long/path', '   /that/does/not/fi', '   t']);
  expect(renderTable(table, plain(60))).toEqual(['a  path', '1  /a/very/long/path/that/does/not/fit']);
});

test('a tree keeps its indentation, and control characters take the room that they are shown in', () => {
  const table = { head: ['command', 'x'], rows: [['  \u001bsh -c', 'y']] };
  expect(renderTable(table, plain(60))).toEqual(['command      x', '  \\x1bsh -c  y']);
});

test('labels stand in a column, long values beside them', () => {
  const lines = renderFields([{ label: 'calls', value: 'one, two, three, four' }], plain(22));
  expect(lines).toEqual(['calls  one, two,', '       three, four']);
});

/** Keys of an object and of what lies in it. */
function keysOf(value: object): string[] {
  return Object.entries(value).flatMap(([key, inner]) =>
    typeof inner === 'object' && inner !== null ? keysOf(inner).map((below) => `${key}.${below}`) : [key],
  );
}

test('the words have the same keys in both languages, and Russian ones are Russian', () => {
  expect(keysOf(xrayWords.ru).sort()).toEqual(keysOf(xrayWords.en).sort());
  for (const section of Object.values(xrayWords.ru.sections)) expect(section.about).toMatch(/[а-яё]/);
});
