import { describe, expect, test } from 'vitest';
import { TsrunError } from '../../../src/error.ts';
import {
  familiarName,
  familiarRepository,
  formatReference,
  parseReference,
  repositoryName,
} from '../../../src/image/reference.ts';

const sha = 'sha256:09381fc979b541e01353965bc59d6cdd8ce712b40c5892976ef53d1d38618369';
const sha512 = `sha512:${'a'.repeat(128)}`;

describe('what docker accepts', () => {
  test.each([
    // typed, full, familiar
    ['debian', 'docker.io/library/debian:latest', 'debian:latest'],
    ['debian:12', 'docker.io/library/debian:12', 'debian:12'],
    ['library/debian', 'docker.io/library/debian:latest', 'debian:latest'],
    ['docker.io/debian', 'docker.io/library/debian:latest', 'debian:latest'],
    ['docker.io/library/debian:12', 'docker.io/library/debian:12', 'debian:12'],
    ['index.docker.io/debian', 'docker.io/library/debian:latest', 'debian:latest'],
    ['index.docker.io/foo/bar', 'docker.io/foo/bar:latest', 'foo/bar:latest'],
    ['foo/bar', 'docker.io/foo/bar:latest', 'foo/bar:latest'],
    ['foo/bar/baz:1', 'docker.io/foo/bar/baz:1', 'foo/bar/baz:1'],
    ['library/foo/bar', 'docker.io/library/foo/bar:latest', 'library/foo/bar:latest'],
    ['localhost/x', 'localhost/x:latest', 'localhost/x:latest'],
    ['localhost:5000/x', 'localhost:5000/x:latest', 'localhost:5000/x:latest'],
    ['localhost:5000', 'docker.io/library/localhost:5000', 'localhost:5000'],
    ['127.0.0.1:5000/library/debian', '127.0.0.1:5000/library/debian:latest', '127.0.0.1:5000/library/debian:latest'],
    ['ghcr.io/a/b:v1.2.3-rc_1', 'ghcr.io/a/b:v1.2.3-rc_1', 'ghcr.io/a/b:v1.2.3-rc_1'],
    ['quay.io/debian', 'quay.io/debian:latest', 'quay.io/debian:latest'],
    ['[::1]:5000/x', '[::1]:5000/x:latest', '[::1]:5000/x:latest'],
    ['[2001:db8::1]/x/y:t', '[2001:db8::1]/x/y:t', '[2001:db8::1]/x/y:t'],
    ['FOO/bar', 'FOO/bar:latest', 'FOO/bar:latest'],
    ['Registry.Example/x', 'Registry.Example/x:latest', 'Registry.Example/x:latest'],
    ['a.b', 'docker.io/library/a.b:latest', 'a.b:latest'],
    ['a__b/c-d/e--f.g', 'docker.io/a__b/c-d/e--f.g:latest', 'a__b/c-d/e--f.g:latest'],
    ['xn--n3h.com/x', 'xn--n3h.com/x:latest', 'xn--n3h.com/x:latest'],
    ['debian:LATEST_1.0', 'docker.io/library/debian:LATEST_1.0', 'debian:LATEST_1.0'],
    ['debian:_x', 'docker.io/library/debian:_x', 'debian:_x'],
    [`debian@${sha}`, `docker.io/library/debian@${sha}`, `debian@${sha}`],
    [`debian:12@${sha}`, `docker.io/library/debian:12@${sha}`, `debian:12@${sha}`],
    [`localhost:5000/x@${sha512}`, `localhost:5000/x@${sha512}`, `localhost:5000/x@${sha512}`],
    ['a'.repeat(63), `docker.io/library/${'a'.repeat(63)}:latest`, `${'a'.repeat(63)}:latest`],
    [`${'g'.repeat(64)}`, `docker.io/library/${'g'.repeat(64)}:latest`, `${'g'.repeat(64)}:latest`],
    [`x:${'t'.repeat(128)}`, `docker.io/library/x:${'t'.repeat(128)}`, `x:${'t'.repeat(128)}`],
    ['sha256:abc', 'docker.io/library/sha256:abc', 'sha256:abc'],
  ])('%s', (typed, full, familiar) => {
    const reference = parseReference(typed);
    expect(formatReference(reference)).toBe(full);
    expect(familiarName(reference)).toBe(familiar);
    // the full name means the same
    expect(parseReference(full)).toEqual(reference);
  });
});

describe('what docker refuses, in its words', () => {
  const format = 'invalid reference format';
  test.each([
    ['', format],
    [' ', format],
    ['FOO', 'invalid reference format: repository name must be lowercase'],
    ['FOO:tag', 'invalid reference format: repository name must be lowercase'],
    ['foo/Bar:tag', 'invalid reference format: repository name must be lowercase'],
    ['localhost:5000/Debian', 'invalid reference format: repository name must be lowercase'],
    ['a'.repeat(64), `invalid repository name (${'a'.repeat(64)}), cannot specify 64-byte hexadecimal strings`],
    ['x:', format],
    [':x', format],
    ['x@', format],
    ['@x', format],
    ['a:b:c', format],
    ['a b', format],
    ['a//b', format],
    ['/a', format],
    ['a/', format],
    ['-a', format],
    ['a-', format],
    ['a..b', format],
    ['a___b', format],
    ['.a', format],
    ['a/../b', format],
    ['../a', format],
    ['a:../x', format],
    ['a:-x', format],
    ['a:.x', format],
    [`a:${'t'.repeat(129)}`, format],
    ['http://a/b', format],
    ['https://docker.io/debian', format],
    ['a\nb', format],
    ['a\0b', format],
    ['ä', format],
    ['a.b:x/c', format],
    ['-host.com/x', format],
    ['[::1:5000/x', format],
    ['[zz]:1/x', format],
    ['a@sha256:123', format],
    [`a@sha256:${'0'.repeat(63)}`, 'invalid checksum digest length'],
    [`a@sha256:${'0'.repeat(65)}`, 'invalid checksum digest length'],
    [`a@sha256:${'A'.repeat(64)}`, 'invalid checksum digest format'],
    [`a@md5:${'0'.repeat(32)}`, 'unsupported digest algorithm'],
    [`a@__proto__:${'0'.repeat(32)}`, format],
    [`a@constructor:${'0'.repeat(32)}`, 'unsupported digest algorithm'],
    [`a@${sha}@${sha}`, format],
    ['a'.repeat(256), 'repository name must not be more than 255 characters'],
  ])('%j', (typed, message) => {
    expect(() => parseReference(typed)).toThrow(expect.objectContaining({ message, code: 'INVALID_REFERENCE' }));
  });
});

test('an error says how a reference is written', () => {
  try {
    parseReference('debian:');
    expect.unreachable();
  } catch (error) {
    expect(error).toBeInstanceOf(TsrunError);
    expect((error as TsrunError).hint).toBe(
      '"debian:" must read [HOST[:PORT]/]NAME[:TAG][@DIGEST], for example debian:12',
    );
  }
});

test('parts of a reference', () => {
  expect(parseReference(`localhost:5000/a/b:c@${sha}`)).toEqual({
    domain: 'localhost:5000',
    path: 'a/b',
    tag: 'c',
    digest: sha,
  });
  expect(parseReference(`debian@${sha}`).tag).toBeUndefined();
  expect(repositoryName(parseReference('debian:12'))).toBe('docker.io/library/debian');
  expect(familiarRepository(parseReference('debian:12'))).toBe('debian');
  expect(familiarRepository(parseReference('ghcr.io/a/b'))).toBe('ghcr.io/a/b');
});

test('a long name that almost fits is refused in no time', () => {
  // The quickest: what others do on this machine meanwhile says nothing.
  const times = Array.from({ length: 5 }, () => {
    const start = performance.now();
    expect(() => parseReference(`${'a-'.repeat(50_000)}!`)).toThrow('invalid reference format');
    expect(() => parseReference(`x@${'a+'.repeat(50_000)}:!`)).toThrow('invalid reference format');
    return performance.now() - start;
  });
  expect(Math.min(...times)).toBeLessThan(500);
});
