/** Words of Dockerfiles: what buildkit's shell/lex.go makes of the same text. */
import { describe, expect, test } from 'vitest';
import { expandWord, splitWords } from '../../../src/image/shell-word.ts';

const variables = new Map([
  ['x', 'foo/bar/baz.tar.gz'],
  ['empty', ''],
  ['PWD', '/home'],
]);

// An at sign stands for a dollar: what follows is no template of JavaScript.
describe('parts of values', () => {
  test.each([
    ['@{x#*/}', 'bar/baz.tar.gz'],
    ['@{x##*/}', 'baz.tar.gz'],
    ['@{x%.*}', 'foo/bar/baz.tar'],
    ['@{x%%.*}', 'foo/bar/baz'],
    ['@{x/ba/BA}', 'foo/BAr/baz.tar.gz'],
    ['@{x//ba/BA}', 'foo/BAr/BAz.tar.gz'],
    ['@{x/a*/}', 'foo/b'],
    ['@{x#nope}', 'foo/bar/baz.tar.gz'],
    ['@{x%?z}', 'foo/bar/baz.tar.'],
    ['@{x:-y}', 'foo/bar/baz.tar.gz'],
    ['@{empty:-@PWD}', '/home'],
    ['@{empty-y}', ''],
    ['@{none+y}', ''],
    ['@{x:+y}', 'y'],
    ["'$x'", '$x'],
    ['"$PWD/a"', '/home/a'],
    ['\\$x', '$x'],
  ])('%s', (text, expected) => expect(expandWord(text.replaceAll('@', '$'), variables)).toBe(expected));

  test('another escape', () => {
    expect(expandWord('C:\\a`$x', variables, { escapeToken: '`' })).toBe('C:\\a$x');
    expect(splitWords('a` b c\\ d', '`')).toEqual(['a` b', 'c\\', 'd']);
  });

  test('text of here-documents keeps quotes', () => {
    expect(expandWord(`"$PWD" 'a' \\$x \\n`, variables, { raw: true })).toBe(`"/home" 'a' $x \\n`);
  });
});
