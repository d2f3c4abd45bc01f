import { expect, test } from 'vitest';
import { escapeControls } from '../../../src/cli/output.ts';

test.each([
  ['plain', 'plain'],
  ['ünïcödé 🙂', 'ünïcödé 🙂'],
  ['\x1b[31mred\x1b[0m', '\\x1b[31mred\\x1b[0m'],
  ['a\nb\tc\rd', 'a\\nb\\tc\\rd'],
  ['\x00\x07\x7f', '\\x00\\x07\\x7f'],
  ['\u009b31m', '\\x9b31m'],
  ['abc\u202egnp', 'abc\\u202egnp'],
  ['\u2066x\u2069', '\\u2066x\\u2069'],
])('%j is shown as %j', (text, shown) => {
  expect(escapeControls(text)).toBe(shown);
});

test('lines and columns may stay', () => {
  expect(escapeControls('a\tb\n\x1b]0;title\x07', true)).toBe('a\tb\n\\x1b]0;title\\x07');
});
