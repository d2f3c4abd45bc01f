/** .dockerignore: the cases of moby's patternmatcher. */
import { describe, expect, test } from 'vitest';
import { IgnorePatterns } from '../../../src/build/ignore.ts';

describe('what matches', () => {
  test.each([
    ['**', 'file', true],
    ['**/', 'dir/file', true],
    ['**/**', 'dir/file', true],
    ['dir/**', 'dir/dir2/file', true],
    ['dir/**', 'dir', false],
    ['**/dir', 'a/b/dir', true],
    ['**/file.txt', 'file.txt', true],
    ['**/dir2/*', 'dir/dir2/file', true],
    ['**/dir2/**', 'dir/dir2/dir2/file.txt', true],
    ['**file', 'dir/dir/file', true],
    ['**file.txt', 'dir/dir/file.txt', true],
    ['a**/*.txt', 'a/file.txt', true],
    ['a/**/*.txt', 'a/b/c/file.txt', true],
    ['a/*.txt', 'a/b/file.txt', false],
    ['a[b-d]e', 'ace', true],
    ['a[!b-d]e', 'a!e', true],
    ['a[^b-d]e', 'aze', true],
    ['a[^b-d]e', 'ace', false],
    ['a\\*b', 'a*b', true],
    ['a\\*b', 'axb', false],
    ['abc.def', 'abcdef', false],
    ['abc.def', 'abcZdef', false],
    ['abc?def', 'abcZdef', true],
    ['.*', '.foo', true],
    ['.*', 'foo', false],
    ['*.go', 'a.go', true],
    ['*.go', 'b/a.go', false],
    ['**/.foo', 'bar.foo', false],
    ['a(b)c', 'a(b)c', true],
    ['a|b', 'a|b', true],
    ['/foo', 'foo', true],
    ['./foo/', 'foo', true],
    ['foo', 'foo/bar', true],
    ['foo/../bar', 'bar', true],
    ['*', 'a/b', true],
    ['ü*', Buffer.from('über').toString('latin1'), true],
  ])('%j leaves out %j: %j', (pattern, path, expected) => {
    expect(new IgnorePatterns([pattern]).ignores(path)).toBe(expected);
  });
});

describe('several patterns', () => {
  const ignores = (text: string, path: string): boolean => IgnorePatterns.parse(text).ignores(path);

  test('the last that matches counts', () => {
    expect(ignores('*.md\n!README.md\n', 'README.md')).toBe(false);
    expect(ignores('*.md\n!README*.md\nREADME-secret.md\n', 'README-secret.md')).toBe(true);
    expect(ignores('!README.md\n*.md\n', 'README.md')).toBe(true);
    expect(ignores('dir\n!dir/keep\n', 'dir/keep')).toBe(false);
    expect(ignores('dir\n!dir/keep\n', 'dir/other')).toBe(true);
  });

  test('comments, blanks and byte order marks', () => {
    expect(ignores('\ufeffa\n# b\n\n  c  \n', 'a')).toBe(true);
    expect(ignores('# b\n', '# b')).toBe(false);
    expect(ignores('  c  \r\n', 'c')).toBe(true);
  });

  test('directories that may hold exceptions are looked into', () => {
    expect(new IgnorePatterns(['dir']).ignoresAllIn('dir')).toBe(true);
    expect(new IgnorePatterns(['dir', '!dir/a']).ignoresAllIn('dir')).toBe(false);
  });

  test.each(['[a', 'a\\', '!'])('%j is no pattern', (pattern) => {
    expect(() => new IgnorePatterns([pattern])).toThrow(/syntax error in pattern|illegal exclusion/);
  });
});
