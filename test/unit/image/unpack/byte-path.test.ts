import { expect, test } from 'vitest';
import { bytePath, checkLinkTarget, printable, splitPath } from '../../../../src/image/unpack/byte-path.ts';

test.each([
  ['etc/passwd', ['etc', 'passwd']],
  ['/etc/passwd', ['etc', 'passwd']],
  ['//etc//./passwd', ['etc', 'passwd']],
  ['./etc/', ['etc']],
  ['./', []],
  ['/', []],
  ['', []],
  ['...', ['...']],
  ['a/..b/c..', ['a', '..b', 'c..']],
  ['\xff/\xe4', ['\xff', '\xe4']],
])('%j is %j', (path, components) => {
  expect(splitPath(path)).toEqual(components);
});

test.each(['..', '../x', 'a/../b', 'a/..', '/..', './..'])('%j is refused', (path) => {
  expect(() => splitPath(path)).toThrow(/leaves its directory by ".."/);
});

test('names have the limits of the kernel', () => {
  expect(splitPath(`a/${'n'.repeat(255)}`)).toHaveLength(2);
  expect(() => splitPath('n'.repeat(256))).toThrow('has a name of 256 bytes; a name can have 255');
  expect(() => splitPath('n'.repeat(5000))).toThrow('too long');
  expect(() => splitPath('d/'.repeat(2048))).toThrow('too long');
  expect(splitPath('d/'.repeat(2047))).toHaveLength(2047);
  expect(() => splitPath('a\0b')).toThrow('NUL byte');
});

test('what a message shows cannot disguise it', () => {
  expect(printable('plain/name')).toBe('"plain/name"');
  expect(printable(bytePath('näme'))).toBe('"näme"');
  expect(printable('\xffn\xe4')).toBe('"\\xffn\\xe4"');
  expect(printable('a\x1b[31mb\n')).toBe('"a\\x1b[31mb\\x0a"');
  expect(printable('quote"back\\slash')).toBe('"quote\\"back\\\\slash"');
  expect(printable(bytePath('a\u202eb'))).toBe('"a\\u202eb"');
  expect(printable('n'.repeat(5000))).toMatch(/^"n{140}…n{60}" \(5000 bytes\)$/);
});

test('link targets are kept as they are, if the kernel takes them', () => {
  expect(() => checkLinkTarget('../../../etc/passwd', 'l')).not.toThrow();
  expect(() => checkLinkTarget('', 'l')).toThrow('link to nothing');
  expect(() => checkLinkTarget('a\0b', 'l')).toThrow('NUL');
  expect(() => checkLinkTarget('x'.repeat(4096), 'l')).toThrow('4096 bytes');
});
