import { describe, expect, test } from 'vitest';
import { remoteSource } from '../../../src/build/remote-file.ts';

const hex = 'a'.repeat(64);

describe('a source of ADD', () => {
  test.each([
    ['http://h/a/b.txt?x=y#z', 'b.txt'],
    ['https://h/a%20b', 'a b'],
    ['https://h', undefined],
    ['https://h/a/', undefined],
    ['https://h/a/%2e%2e', undefined],
    ['https://h/a%2Fb', undefined],
    ['https://h/%00', undefined],
    ['https://h/%E9', '%E9'],
  ])('%s is called %s', (url, name) => {
    expect(remoteSource(url, undefined)).toEqual({ url, name, checksum: undefined });
  });

  test('that is a path is none', () => {
    for (const path of ['a.txt', './http://x', 'https:/h', 'git', 'a.git', 'github.com/a/b']) {
      expect(remoteSource(path, undefined)).toBe(undefined);
    }
  });

  test.each(['git@h:a/b.git', 'git://h/a', 'ssh://git@h/a', 'https://h/a/b.git', 'https://h/a/b.git#main:sub'])(
    '%s is refused',
    (url) => expect(() => remoteSource(url, undefined)).toThrow(`tsrun build has no ADD of a git repository: ${url}`),
  );

  test('--checksum', () => {
    expect(remoteSource('https://h/a', `sha256:${hex}`)?.checksum).toBe(hex);
    expect(() => remoteSource('a', `sha256:${hex}`)).toThrow("checksum can't be specified for non-HTTP(S) sources");
    expect(() => remoteSource('https://h/a', 'sha256:12')).toThrow('invalid checksum digest format: sha256:12');
    expect(() => remoteSource('https://h/a', hex)).toThrow('invalid checksum digest format');
    expect(() => remoteSource('https://h/a', `md5:${hex}`)).toThrow('unsupported checksum algorithm: md5');
  });
});
