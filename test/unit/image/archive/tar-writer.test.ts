import { execFileSync } from 'node:child_process';
import { closeSync, ftruncateSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { DescriptorSink } from '../../../../src/image/archive/sink.ts';
import type { TarMember } from '../../../../src/image/archive/tar-header.ts';
import { TarWriter, type TarWriterOptions } from '../../../../src/image/archive/tar-writer.ts';
import type { Entry } from '../../../../src/image/unpack/entry.ts';
import { TarParser } from '../../../../src/image/unpack/tar-parser.ts';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'tar-writer.'));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

const file = (path: string, more: Partial<TarMember> = {}): TarMember => ({
  path,
  type: 'file',
  mode: 0o644,
  uid: 0,
  gid: 0,
  size: 0,
  mtime: { seconds: 1_700_000_000, nanoseconds: 0 },
  ...more,
});

function write(fill: (writer: TarWriter) => void, options: TarWriterOptions = {}): Buffer {
  const parts: Buffer[] = [];
  const writer = new TarWriter({ write: (bytes) => void parts.push(Buffer.from(bytes)) }, options);
  fill(writer);
  writer.finish();
  return Buffer.concat(parts);
}

function read(archive: Buffer): { entry: Entry; content: string }[] {
  const found: { entry: Entry; content: string }[] = [];
  const parser = new TarParser({
    entry: (entry) => void found.push({ entry, content: '' }),
    data: (chunk, start, end) => {
      const last = found.at(-1);
      if (last !== undefined) last.content += Buffer.from(chunk.subarray(start, end)).toString('latin1');
    },
    end: () => {},
  });
  parser.push(archive);
  parser.finish();
  return found;
}

const readMember = (member: TarMember, options?: TarWriterOptions) =>
  read(write((writer) => writer.header(member), options))[0]?.entry as Entry;

describe('what the parser reads back', () => {
  test('an ordinary file is one block of ustar and its content', () => {
    const archive = write((writer) => {
      writer.header(file('etc/passwd', { size: 5, mode: 0o4755, uid: 1000, gid: 2_097_151 }));
      writer.content(Buffer.from('hello'));
    });
    expect(archive.length).toBe(512 + 512 + 1024);
    expect(read(archive)).toMatchObject([
      {
        entry: { path: 'etc/passwd', type: 'file', mode: 0o4755, uid: 1000, gid: 2_097_151, size: 5 },
        content: 'hello',
      },
    ]);
  });

  test.each([
    ['a name of 100 bytes', 'n'.repeat(100)],
    ['a name of 101 bytes', 'n'.repeat(101)],
    ['a path of 4,000 bytes', `${'d'.repeat(199)}/`.repeat(20).slice(0, -1)],
    ['a name in UTF-8', Buffer.from('föö/☃').toString('latin1')],
    ['a name that is not UTF-8', 'a\xff\xfe'],
    ['a name with a line break', 'a\nb = c'],
  ])('%s', (_, path) => {
    expect(readMember(file(path)).path).toBe(path);
  });

  test('lengths of pax records that count themselves, over every number of digits', () => {
    for (let length = 85; length < 110; length++) {
      const path = `\xe4${'n'.repeat(length)}`;
      expect(readMember(file(path)).path).toBe(path);
    }
  });

  test('a directory gets its slash', () => {
    expect(readMember(file('usr/lib', { type: 'directory' })).path).toBe('usr/lib/');
    expect(readMember(file('d'.repeat(100), { type: 'directory' })).path).toBe(`${'d'.repeat(100)}/`);
  });

  test('links with short, long and foreign targets', () => {
    for (const linkPath of ['../x', 't'.repeat(101), '\xe9']) {
      expect(readMember(file('link', { type: 'symlink', linkPath }))).toMatchObject({ type: 'symlink', linkPath });
      expect(readMember(file('link', { type: 'hardlink', linkPath }))).toMatchObject({ type: 'hardlink', linkPath });
    }
  });

  test('devices and fifos', () => {
    expect(readMember(file('null', { type: 'character', major: 1, minor: 3 }))).toMatchObject({
      type: 'character',
      major: 1,
      minor: 3,
    });
    expect(readMember(file('sda', { type: 'block', major: 4095, minor: 1_048_575 }))).toMatchObject({
      type: 'block',
      major: 4095,
      minor: 1_048_575,
    });
    expect(readMember(file('pipe', { type: 'fifo' })).type).toBe('fifo');
  });

  test('owners beyond seven octal digits', () => {
    expect(readMember(file('a', { uid: 4_294_967_294, gid: 2_097_152 }))).toMatchObject({
      uid: 4_294_967_294,
      gid: 2_097_152,
    });
  });

  test('times: whole seconds, with nanoseconds where wanted, before 1970, beyond 2242', () => {
    const mtime = { seconds: 1_700_000_000, nanoseconds: 123_456_780 };
    expect(readMember(file('a', { mtime })).mtime).toEqual({ seconds: 1_700_000_000, nanoseconds: 0 });
    expect(readMember(file('a', { mtime }), { subsecond: true }).mtime).toEqual(mtime);
    for (const seconds of [-1, -86_400, 8 ** 11]) {
      for (const nanoseconds of [0, 250_000_000]) {
        const time = { seconds, nanoseconds };
        expect(readMember(file('a', { mtime: time }), { subsecond: true }).mtime).toEqual(time);
      }
    }
  });

  test('extended attributes with any bytes, in one order', () => {
    const xattrs = new Map([
      ['user.b', Buffer.from([0, 1, 255, 10])],
      ['security.capability', Buffer.from('0100000200040000', 'hex')],
    ]);
    const back = readMember(file('a', { xattrs })).xattrs;
    expect([...(back ?? [])].map(([name, value]) => [name, Buffer.from(value).toString('hex')])).toEqual([
      ['security.capability', '0100000200040000'],
      ['user.b', '0001ff0a'],
    ]);
  });

  test('a size beyond 8 GiB is said in a pax record', () => {
    const size = 8 ** 11 + 7;
    const entries: Entry[] = [];
    const parser = new TarParser({ entry: (entry) => void entries.push(entry), data: () => {}, end: () => {} });
    const writer = new TarWriter({ write: (bytes) => parser.push(Buffer.from(bytes)) });
    writer.header(file('big', { size }));
    writer.content(Buffer.alloc(1024 * 1024));
    expect(entries[0]?.size).toBe(size);
  });
});

describe('content', () => {
  test('comes from a descriptor in pieces larger than the buffer', () => {
    const content = Buffer.alloc(1_500_000, 'content of a file ');
    writeFileSync(join(directory, 'file'), content);
    const fd = openSync(join(directory, 'file'), 'r');
    const archive = write((writer) => {
      writer.header(file('big', { size: content.length }));
      writer.contentFrom(fd, 'big');
      writer.header(file('next', { size: 4 }));
      writer.content(Buffer.from('next'));
    });
    closeSync(fd);
    const [big, next] = read(archive);
    expect(big?.content).toBe(content.toString('latin1'));
    expect(next).toMatchObject({ entry: { path: 'next' }, content: 'next' });
  });

  test('a file that became shorter is filled with zeros, one that became longer is cut', () => {
    writeFileSync(join(directory, 'file'), 'abcdef');
    const fd = openSync(join(directory, 'file'), 'r+');
    ftruncateSync(fd, 2);
    const warnings: string[] = [];
    const archive = write(
      (writer) => {
        writer.header(file('shorter', { size: 6 }));
        writer.contentFrom(fd, 'shorter');
        writer.header(file('after', { size: 1 }));
        writer.content(Buffer.from('x'));
      },
      { onWarning: (text) => warnings.push(text) },
    );
    closeSync(fd);
    expect(read(archive).map(({ content }) => content)).toEqual(['ab\0\0\0\0', 'x']);
    expect(warnings).toEqual(['"shorter" became shorter while it was read; zeros stand for what is missing']);
    const second = openSync(join(directory, 'file'), 'r');
    const cut = write((writer) => {
      writer.header(file('longer', { size: 1 }));
      writer.contentFrom(second, 'longer');
    });
    closeSync(second);
    expect(read(cut)[0]?.content).toBe('a');
  });

  test('more or less than promised is a mistake of the caller', () => {
    expect(() => write((writer) => writer.header(file('a', { size: 1 })))).toThrow(RangeError);
    expect(() => write((writer) => writer.content(Buffer.from('a')))).toThrow(RangeError);
  });
});

test('GNU tar reads what was written', () => {
  const path = join(directory, 'archive.tar');
  const fd = openSync(path, 'w');
  const writer = new TarWriter(new DescriptorSink(fd), { subsecond: true });
  const long = `${'long/'.repeat(40)}name`;
  writer.header(file('directory', { type: 'directory', mode: 0o1777 }));
  writer.header(file(long, { size: 3, mtime: { seconds: 1_600_000_000, nanoseconds: 500_000_000 } }));
  writer.content(Buffer.from('abc'));
  writer.header(file('link', { type: 'symlink', linkPath: 't'.repeat(150), mode: 0o777 }));
  writer.header(file('hard', { type: 'hardlink', linkPath: long }));
  writer.finish();
  closeSync(fd);
  const list = execFileSync('tar', ['--full-time', '--utc', '--numeric-owner', '-tvf', path], { encoding: 'utf8' });
  const lines = list
    .trimEnd()
    .split('\n')
    .map((line) => line.replace(/ +/g, ' '));
  expect(lines).toEqual([
    'drwxrwxrwt 0/0 0 2023-11-14 22:13:20 directory/',
    `-rw-r--r-- 0/0 3 2020-09-13 12:26:40.5 ${long}`,
    `lrwxrwxrwx 0/0 0 2023-11-14 22:13:20 link -> ${'t'.repeat(150)}`,
    `hrw-r--r-- 0/0 0 2023-11-14 22:13:20 hard link to ${long}`,
  ]);
  expect(readFileSync(path).length % 512).toBe(0);
});
