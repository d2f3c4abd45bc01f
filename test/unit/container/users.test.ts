import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { LayeredRoot } from '../../../src/container/layered-root.ts';
import { resolveUser } from '../../../src/container/users.ts';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'tsrun-users-'));
});
afterEach(() => rmSync(directory, { recursive: true }));

/** A layer with the given files. */
function layer(name: string, files: Record<string, string>): string {
  const root = join(directory, name);
  mkdirSync(root, { recursive: true });
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(join(root, path, '..'), { recursive: true });
    writeFileSync(join(root, path), text);
  }
  return root;
}

const passwd = 'root:x:0:0:root:/root:/bin/sh\n# comment\nbroken:x\nweb:x:33:33:www:/var/www:/bin/false\n';
const group = 'root:x:0:\nwww:x:33:\nlog:x:104:web,other\naudio:x:29:root\n';

test('names and numbers, with the groups that list the user', () => {
  const root = new LayeredRoot([layer('a', { 'etc/passwd': passwd, 'etc/group': group })]);
  expect(resolveUser(root, '', [])).toEqual({ uid: 0, gid: 0, additionalGids: [0, 29], home: '/root' });
  expect(resolveUser(root, 'web', [])).toEqual({ uid: 33, gid: 33, additionalGids: [33, 104], home: '/var/www' });
  expect(resolveUser(root, '33', [])).toEqual({ uid: 33, gid: 33, additionalGids: [33, 104], home: '/var/www' });
  expect(resolveUser(root, '1234', [])).toEqual({ uid: 1234, gid: 0, additionalGids: [0], home: '/' });
  expect(resolveUser(root, '33:29', [])).toEqual({ uid: 33, gid: 29, additionalGids: [29], home: '/var/www' });
  expect(resolveUser(root, 'web:log', ['audio', '77'])).toEqual({
    uid: 33,
    gid: 104,
    additionalGids: [104, 29, 77],
    home: '/var/www',
  });
});

test('unknown names and numbers out of range are refused', () => {
  const root = new LayeredRoot([layer('a', {})]);
  expect(() => resolveUser(root, 'nobody', [])).toThrow(
    'unable to find user nobody: no matching entries in passwd file',
  );
  expect(() => resolveUser(root, '0:staff', [])).toThrow(
    'unable to find group staff: no matching entries in group file',
  );
  expect(() => resolveUser(root, '-1', [])).toThrow(/range/);
  expect(() => resolveUser(root, '4294967295', [])).toThrow(/range/);
});

test('files are looked up as overlayfs would merge them, links inside the image only', () => {
  const lower = layer('lower', {
    'etc/passwd': 'root:x:0:0::/low:/bin/sh\n',
    'usr/lib/passwd': 'root:x:0:0::/linked:/bin/sh\n',
  });
  const upper = layer('upper', { 'etc/hostname': 'x' });
  expect(resolveUser(new LayeredRoot([upper, lower]), '', []).home).toBe('/low');
  rmSync(join(lower, 'etc/passwd'));
  symlinkSync('/usr/lib/passwd', join(lower, 'etc/passwd'));
  expect(resolveUser(new LayeredRoot([upper, lower]), '', []).home).toBe('/linked');
  rmSync(join(lower, 'etc/passwd'));
  symlinkSync('../../../../../../../../usr/lib/passwd', join(lower, 'etc/passwd'));
  expect(resolveUser(new LayeredRoot([upper, lower]), '', []).home).toBe('/linked');
});

test('a file or a link of an upper layer hides what is below it', () => {
  const lower = layer('lower', { 'etc/passwd': passwd });
  const upper = layer('upper', { etc: 'a file now' });
  expect(new LayeredRoot([upper, lower]).find('/etc/passwd')).toBeUndefined();
  expect(new LayeredRoot([upper, lower]).readText('/etc')).toBe('a file now');
});

test('a loop of links ends', () => {
  const root = layer('a', {});
  symlinkSync('b', join(root, 'a'));
  symlinkSync('a', join(root, 'b'));
  expect(() => new LayeredRoot([root]).find('/a')).toThrow(/too many symlinks/);
});
