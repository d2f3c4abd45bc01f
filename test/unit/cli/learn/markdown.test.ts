import { expect, test } from 'vitest';
import { renderMarkdown } from '../../../../src/cli/learn/markdown.ts';
import type { Style } from '../../../../src/cli/style.ts';

const plain = (page: string, width = 40): string =>
  renderMarkdown(page, { width, paint: (_: Style, text: string) => text });
const marked = (page: string): string =>
  renderMarkdown(page, { width: 40, paint: (style, text) => `<${style} ${text}>` });

test('paragraphs are filled, lists hang, code stays as it is', () => {
  const page = [
    '# 1. A title',
    '',
    'one two three',
    'four five six seven eight nine ten',
    '',
    '1. an item that is longer than the line is wide',
    '2. another',
    '',
    '```sh',
    'a   command that is much longer than the line is wide',
    '```',
  ].join('\n');
  expect(plain(page).split('\n')).toEqual([
    '1. A title',
    '==========',
    '',
    'one two three four five six seven eight',
    'nine ten',
    '',
    '1. an item that is longer than the line',
    '   is wide',
    '2. another',
    '',
    '    a   command that is much longer than the line is wide',
    '',
  ]);
});

test('code, emphasis and links have their style, and punctuation stays at its word', () => {
  expect(marked('Use `chroot`, **not** *this* (see [there](https://example.org)).')).toBe(
    'Use <green chroot>, <bold not> <bold this> (see there\n(https://example.org)).\n',
  );
  expect(plain('a [page](../docs/x.md) and `a b`')).toBe('a page and a b\n');
  expect(marked('## A `code` heading')).toBe('<bold A code heading>\n');
});
