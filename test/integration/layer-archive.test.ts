/** Layers' archives made again from what unpacking left: the same bytes, whatever the archive did. */
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { writeLayerArchive } from '../../src/image/archive/layer-archive.ts';
import type { Digest } from '../../src/image/digest.ts';
import type { UnpackedLayer } from '../../src/image/unpack/index.ts';
import { settleLayer } from '../../src/image/unpack/settle.ts';
import { LayerUnpacker } from '../../src/image/unpack/unpacker.ts';
import {
  archive,
  directory,
  file,
  gnuLong,
  hardlink,
  header,
  member,
  padded,
  pax,
  randomNumbers,
  symlink,
} from '../fixtures/archives.ts';

let root: string;
beforeEach(() => {
  root = mkdtempSync('/var/tmp/tsrun-archive.');
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

const diffIdOf = (bytes: Buffer) => `sha256:${createHash('sha256').update(bytes).digest('hex')}` as Digest;
const base = (index = 0) => join(root, String(index));

async function unpack(input: Buffer, { step = 65536, index = 0 } = {}): Promise<UnpackedLayer> {
  mkdirSync(join(base(index), 'fs'), { recursive: true });
  const unpacker = new LayerUnpacker(
    {
      directory: join(base(index), 'fs'),
      archive: base(index),
      mediaType: '',
      maxBytes: 1e9,
      maxEntries: 1e5,
    },
    process.umask(),
  );
  try {
    for (let at = 0; at < input.length; at += step) await unpacker.write(input.subarray(at, at + step));
    return await unpacker.finish();
  } finally {
    unpacker.close();
  }
}

function remake(diffId: Digest, archiveSize: number, index = 0): Buffer {
  const parts: Buffer[] = [];
  writeLayerArchive(
    { base: base(index), diffId, archiveSize },
    { write: (bytes) => void parts.push(Buffer.from(bytes)) },
  );
  return Buffer.concat(parts);
}

async function expectSame(tar: Buffer, options = {}): Promise<void> {
  const unpacked = await unpack(tar, options);
  expect(unpacked.archiveSize).toBe(tar.length);
  expect(remake(diffIdOf(tar), tar.length).equals(tar)).toBe(true);
}

const random = randomNumbers(7);
const noise = (length: number) => Buffer.from(Array.from({ length }, () => random() * 256));
const big = noise(700_000);

describe('the same archive comes out', () => {
  const cases: Record<string, Buffer> = {
    'files of all sizes': archive(
      directory('d'),
      ...[0, 1, 511, 512, 513, 1024, 100_000].map((size) => file(`d/${size}`, noise(size))),
      file('big', big),
      symlink('link', 'big'),
      hardlink('hard', 'big'),
    ),
    'an archive that is empty, or padded, or followed by something': Buffer.concat([
      archive(file('a', 'x')),
      Buffer.alloc(10_240),
      Buffer.from('behind the end'),
    ]),
    'a file that a later one replaces': archive(file('a', 'first'), file('a', 'second'), file('a', 'third')),
    'a file that becomes a directory, a link, a hard link': archive(
      file('a', 'file a'),
      directory('a'),
      file('b', 'file b'),
      symlink('b', 'a'),
      file('c', 'file c'),
      file('d', 'file d'),
      hardlink('c', 'd'),
    ),
    'a directory with files that a file replaces': archive(
      directory('a/b'),
      file('a/b/c', 'deep'),
      file('a/b/d', 'deeper'),
      file('a', 'flat'),
      file('a', 'flatter'),
    ),
    'a file whose hard link stays when its name is taken': archive(
      file('a', 'one'),
      hardlink('b', 'a'),
      file('a', 'two'),
      file('b', 'three'),
    ),
    'names through links': archive(directory('usr/lib'), symlink('lib', 'usr/lib'), file('lib/x', 'content of x')),
    'whiteouts and a file hidden by one': archive(
      file('a', 'stays'),
      file('.wh.a'),
      file('.wh.b'),
      file('d/.wh..wh..opq'),
    ),
    'aufs housekeeping with content': archive(file('.wh..wh.plnk/x', 'content'), file('.wh..wh.aufs', 'more')),
    'extended headers and long names': archive(
      member({ name: 'x', content: 'pax', pax: { path: `${'p'.repeat(180)}/file`, mtime: '1.5' } }),
      Buffer.concat([gnuLong('L', 'l'.repeat(200)), file('short', 'gnu')]),
      pax({ comment: 'for all' }, 'g'),
      file('after', 'global'),
    ),
    'an old header with the content of a directory entry': archive(
      header({ name: 'D', type: 'D', dialect: 'gnu', size: 5 }),
      padded('list\0'),
      file('v7', 'v7', { dialect: 'v7' }),
    ),
    'sparse files': archive(
      member({
        name: 'sparse',
        content: Buffer.concat([Buffer.alloc(512, 'a'), Buffer.alloc(100, 'b')]),
        pax: [
          ['GNU.sparse.size', '1000000'],
          ['GNU.sparse.map', '0,512,999900,100'],
          ['GNU.sparse.numblocks', '2'],
        ],
      }),
      file('after', 'after'),
    ),
    'garbage in the padding': Buffer.concat([
      header({ name: 'a', size: 3 }),
      Buffer.from('abc'),
      noise(509),
      Buffer.alloc(1024),
    ]),
  };
  for (const [name, tar] of Object.entries(cases)) {
    test(name, async () => {
      await expectSame(tar);
    });
  }

  test('archives of random members that replace one another in every way', async () => {
    const numbers = randomNumbers(50);
    const pick = <T>(list: readonly T[]): T => list[Math.floor(numbers() * list.length)] as T;
    const paths = ['a', 'b', 'c', 'a/a', 'a/b', 'b/a', 'a/a/a', 'b/c', 'c/a/b', '.wh.a', 'b/.wh.b', 'b/.wh..wh..opq'];
    let whole = 0;
    for (let round = 0; round < 150; round++) {
      const members = Array.from({ length: 2 + Math.floor(numbers() * 12) }, () => {
        const path = pick(paths);
        const kind = numbers();
        if (kind < 0.6) return file(path, noise(Math.floor(numbers() * 1500)));
        if (kind < 0.75) return directory(path);
        return kind < 0.85 ? symlink(path, pick(paths)) : hardlink(path, pick(paths));
      });
      const tar = archive(...members);
      let unpacked: UnpackedLayer;
      try {
        unpacked = await unpack(tar, { step: 700 });
      } catch {
        // A file below a file, a loop of links: no layer at all.
        rmSync(base(), { recursive: true });
        continue;
      }
      whole++;
      expect(unpacked.diffId).toBe(diffIdOf(tar));
      expect(remake(diffIdOf(tar), tar.length).equals(tar)).toBe(true);
      rmSync(base(), { recursive: true });
    }
    expect(whole).toBeGreaterThan(30);
  });

  test('and over random lower layers, whose links move directories', async () => {
    const numbers = randomNumbers(51);
    const pick = <T>(list: readonly T[]): T => list[Math.floor(numbers() * list.length)] as T;
    let moved = 0;
    for (let round = 0; round < 80; round++) {
      const lower = archive(
        ...['a', 'b', 'c'].map((name) =>
          numbers() < 0.5 ? directory(name) : symlink(name, pick(['a', 'b', 'c', 'b/a', '/c', 'x'])),
        ),
        file('f', 'f'),
      );
      const paths = ['a/a', 'a/b', 'b/a', 'b/b/c', 'c/a', 'c/b/a', 'd', '.wh.a', 'b/.wh.a', 'a/.wh..wh..opq'];
      const upper = archive(
        ...Array.from({ length: 1 + Math.floor(numbers() * 8) }, () =>
          numbers() < 0.8 ? file(pick(paths), noise(1 + Math.floor(numbers() * 900))) : hardlink(pick(paths), 'f'),
        ),
      );
      try {
        const below = await unpack(lower);
        settleLayer({ directory: join(base(), 'fs'), lowers: [], deferred: below.deferred, archive: base() });
        const above = await unpack(upper, { index: 1 });
        const lowers = [join(base(), 'fs')];
        settleLayer({ directory: join(base(1), 'fs'), lowers, deferred: above.deferred, archive: base(1) });
      } catch {
        for (const index of [0, 1]) rmSync(base(index), { recursive: true, force: true });
        continue;
      }
      if (existsSync(join(base(1), 'kept'))) moved++;
      expect(remake(diffIdOf(upper), upper.length, 1).equals(upper)).toBe(true);
      for (const index of [0, 1]) rmSync(base(index), { recursive: true });
    }
    expect(moved).toBeGreaterThan(10);
  });

  test('in whatever pieces it comes, compressed or not', async () => {
    const tar = cases['files of all sizes'] as Buffer;
    await expectSame(tar, { step: 1000 });
    rmSync(base(), { recursive: true });
    await unpack(gzipSync(tar), { step: 777 });
    expect(remake(diffIdOf(tar), tar.length).equals(tar)).toBe(true);
  });

  test('after settling has moved directories to where links of lower layers lead', async () => {
    const lower = archive(directory('usr/lib'), symlink('lib', 'usr/lib'));
    const upper = archive(
      file('lib/a', 'from lib'),
      file('usr/lib/a', 'from usr'),
      file('lib/deep/b', 'deep'),
      file('z', 'z'),
    );
    const below = await unpack(lower);
    settleLayer({ directory: join(base(), 'fs'), lowers: [], deferred: below.deferred, archive: base() });
    const above = await unpack(upper, { index: 1 });
    settleLayer({
      directory: join(base(1), 'fs'),
      lowers: [join(base(), 'fs')],
      deferred: above.deferred,
      archive: base(1),
    });
    expect(readdirSync(join(base(1), 'fs'))).not.toContain('lib');
    expect(remake(diffIdOf(upper), upper.length, 1).equals(upper)).toBe(true);
  });
});

describe('what is not the same is noticed', () => {
  const tar = archive(file('a', 'content'), file('b', 'more'));
  test.each([
    [
      'a file with another content',
      () => writeFileSync(join(base(), 'fs/a'), 'CONTENT'),
      /has changed since it was unpacked: its files make sha256/,
    ],
    ['a file of another size', () => truncateSync(join(base(), 'fs/a'), 3), /"a" is not the file that it was/],
    ['a file that is gone', () => rmSync(join(base(), 'fs/b')), /"b" is missing/],
    ['a record that is cut off', () => truncateSync(join(base(), 'archive'), 20), /archive" is damaged/],
    [
      'a record that is no record',
      () => writeFileSync(join(base(), 'archive'), 'nonsense and more'),
      /archive" is damaged/,
    ],
    ['no record', () => rmSync(join(base(), 'archive')), /is not known/],
  ])('%s', async (_, damage, message) => {
    await unpack(tar);
    damage();
    expect(() => remake(diffIdOf(tar), tar.length)).toThrow(message);
  });
});
