/** What a context's paths lead to: never out of it, whatever its links say. */
import { createHash } from 'node:crypto';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type CollectedCopy, collectCopy, parseCopy } from '../../../src/build/copy.ts';
import { parseDockerfile } from '../../../src/build/dockerfile/parser.ts';
import { IgnorePatterns } from '../../../src/build/ignore.ts';
import { SourceFiles } from '../../../src/build/source-files.ts';

let top: string;
let context: string;
beforeEach(() => {
  top = mkdtempSync(join(tmpdir(), 'tsrun-source.'));
  context = join(top, 'context');
  mkdirSync(context);
  writeFileSync(join(top, 'outside'), 'outside');
});
afterEach(() => rmSync(top, { recursive: true }));

function write(files: Record<string, string>): void {
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(context, name)), { recursive: true });
    writeFileSync(join(context, name), text);
  }
}

function withFiles<T>(use: (files: SourceFiles) => T, ignore?: string): T {
  const files = new SourceFiles([context], 'the build context', {
    isContext: true,
    ...(ignore === undefined ? {} : { ignore: IgnorePatterns.parse(ignore) }),
  });
  try {
    return use(files);
  } finally {
    files.close();
  }
}

const found = (pattern: string, ignore?: string): string[] =>
  withFiles((files) => files.find(pattern).map(({ path }) => path), ignore);

describe('paths and patterns', () => {
  beforeEach(() => write({ a: '1', 'b.txt': '2', 'd/c.txt': '3', 'd/e/f': '4' }));

  test.each([
    ['a', ['a']],
    ['/d/../a', ['a']],
    ['.', ['']],
    ['d/', ['d']],
    ['*.txt', ['b.txt']],
    ['*/*.txt', ['d/c.txt']],
    ['?', ['a', 'd']],
    ['[ab]*', ['a', 'b.txt']],
    ['*.nope', []],
    ['../../../a', ['a']],
  ])('%j', (pattern, expected) => expect(found(pattern)).toEqual(expected));

  test('what is not there, and what is left out', () => {
    expect(() => found('nope')).toThrow('"/nope": not found in the build context');
    expect(() => found('a', 'a')).toThrow('"/a": not found in the build context');
    expect(found('*', '*\n!d/c.txt')).toEqual(['d']);
  });

  test('a tree with exceptions', () => {
    const paths = withFiles((files) => {
      const [entry] = files.find('.');
      return entry === undefined ? [] : [...files.items(entry)].map(({ relative }) => relative);
    }, '*\n!d/e\n!b.txt');
    expect(paths).toEqual(['', 'b.txt', 'd', 'd/e', 'd/e/f']);
  });
});

describe('links', () => {
  test.each(['../outside', '/outside', '../../../../../../../../etc/passwd', '/proc/self/root/etc/passwd'])(
    'to %s lead nowhere',
    (target) => {
      symlinkSync(target, join(context, 'link'));
      symlinkSync(dirname(target), join(context, 'directory'));
      expect(() => found('link')).toThrow('not found');
      expect(() => found('directory/passwd')).toThrow('not found');
      expect(found('directory/pass*')).toEqual([]);
    },
  );

  test('inside of the context they are followed; those in a tree stay links', () => {
    write({ 'd/f': 'x' });
    symlinkSync('/d', join(context, 'absolute'));
    symlinkSync('f', join(context, 'd/l'));
    symlinkSync('loop', join(context, 'loop'));
    expect(found('absolute/l')).toEqual(['d/f']);
    expect(() => found('loop')).toThrow();
    const kinds = withFiles((files) => {
      const [entry] = files.find('absolute');
      return entry === undefined ? [] : [...files.items(entry)].map(({ path }) => path);
    });
    expect(kinds).toEqual(['d', 'd/f', 'd/l']);
  });
});

describe('the digest of what is copied', () => {
  const collect = async (line: string): Promise<CollectedCopy> => {
    const files = new SourceFiles([context], 'the build context', { isContext: true });
    try {
      const { instructions, escapeToken } = parseDockerfile(`FROM a\n${line}`, 'Dockerfile');
      const [, instruction] = instructions;
      if (instruction === undefined) throw new Error('no instruction');
      return await collectCopy(parseCopy(instruction, escapeToken, new Map()), files, () => {
        throw new Error('nothing is fetched');
      });
    } finally {
      files.close();
    }
  };
  const digest = async (line = 'COPY . /x/'): Promise<string> => (await collect(line)).digest;

  test('is of names, modes and contents, and not of times', async () => {
    write({ a: '1', b: '2' });
    const before = await digest();
    utimesSync(join(context, 'a'), 1, 1);
    expect(await digest()).toBe(before);
    chmodSync(join(context, 'a'), 0o600);
    const moded = await digest();
    expect(moded).not.toBe(before);
    write({ a: '3' });
    expect(await digest()).not.toBe(moded);
    const small = await digest('COPY b /x/');
    write({ c: 'new' });
    expect(await digest('COPY b /x/')).toBe(small);
    expect(small).toHaveLength(createHash('sha256').update('').digest('hex').length);
  });

  test('knows the newest time, in whole seconds', async () => {
    write({ a: '1' });
    utimesSync(join(context, 'a'), 1_700_000_000.5, 1_700_000_000.5);
    expect((await collect('COPY a /x')).newest).toBe(1_700_000_000);
  });
});
