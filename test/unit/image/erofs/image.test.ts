/** The metadata of a layer, byte by byte: struct erofs_super_block and its fellows of the kernel's erofs_fs.h. */
import { describe, expect, test } from 'vitest';
import { chunksOf } from '../../../../src/image/erofs/chunks.ts';
import { layOutNames } from '../../../../src/image/erofs/directory-data.ts';
import { encodeImage } from '../../../../src/image/erofs/image.ts';
import { Inode } from '../../../../src/image/erofs/inode.ts';
import { MemoryTree } from '../../../../src/image/erofs/memory-tree.ts';
import { Unfit } from '../../../../src/image/erofs/unfit.ts';
import { encodeXattrs, xattrCount } from '../../../../src/image/erofs/xattrs.ts';
import { TarParser } from '../../../../src/image/unpack/tar-parser.ts';
import { archive, directory, file, hardlink, symlink } from '../../../fixtures/archives.ts';

const digest = '0123456789abcdef'.repeat(4);

function imageOf(tar: Buffer): Buffer {
  const tree = new MemoryTree(1000);
  const parser = new TarParser(tree);
  parser.push(tar);
  parser.finish();
  expect(tree.finish()).toEqual([]);
  return encodeImage(tree.root, { digest, size: tar.length });
}

/** An inode by its number, as the kernel reads it. */
function inodeAt(
  image: Buffer,
  nid: number,
): { at: number; layout: number; mode: string; size: number; union: number; links: number } {
  const at = nid * 32;
  expect(image.readUInt16LE(at) & 1).toBe(1);
  return {
    at,
    layout: image.readUInt16LE(at) >> 1,
    mode: image.readUInt16LE(at + 4).toString(8),
    size: Number(image.readBigUInt64LE(at + 8)),
    union: image.readUInt32LE(at + 16),
    links: image.readUInt32LE(at + 44),
  };
}

/** The names of a directory whose content is behind its inode. */
function namesIn(image: Buffer, nid: number): Record<string, number> {
  const { at, size } = inodeAt(image, nid);
  const data = image.subarray(at + 64, at + 64 + size);
  const count = data.readUInt16LE(8) / 12;
  const offset = (index: number) => (index === count ? size : data.readUInt16LE(index * 12 + 8));
  return Object.fromEntries(
    Array.from({ length: count }, (_, i) => [
      data.toString('latin1', offset(i), offset(i + 1)),
      Number(data.readBigUInt64LE(i * 12)),
    ]),
  );
}

test('the super block names the root and the archive', () => {
  const tar = archive(directory('./'), file('f', 'x'));
  const image = imageOf(tar);
  expect(image.length % 512).toBe(0);
  expect(image.readUInt32LE(1024).toString(16)).toBe('e0f5e1e2');
  expect(image[1024 + 12]).toBe(9);
  // chunks and a table of devices are what a reader must know
  expect(image.readUInt32LE(1024 + 80)).toBe(0xc);
  expect(image.readUInt32LE(1024 + 36) * 512).toBe(image.length);
  expect([image.readUInt16LE(1024 + 86), image.readUInt16LE(1024 + 88)]).toEqual([1, 9]);
  const slot = 9 * 128;
  expect(image.toString('latin1', slot, slot + 64)).toBe(digest);
  expect(image.readUInt32LE(slot + 64)).toBe(tar.length / 512);
  const root = image.readUInt16LE(1024 + 14);
  expect(root * 32).toBe(slot + 128);
  expect(inodeAt(image, root)).toMatchObject({ layout: 2, mode: '40755', links: 2 });
});

test('names ascend, and lead to inodes; the content of a file is where it stands in the archive', () => {
  const content = Buffer.from('found me');
  const tar = archive(directory('./'), directory('d'), file('a', content), hardlink('d/b', 'a'), symlink('l', 'a'));
  const image = imageOf(tar);
  const root = image.readUInt16LE(1024 + 14);
  const names = namesIn(image, root);
  expect(Object.keys(names)).toEqual(['.', '..', 'a', 'd', 'l']);
  expect([names['.'], names['..']]).toEqual([root, root]);
  const inner = namesIn(image, names.d ?? 0);
  expect(inner).toEqual({ '.': names.d, '..': root, b: names.a });
  const inode = inodeAt(image, names.a ?? 0);
  expect(inode).toMatchObject({ layout: 4, mode: '100644', size: content.length, links: 2, union: 0x20 });
  const index = inode.at + 64;
  expect(image.readUInt16LE(index + 2)).toBe(1);
  const start = image.readUInt32LE(index + 4) * 512;
  expect(tar.subarray(start, start + content.length).equals(content)).toBe(true);
  const link = inodeAt(image, names.l ?? 0);
  expect(link).toMatchObject({ layout: 2, mode: '120777', size: 1 });
  expect(image.toString('latin1', link.at + 64, link.at + 65)).toBe('a');
});

describe('chunks', () => {
  const fileOf = (size: number, offset: number, segments?: number[]): Inode => {
    const inode = new Inode('file', {
      mode: 0,
      uid: 0,
      gid: 0,
      mtime: { seconds: 0, nanoseconds: 0 },
      atime: undefined,
      xattrs: undefined,
    });
    return Object.assign(inode, { size, offset, segments });
  };
  const hole = 0xffffffff;

  test('a file in one piece is one chunk', () => {
    expect(chunksOf(fileOf(1, 512))).toEqual({ bits: 0, addresses: [1] });
    expect(chunksOf(fileOf(513, 1024))).toEqual({ bits: 1, addresses: [2] });
    expect(chunksOf(fileOf(2 ** 30, 512))).toEqual({ bits: 21, addresses: [1] });
  });

  test('holes are chunks of zeros, as large as their places allow', () => {
    expect(chunksOf(fileOf(16384, 512, [4096, 4096]))).toEqual({ bits: 3, addresses: [hole, 1, hole, hole] });
    expect(chunksOf(fileOf(1500, 512, [1024, 476]))).toEqual({ bits: 1, addresses: [hole, 1] });
    expect(chunksOf(fileOf(2048, 512, [0, 512, 1536, 512]))).toEqual({ bits: 0, addresses: [1, hole, hole, 2] });
    expect(chunksOf(fileOf(2 ** 40, 512, []))).toEqual({ bits: 31, addresses: [hole] });
  });

  test('what has too many, or holes within blocks, is not mounted', () => {
    expect(() => chunksOf(fileOf(1000, 512, [100, 5]))).toThrow(Unfit);
    expect(() => chunksOf(fileOf(2 ** 41, 512, [512, 512]))).toThrow(Unfit);
  });
});

test('names of a directory fill blocks of 512 bytes, in the order of their bytes', () => {
  const name = (text: string) => ({ name: text, fileType: 1, place: () => 0 });
  const names = ['b'.repeat(250), 'a'.repeat(250), '!', '..', '.', '\xff'].map(name);
  expect(layOutNames(names)).toEqual({ blocks: [4, 2], size: 512 + 262 + 13 });
  expect(names.map((entry) => entry.name[0])).toEqual(['!', '.', '.', 'a', 'b', '\xff']);
});

describe('extended attributes', () => {
  const encode = (xattrs: [string, Buffer][], type: 'file' | 'symlink' = 'file') =>
    encodeXattrs(new Map(xattrs), { type, path: 'p' });

  test('are stored by the number of their namespace', () => {
    const bytes = encode([
      ['trusted.ab', Buffer.from('xyz')],
      ['user.c', Buffer.alloc(0)],
    ]);
    expect(bytes.toString('hex')).toBe(`${'00'.repeat(12)}02040300616278797a00000001010000630000 00`.replace(' ', ''));
    expect(xattrCount(bytes.length)).toBe(6);
    expect(xattrCount(encode([]).length)).toBe(0);
  });

  test('those that no filesystem would keep are left out', () => {
    expect(
      encode([
        ['other.x', Buffer.from('y')],
        ['trusted.overlay.opaque', Buffer.from('y')],
      ]),
    ).toHaveLength(0);
    expect(encode([['user.x', Buffer.from('y')]], 'symlink')).toHaveLength(0);
  });

  test('those that the kernel has to look at make the layer unfit', () => {
    expect(() => encode([['system.posix_acl_access', Buffer.from('y')]])).toThrow(Unfit);
    expect(() => encode([['security.capability', Buffer.from('y')]])).toThrow(Unfit);
  });
});
