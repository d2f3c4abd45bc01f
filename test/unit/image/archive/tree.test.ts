import { execFileSync } from 'node:child_process';
import {
  linkSync,
  lutimesSync,
  mkdirSync,
  mkdtempSync,
  renameSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { TarWriter } from '../../../../src/image/archive/tar-writer.ts';
import { type TreeOptions, writeDirectory, writeTree } from '../../../../src/image/archive/tree.ts';
import { O_DIRECTORY, O_RDONLY } from '../../../../src/linux/constants.ts';
import { AT_FDCWD, close, openat } from '../../../../src/linux/fs.ts';
import { describeTree } from '../../../fixtures/tree.ts';
import { unpackInline } from '../../../fixtures/unpack.ts';

let root: string;
let tree: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'tree.'));
  tree = join(root, 'tree');
  mkdirSync(tree);
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

function archiveOf(write: (writer: TarWriter) => void): Buffer {
  const parts: Buffer[] = [];
  const writer = new TarWriter({ write: (bytes) => void parts.push(Buffer.from(bytes)) }, { subsecond: true });
  write(writer);
  writer.finish();
  return Buffer.concat(parts);
}

const archiveTree = (options: TreeOptions = {}) => archiveOf((writer) => writeDirectory(writer, tree, options));

function list(archive: Buffer): string[] {
  return execFileSync('tar', ['-t', '--quoting-style=literal'], { input: archive }).toString().trimEnd().split('\n');
}

function makeTree(): void {
  for (const name of ['b/inner', 'a-b', 'a']) mkdirSync(join(tree, name), { recursive: true });
  writeFileSync(join(tree, 'b/file'), 'content\n', { mode: 0o600 });
  writeFileSync(join(tree, 'a/empty'), '');
  linkSync(join(tree, 'b/file'), join(tree, 'b/inner/same'));
  symlinkSync('../nowhere', join(tree, 'a/link'));
  execFileSync('mkfifo', [join(tree, 'a-b/pipe')]);
  lutimesSync(join(tree, 'a/link'), 1000, 1001);
  for (const name of ['b/inner', 'a-b', 'a', 'b']) utimesSync(join(tree, name), 1000, 1_600_000_000.25);
}

test('an unpacked archive is the tree again', async () => {
  makeTree();
  await unpackInline(join(root, 'copy'), archiveTree());
  const ignoreTime = (path: string) => path === '';
  expect(describeTree(join(root, 'copy'), { ignoreTime })).toEqual(describeTree(tree, { ignoreTime }));
});

test('names are sorted as bytes, directories before what is in them, and it is the same every time', () => {
  makeTree();
  const archive = archiveTree();
  expect(list(archive)).toEqual([
    'a/',
    'a/empty',
    'a/link',
    'a-b/',
    'a-b/pipe',
    'b/',
    'b/file',
    'b/inner/',
    'b/inner/same',
  ]);
  expect(archiveTree().equals(archive)).toBe(true);
});

test('a part is left out with all below it', () => {
  makeTree();
  expect(list(archiveTree({ skip: (path) => path === 'b' || path === 'a/link' }))).toEqual([
    'a/',
    'a/empty',
    'a-b/',
    'a-b/pipe',
  ]);
});

test('one file or directory gets the name that the caller gives it', () => {
  makeTree();
  const fd = openat(AT_FDCWD, tree, O_RDONLY | O_DIRECTORY);
  try {
    const at = (name: string) => ({ directory: fd, name });
    expect(list(archiveOf((writer) => writeTree(writer, at('b'), 'renamed')))).toEqual([
      'renamed/',
      'renamed/file',
      'renamed/inner/',
      'renamed/inner/same',
    ]);
    expect(list(archiveOf((writer) => writeTree(writer, at('a'), '.')))).toEqual(['./', './empty', './link']);
    archiveOf((writer) => expect(writeTree(writer, at('absent'), 'absent')).toBe(false));
  } finally {
    close(fd);
  }
});

test('a link in the place of a directory is a link', () => {
  mkdirSync(join(root, 'secret'));
  writeFileSync(join(root, 'secret/file'), 'secret');
  makeTree();
  renameSync(join(tree, 'b'), join(root, 'away'));
  symlinkSync(join(root, 'secret'), join(tree, 'b'));
  const archive = archiveTree();
  expect(list(archive)).toContain('b');
  expect(archive.includes('secret/file')).toBe(false);
});

test('sockets are left out', async () => {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(join(tree, 'socket'), resolve));
  writeFileSync(join(tree, 'z'), '');
  expect(list(archiveTree())).toEqual(['z']);
  await new Promise((resolve) => server.close(resolve));
});

test('a path that is too long is an error, not a crash', () => {
  let at = openat(AT_FDCWD, tree, O_RDONLY | O_DIRECTORY);
  const name = 'd'.repeat(250);
  const made: string[] = [];
  for (let i = 0; i < 17; i++) {
    execFileSync('mkdir', [`/proc/self/fd/3/${name}`], { stdio: ['ignore', 'inherit', 'inherit', at] });
    const inner = openat(at, name, O_RDONLY | O_DIRECTORY);
    close(at);
    at = inner;
    made.push(name);
  }
  close(at);
  expect(() => archiveTree()).toThrow(/is a path of more than 4095 bytes/);
  execFileSync('rm', ['-rf', tree]);
  expect(made).toHaveLength(17);
});
