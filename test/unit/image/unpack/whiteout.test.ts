import { expect, test } from 'vitest';
import { Hidden } from '../../../../src/image/unpack/hidden.ts';
import { isBelowIgnored, isForeignXattr, markerOf } from '../../../../src/image/unpack/whiteout.ts';

test.each([
  ['.wh.name', { kind: 'whiteout', name: 'name' }],
  ['.wh...name', { kind: 'whiteout', name: '..name' }],
  ['.wh..wh', { kind: 'whiteout', name: '.wh' }],
  ['.wh. ', { kind: 'whiteout', name: ' ' }],
  ['.wh..wh..opq', { kind: 'opaque' }],
  ['.wh..wh.aufs', { kind: 'ignored' }],
  ['.wh..wh.plnk', { kind: 'ignored' }],
  ['.wh..wh.', { kind: 'ignored' }],
  ['.wh', undefined],
  ['.whatever', undefined],
  ['a.wh.b', undefined],
])('%s', (name, marker) => {
  expect(markerOf(name, name)).toEqual(marker);
});

test.each(['.wh.', '.wh..', '.wh...'])('%s names no file of its directory', (name) => {
  expect(() => markerOf(name, `d/${name}`)).toThrow('names no file of its directory');
});

test('nothing can be below a reserved name', () => {
  expect(isBelowIgnored(['a', '.wh..wh.plnk'], 'p')).toBe(true);
  expect(isBelowIgnored(['a', 'b'], 'p')).toBe(false);
  expect(() => isBelowIgnored(['a', '.wh.b'], 'a/.wh.b/c')).toThrow('reserved for whiteouts');
});

test('attributes that overlayfs or a security policy would obey are foreign', () => {
  for (const name of ['trusted.overlay.opaque', 'user.overlay.whiteout', 'security.selinux', 'security.ima']) {
    expect(isForeignXattr(name), name).toBe(true);
  }
  for (const name of ['user.x', 'security.capability', 'trusted.x', 'system.posix_acl_access']) {
    expect(isForeignXattr(name), name).toBe(false);
  }
});

test('a whiteout hides the name and what is below, an opaque directory only what is below', () => {
  const hidden = new Hidden([
    { kind: 'whiteout', path: 'a/b' },
    { kind: 'opaque', path: 'c' },
    { kind: 'directory', path: 'd', bare: false },
  ]);
  const paths = ['', 'a', 'a/b', 'a/b/c', 'a/bb', 'c', 'c/x', 'c/x/y', 'd', 'd/x'];
  expect(paths.filter((path) => hidden.at(path))).toEqual(['a/b', 'a/b/c', 'c/x', 'c/x/y']);
  expect(paths.filter((path) => hidden.above(path))).toEqual(['a/b/c', 'c/x', 'c/x/y']);
  const all = new Hidden([{ kind: 'opaque', path: '' }]);
  expect(paths.filter((path) => all.at(path))).toEqual(paths.slice(1));
});
