import { describe, expect, test } from 'vitest';
import type { Entry, EntrySink } from '../../../../src/image/unpack/entry.ts';
import { TarParser } from '../../../../src/image/unpack/tar-parser.ts';
import {
  archive,
  base256,
  device,
  directory,
  endOfArchive,
  fifo,
  file,
  gnuLong,
  hardlink,
  header,
  type Member,
  member,
  number,
  padded,
  pax,
  randomNumbers,
  symlink,
} from '../../../fixtures/archives.ts';

type Seen = Partial<Entry> & { content: string };

/** Parses in pieces of `step` bytes; what the sink saw. */
function parse(bytes: Buffer, step = bytes.length): Seen[] {
  const seen: Seen[] = [];
  let open: { entry: Entry; content: Buffer[] } | undefined;
  const sink: EntrySink = {
    entry(entry) {
      expect(open).toBeUndefined();
      open = { entry: { ...entry }, content: [] };
    },
    data(chunk, start, end) {
      expect(end).toBeGreaterThan(start);
      open?.content.push(Buffer.from(chunk.subarray(start, end)));
    },
    end() {
      if (open === undefined) throw new Error('an end without an entry');
      seen.push({ ...open.entry, content: Buffer.concat(open.content).toString('latin1') });
      open = undefined;
    },
  };
  const parser = new TarParser(sink);
  for (let i = 0; i < bytes.length; i += step) parser.push(bytes.subarray(i, i + step));
  parser.finish();
  return seen;
}

const paths = (bytes: Buffer) => parse(bytes).map(({ path }) => path);

/** A GNU sparse member: four pairs in the header, more in blocks behind it. */
function gnuSparse(segments: number[], realSize: number, content: string, more: Partial<Member> = {}): Buffer {
  const pairs = (list: number[]) => Buffer.concat(list.map((value) => number(value, 12)));
  const rest = segments.slice(8);
  const blocks: Buffer[] = [];
  for (let i = 0; i < rest.length; i += 42) {
    const block = Buffer.alloc(512);
    pairs(rest.slice(i, i + 42)).copy(block);
    block[504] = i + 42 < rest.length ? 1 : 0;
    blocks.push(block);
  }
  const raw = {
    386: pairs(segments.slice(0, 8)),
    482: Buffer.from([rest.length > 0 ? 1 : 0]),
    483: number(realSize, 12),
  };
  return Buffer.concat([
    header({ name: 'sparse', type: 'S', dialect: 'gnu', content, raw, ...more }),
    ...blocks,
    padded(content),
  ]);
}

const everything = archive(
  pax({ comment: 'global', mtime: '5.25' }, 'g'),
  directory('./'),
  directory('dir/', { uid: 1000, gid: 1001, mode: 0o1777 }),
  file('dir/empty'),
  file('dir/block', 'x'.repeat(512)),
  file('dir/more', 'y'.repeat(513), { mode: 0o4755, mtime: 12 }),
  symlink('link', 'dir/more'),
  hardlink('hard', 'dir/more', { size: 513 }),
  device('null', '3', 1, 3),
  device('sda', '4', 8, 0x12345),
  fifo('pipe'),
  gnuLong('L', `long/${'n'.repeat(200)}`),
  file('cut', 'content'),
  gnuLong('K', `target/${'t'.repeat(200)}`),
  gnuLong('L', 'renamed'),
  symlink('cut', 'cut'),
  member({
    name: 'short',
    content: 'abc',
    pax: { path: 'päx/nåme', uid: '4000000000', gid: '7', mtime: '-1.5', atime: '3', 'SCHILY.xattr.user.k': 'v' },
  }),
  member({ name: 'sized', size: 0, content: 'real content', pax: { size: '12' } }),
  gnuSparse([0, 2, 512, 2, 1024, 2, 2048, 2, 4096, 2, 8192, 0], 8192, '0123456789'),
  member({
    name: 'GNUSparseFile.0/x',
    content: '0123456789',
    pax: [
      ['GNU.sparse.size', '100'],
      ['GNU.sparse.numblocks', '2'],
      ['GNU.sparse.offset', '10'],
      ['GNU.sparse.numbytes', '4'],
      ['GNU.sparse.offset', '50'],
      ['GNU.sparse.numbytes', '6'],
    ],
  }),
  member({
    name: 'GNUSparseFile.0/y',
    content: '0123456789',
    pax: { 'GNU.sparse.size': '100', 'GNU.sparse.map': '10,4,50,6', 'GNU.sparse.name': 'y' },
  }),
  member({
    name: 'GNUSparseFile.0/z',
    content: Buffer.concat([padded('2\n10\n4\n50\n6\n'), Buffer.from('0123456789')]),
    pax: {
      'GNU.sparse.major': '1',
      'GNU.sparse.minor': '0',
      'GNU.sparse.name': 'z',
      'GNU.sparse.realsize': '100',
    },
  }),
  file('last', 'end'),
);

test('reads every kind of member with all extensions', () => {
  const seen = parse(everything);
  expect(seen.map(({ path, type, content }) => [path, type, content.length])).toEqual([
    ['./', 'directory', 0],
    ['dir/', 'directory', 0],
    ['dir/empty', 'file', 0],
    ['dir/block', 'file', 512],
    ['dir/more', 'file', 513],
    ['link', 'symlink', 0],
    ['hard', 'hardlink', 0],
    ['null', 'character', 0],
    ['sda', 'block', 0],
    ['pipe', 'fifo', 0],
    [`long/${'n'.repeat(200)}`, 'file', 7],
    ['renamed', 'symlink', 0],
    ['p\xc3\xa4x/n\xc3\xa5me', 'file', 3],
    ['sized', 'file', 12],
    ['sparse', 'file', 10],
    ['GNUSparseFile.0/x', 'file', 10],
    ['y', 'file', 10],
    ['z', 'file', 10],
    ['last', 'file', 3],
  ]);
  const by = (path: string) => seen.find((entry) => entry.path === path);
  expect(by('dir/')).toMatchObject({ uid: 1000, gid: 1001, mode: 0o1777 });
  expect(by('dir/more')).toMatchObject({ mode: 0o4755, mtime: { seconds: 5, nanoseconds: 250_000_000 } });
  expect(by('link')).toMatchObject({ linkPath: 'dir/more' });
  expect(by('hard')).toMatchObject({ linkPath: 'dir/more', size: 0 });
  expect(by('null')).toMatchObject({ major: 1, minor: 3 });
  expect(by('sda')).toMatchObject({ major: 8, minor: 0x12345 });
  expect(by('renamed')).toMatchObject({ linkPath: `target/${'t'.repeat(200)}` });
  expect(by('p\xc3\xa4x/n\xc3\xa5me')).toMatchObject({
    uid: 4_000_000_000,
    gid: 7,
    mtime: { seconds: -2, nanoseconds: 500_000_000 },
    atime: { seconds: 3, nanoseconds: 0 },
    xattrs: new Map([['user.k', Buffer.from('v')]]),
  });
  expect(by('sized')?.content).toBe('real content');
  expect(by('sparse')?.sparse).toEqual({
    segments: [0, 2, 512, 2, 1024, 2, 2048, 2, 4096, 2, 8192, 0],
    realSize: 8192,
  });
  for (const path of ['GNUSparseFile.0/x', 'y', 'z']) {
    expect(by(path), path).toMatchObject({
      size: 10,
      content: '0123456789',
      sparse: { segments: [10, 4, 50, 6], realSize: 100 },
    });
  }
});

test.each([1, 7, 511, 512, 513, 1000])('reads the same in pieces of %d bytes', (step) => {
  expect(parse(everything, step)).toEqual(parse(everything));
});

test('reads the same in pieces of any size', () => {
  const random = randomNumbers(1);
  const whole = parse(everything);
  for (let round = 0; round < 20; round++) expect(parse(everything, 1 + Math.floor(random() * 3000))).toEqual(whole);
});

describe('the end', () => {
  const one = file('a', 'content');

  test.each([
    ['two blocks of zeros', archive(one)],
    ['one block of zeros', Buffer.concat([one, Buffer.alloc(512)])],
    ['nothing', one],
    ['padding that is missing', one.subarray(0, 512 + 7)],
    ['blocks of zeros and then garbage', Buffer.concat([archive(one), Buffer.from('garbage'.repeat(999))])],
    ['blocks of zeros and then another archive', Buffer.concat([archive(one), archive(file('b'))])],
  ])('may be %s', (_, bytes) => {
    expect(paths(bytes)).toEqual(['a']);
  });

  test('an archive may be empty', () => {
    expect(paths(Buffer.alloc(0))).toEqual([]);
    expect(paths(endOfArchive)).toEqual([]);
    expect(paths(Buffer.alloc(10240))).toEqual([]);
  });

  test.each([
    ['in a header', one.subarray(0, 100)],
    ['in content', one.subarray(0, 512 + 3)],
    ['in an extended header', pax({ path: 'x' }).subarray(0, 520)],
    ['behind an extended header', pax({ path: 'x' })],
    ['behind a long name', gnuLong('L', 'x')],
    ['in a sparse map', gnuSparse([0, 1, 2, 1, 4, 1, 6, 1, 8, 1], 9, '12345').subarray(0, 600)],
    ['where content lies about its size', member({ name: 'a', size: 2 ** 40, content: 'x' })],
  ])('must not come %s', (_, bytes) => {
    expect(() => parse(bytes)).toThrow('ends in the middle of an entry');
  });

  test('an archive does not go on after one block of zeros', () => {
    expect(() => parse(Buffer.concat([one, Buffer.alloc(512), one]))).toThrow('goes on after its end block');
  });
});

describe('what cannot be trusted', () => {
  test.each([
    ['text', Buffer.from('<html>404</html>'.repeat(100)), 'is not a tar archive'],
    ['a wrong checksum later', archive(file('a'), header({ name: 'b', checksum: '0000000\0' })), 'checksum is wrong'],
    ['a negative size', archive(header({ name: 'a', size: -1 })), 'negative size'],
    ['a huge size', archive(header({ name: 'a', raw: { 124: base256(2n ** 63n, 12) } })), 'out of range'],
    ['an unknown type', archive(member({ name: 'a', type: 'Z' })), 'type that is not known ("Z")'],
    ['an extended header of 100 MB', archive(header({ name: 'x', type: 'x', size: 100_000_000 })), 'the limit is'],
    [
      'a long name of 100 MB',
      archive(header({ name: 'x', type: 'L', size: 100_000_000, dialect: 'gnu' })),
      'the limit is',
    ],
    [
      'many extended headers for one entry',
      Buffer.concat(Array.from({ length: 40 }, () => pax({ c: 'x'.repeat(30_000) }))),
      'the limit is',
    ],
    ['a global name', archive(pax({ path: 'x' }, 'g'), file('a')), 'readers disagree'],
    ['a global size', archive(pax({ size: '9' }, 'g'), file('a')), 'readers disagree'],
    ['a directory with content', archive(member({ name: 'a/', content: 'x' })), 'directory with content'],
    ['sparse pieces that overlap', gnuSparse([0, 6, 3, 4], 100, '0123456789'), 'overlap or leave the file'],
    ['sparse pieces in the wrong order', gnuSparse([50, 5, 0, 5], 100, '0123456789'), 'overlap or leave the file'],
    ['sparse pieces behind the end', gnuSparse([0, 5, 98, 5], 100, '0123456789'), 'overlap or leave the file'],
    ['sparse pieces that say too much', gnuSparse([0, 5], 100, '0123456789'), 'sparse map of 5 bytes for 10'],
    ['sparse sizes that overflow', gnuSparse([Number.MAX_SAFE_INTEGER, 10], 100, '0123456789'), 'overlap or leave'],
    [
      'a sparse map of too many pieces',
      archive(
        member({
          name: 'z',
          content: padded('9999999\n'),
          pax: { 'GNU.sparse.major': '1', 'GNU.sparse.minor': '0', 'GNU.sparse.realsize': '1' },
        }),
      ),
      'more than 262144 pieces',
    ],
    [
      'a sparse map that does not end',
      archive(
        member({
          name: 'z',
          content: padded('9\n1\n'),
          pax: { 'GNU.sparse.major': '1', 'GNU.sparse.minor': '0', 'GNU.sparse.realsize': '1' },
        }),
        file('x', 'y'.repeat(5000)),
      ),
      'sparse map',
    ],
    [
      'a sparse map that is no text',
      archive(
        member({
          name: 'z',
          content: Buffer.alloc(512, 1),
          pax: { 'GNU.sparse.major': '1', 'GNU.sparse.minor': '0', 'GNU.sparse.realsize': '1' },
        }),
      ),
      'malformed sparse map',
    ],
    [
      'an unknown sparse format',
      archive(member({ name: 'z', pax: { 'GNU.sparse.major': '2', 'GNU.sparse.minor': '0' } })),
      'not known (2.0)',
    ],
    [
      'an odd sparse map',
      archive(member({ name: 'z', pax: { 'GNU.sparse.size': '9', 'GNU.sparse.map': '1,2,3' } })),
      'a piece missing',
    ],
  ])('%s is refused', (_, bytes, message) => {
    expect(() => parse(bytes)).toThrow(message);
  });

  test('errors name the entry before them, without control characters', () => {
    const bytes = archive(file('a\x1b]0;pwned\x07'), header({ name: 'b', checksum: '0000000\0' }));
    expect(() => parse(bytes)).toThrow(
      'the layer has a header whose checksum is wrong, at or after entry "a\\x1b]0;pwned\\x07"',
    );
  });
});

describe('dialects', () => {
  test('V7 directories are names with a slash at their end', () => {
    expect(parse(archive(member({ name: 'old/', dialect: 'v7', type: '\0' })))[0]).toMatchObject({ type: 'directory' });
  });

  test('contiguous files are files, labels are nothing, GNU directories may have content', () => {
    const bytes = archive(
      member({ name: 'label', type: 'V', dialect: 'gnu' }),
      member({ name: 'c', type: '7', content: 'x' }),
      member({ name: 'd/', type: 'D', dialect: 'gnu', content: 'Yfile\0\0' }),
      file('e'),
    );
    expect(parse(bytes).map(({ path, type }) => [path, type])).toEqual([
      ['c', 'file'],
      ['d/', 'directory'],
      ['e', 'file'],
    ]);
  });

  test('an extended header goes before a long name, and is good for one entry', () => {
    const bytes = archive(gnuLong('L', 'gnu'), pax({ path: 'pax' }), file('a'), file('b'));
    expect(paths(bytes)).toEqual(['pax', 'b']);
  });

  test('global records last until others replace them', () => {
    const bytes = archive(
      pax({ uid: '5' }, 'g'),
      file('a'),
      member({ name: 'b', pax: { uid: '6' } }),
      file('c'),
      pax({ uid: '' }, 'g'),
      file('d', '', { uid: 9 }),
    );
    expect(parse(bytes).map(({ uid }) => uid)).toEqual([5, 6, 5, 9]);
  });
});

test('mutated archives end in an error or in entries, never in anything else', () => {
  const random = randomNumbers(2);
  let refused = 0;
  for (let round = 0; round < 1500; round++) {
    const bytes = Buffer.from(everything);
    for (let n = 1 + Math.floor(random() * 4); n > 0; n--) {
      bytes[Math.floor(random() * bytes.length)] = Math.floor(random() * 256);
    }
    try {
      parse(bytes, 4096);
    } catch (error) {
      expect(error).toMatchObject({ name: 'TsrunError', code: 'ARCHIVE' });
      refused++;
    }
  }
  expect(refused).toBeGreaterThan(500);
});
