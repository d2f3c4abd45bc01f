/** Layers that are kept as archives and mounted: what is seen through the mount is what unpacking makes of the archive. */
import { execFileSync, spawnSync } from 'node:child_process';
import { lstatSync, mkdtempSync, readdirSync, readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { layoutDirectory } from '../../scripts/images/paths.ts';
import { removeTree } from '../../src/image/unpack/index.ts';
import { archive, device, directory, fifo, file, gnuLong, hardlink, member, symlink } from '../fixtures/archives.ts';
import { makeForm, Stack } from '../fixtures/erofs.ts';
import { refused } from '../fixtures/hostile.ts';
import { describeTree } from '../fixtures/tree.ts';
import { probe } from './erofs-probe.ts';

let work: string;
beforeEach(() => {
  work = mkdtempSync('/var/tmp/tsrun-erofs-');
});
afterEach(() => removeTree(work));

// Asked of another directory than the tests' own, so that nothing of it is left there.
/** Whiteouts are made when a layer is settled: on disk their time is that of the pull. */
const ignoreWhiteouts = (root: string) => ({
  ignoreTime: (path: string) => {
    const stat = lstatSync(Buffer.from(`${root}/${path}`, 'latin1'));
    return stat.isCharacterDevice() && stat.rdev === 0;
  },
});

/** Makes the layers in both forms, and expects the same trees; returns the forms that the layers have got. */
async function expectSame(...layers: Buffer[]): Promise<string[]> {
  const [unpacked, mounted] = [await Stack.make(work, layers, 'unpacked'), await Stack.make(work, layers, 'erofs')];
  try {
    expect(mounted.made).toEqual(unpacked.made);
    for (const [index, path] of unpacked.paths.entries()) {
      const other = mounted.paths[index] ?? '';
      expect(describeTree(other, ignoreWhiteouts(other)), `layer ${index}`).toEqual(
        describeTree(path, ignoreWhiteouts(path)),
      );
    }
    return mounted.forms;
  } finally {
    mounted.close();
  }
}

interface Document {
  manifests?: { digest: string }[];
  layers?: { digest: string }[];
}

/** The layers of every image in a layout, lowest first. */
function imagesOf(layout: string): Buffer[][] {
  const blob = (digest: string): Buffer => readFileSync(join(layout, 'blobs', digest.replace(':', '/')));
  const walk = (document: Document): Buffer[][] => {
    if (document.layers !== undefined) return [document.layers.map(({ digest }) => blob(digest))];
    return (document.manifests ?? []).flatMap(({ digest }) => walk(JSON.parse(blob(digest).toString())));
  };
  return walk(JSON.parse(readFileSync(join(layout, 'index.json'), 'utf8')));
}

const capability = Buffer.from('0100000200200000000000000000000000000000', 'hex');

/** Bytes in which every block differs from every other. */
function pattern(length: number): Buffer {
  const bytes = Buffer.alloc(length);
  for (let i = 0; i < length; i++) bytes[i] = (i * 31 + Math.floor(i / 251)) & 0xff;
  return bytes;
}

describe.skipIf(!probe.works)(`through a mount (${probe.reason || 'this kernel has it'})`, () => {
  test.each(['busybox', 'test', 'debian'])('the images of the tests: %s', async (name) => {
    for (const layers of imagesOf(layoutDirectory(name))) {
      const forms = await expectSame(...layers);
      // One of an unknown compression has no tree: there is none here.
      expect(forms).toHaveLength(layers.length);
      for (const entry of readdirSync(work)) removeTree(join(work, entry));
    }
  });

  test('every kind of entry, with modes, owners and times', async () => {
    const forms = await expectSame(
      archive(
        directory('./', { mode: 0o711, uid: 3, mtime: 5 }),
        directory('d', { mode: 0o2750, uid: 1000, gid: 100_000, mtime: 1_600_000_000 }),
        file('d/empty', ''),
        file('d/one', 'x', { mode: 0o4755, uid: 4_000_000_000, mtime: -5 }),
        file('d/block', pattern(512)),
        file('d/page', pattern(4096)),
        file('d/odd', pattern(70_001), { mtime: 2 ** 33 }),
        member({ name: 'd/nanoseconds', content: 'x', pax: { mtime: '1234567890.123456789', atime: '5.5' } }),
        member({ name: 'd/before', content: 'x', pax: { mtime: '-1.25' } }),
        symlink('d/link', 'one', { uid: 7 }),
        gnuLong('K', 'l/'.repeat(1500)),
        symlink('d/long', 'x'),
        symlink('d/most', 'm'.repeat(440), {}),
        hardlink('d/again', 'd/odd'),
        hardlink('top', 'd/link'),
        fifo('d/fifo', { mode: 0o620 }),
        device('d/null', '3', 1, 3, { mode: 0o666 }),
        device('d/disk', '4', 259, 70_000),
        gnuLong('L', `d/${'n'.repeat(255)}`),
        file('x', 'long name'),
        file(Buffer.from('d/\xff\xfe', 'latin1'), 'no text'),
      ),
    );
    expect(forms).toEqual(['erofs']);
  });

  test('extended attributes', async () => {
    const attributes = {
      'SCHILY.xattr.user.note': 'text',
      'SCHILY.xattr.trusted.a': Buffer.from([0, 1, 2, 255]),
      'SCHILY.xattr.user.empty': '',
      'SCHILY.xattr.trusted.overlay.opaque': 'y',
      'SCHILY.xattr.other.unknown': 'x',
      'SCHILY.xattr.security.selinux': 'system_u',
    };
    const forms = await expectSame(
      archive(
        directory('./', { pax: attributes }),
        directory('d', { pax: attributes }),
        file('f', pattern(3000), { pax: { ...attributes, 'SCHILY.xattr.security.capability': capability } }),
        file('large', 'x', { pax: { 'SCHILY.xattr.user.large': pattern(3500) } }),
        symlink('s', 'f', { pax: attributes }),
        fifo('p', { pax: attributes }),
      ),
    );
    expect(forms).toEqual(['erofs']);
  });

  test('a directory of many names, and many directories', async () => {
    const many = Array.from({ length: 3000 }, (_, i) => file(`many/${((i * 7919) % 3000).toString(36)}-${i}`, `${i}`));
    const deep = file(`${'d/'.repeat(40)}f`, 'deep');
    const wide = Array.from({ length: 500 }, (_, i) => directory(`w/${i}`));
    expect(await expectSame(archive(directory('./'), directory('many'), ...many, deep, ...wide))).toEqual(['erofs']);
  });

  test('entries that replace each other', async () => {
    const members = [
      file('b', 'has two names'),
      file('a', 'first'),
      file('a', 'second'),
      directory('c'),
      file('c/in', 'gone'),
      file('c', 'a file now'),
      file('d', 'gone'),
      directory('d', { mode: 0o700 }),
      file('d/x', 'there'),
      symlink('e', 'd'),
      file('e/through', 'a link'),
      hardlink('d/x', 'b'),
      directory('d', { mode: 0o755, mtime: 9 }),
    ];
    expect(await expectSame(archive(directory('./'), ...members))).toEqual(['erofs']);
  });

  test('files with holes', async () => {
    const source = join(work, 'holes');
    execFileSync('mkdir', [source]);
    const write = (name: string, size: number, ...pieces: [at: number, length: number][]) => {
      const path = join(source, name);
      writeFileSync(path, '');
      truncateSync(path, size);
      for (const [at, length] of pieces) {
        execFileSync('dd', [`of=${path}`, 'bs=4096', `seek=${at / 4096}`, 'conv=notrunc', 'status=none'], {
          input: pattern(length),
        });
      }
    };
    write('hole', 5 * 1024 * 1024);
    write('middle', 5 * 1024 * 1024, [1024 * 1024, 8192]);
    write('ends', 3_000_000, [0, 4096], [2_998_272, 1728]);
    write('comb', 400 * 8192, ...Array.from({ length: 400 }, (_, i): [number, number] => [i * 8192, 4096]));
    write('huge', 2 ** 40, [2 ** 39, 4096]);
    for (const format of ['gnu', 'pax']) {
      const tar = execFileSync('tar', ['-C', source, '--sparse', `--format=${format}`, '-c', '.'], { maxBuffer: 1e8 });
      // The huge one would need more chunks than a layer may have.
      expect(await expectSame(tar)).toEqual(['unpacked']);
      for (const entry of readdirSync(work)) if (entry !== 'holes') removeTree(join(work, entry));
    }
    removeTree(join(source, 'huge'));
    const tar = execFileSync('tar', ['-C', source, '--sparse', '-c', '.'], { maxBuffer: 1e8 });
    expect(await expectSame(tar)).toEqual(['erofs']);
  });

  test('a hole within a block is nothing that can be mounted', async () => {
    const odd = member({
      name: 'odd',
      content: 'abcde',
      pax: { 'GNU.sparse.size': '1000', 'GNU.sparse.map': '100,5' },
    });
    expect(await expectSame(archive(directory('./'), odd))).toEqual(['unpacked']);
  });

  test('an archive that ends with its last file, without padding', async () => {
    const whole = archive(directory('./'), file('last', pattern(700)));
    const cut = whole.subarray(0, whole.indexOf(pattern(700)) + 700);
    expect(await expectSame(cut)).toEqual(['erofs']);
  });

  describe('what depends on lower layers', () => {
    const lower = archive(
      directory('./', { mode: 0o700, mtime: 3 }),
      directory('d', { mode: 0o750, uid: 5, mtime: 4, pax: { 'SCHILY.xattr.user.x': 'y' } }),
      file('d/a', 'a'),
      file('d/b', 'b'),
      directory('d/inner'),
      file('d/inner/c', 'c'),
      symlink('link', 'd'),
      file('top', 'top'),
    );

    test.each<[string, Buffer[], string]>([
      ['implied directories take what lower ones have', [file('d/new', 'x'), file('none/new', 'x')], 'erofs'],
      ['whiteouts', [file('d/.wh.a'), file('.wh.top'), file('d/.wh.missing'), file('none/.wh.x')], 'erofs'],
      ['a whiteout of a directory that comes again', [file('d/.wh.inner'), file('d/inner/z', 'z')], 'erofs'],
      ['opaque directories', [directory('d'), file('d/.wh..wh..opq'), file('d/only', 'x')], 'erofs'],
      ['an opaque directory that hides nothing', [directory('n'), file('n/.wh..wh..opq')], 'erofs'],
      ['an opaque root', [file('.wh..wh..opq'), file('d/only', 'x')], 'erofs'],
      ['a directory in the place of a file', [directory('top'), file('top/in', 'x')], 'erofs'],
      ['nothing but useless whiteouts', [file('none/deep/.wh.x')], 'erofs'],
      ['a hard link to a lower file', [hardlink('d/linked', 'd/a')], 'unpacked'],
      ['a directory behind a lower link', [file('link/new', 'x')], 'unpacked'],
    ])('%s', async (_, members, form) => {
      expect(await expectSame(lower, archive(...members), archive(file('d/third', '3')))).toEqual([
        'erofs',
        form,
        'erofs',
      ]);
    });
  });

  test('access control lists are left to a filesystem', async () => {
    const list = Buffer.from('0200000001000600ffffffff04000400ffffffff20000400ffffffff', 'hex');
    const members = [file('f', 'x', { pax: { 'SCHILY.xattr.system.posix_acl_access': list } })];
    expect(await expectSame(archive(directory('./'), ...members))).toEqual(['unpacked']);
  });

  test('the metadata is what the tools of erofs-utils take it for, as far as they know the format', async (context) => {
    // Debian 12 has 1.5, which reads no blocks of less than a page.
    const version = spawnSync('fsck.erofs', ['-V'], { encoding: 'utf8' });
    const [, major = '0', minor = '0'] = /(\d+)\.(\d+)/.exec(`${version.stdout}${version.stderr}`) ?? [];
    context.skip(Number(major) * 100 + Number(minor) < 106, 'needs erofs-utils 1.6 or later');
    await makeForm(join(work, 'l'), archive(directory('./'), file('f', pattern(9000)), symlink('s', 'f')), 'erofs');
    const files = [`--device=${join(work, 'l/archive.tar')}`, join(work, 'l/tree.erofs')];
    expect(spawnSync('fsck.erofs', files, { encoding: 'utf8' })).toMatchObject({ status: 0 });
  });
});

describe('archives that no store takes', () => {
  test.each(refused)('%s', async (_, members, message) => {
    const made = makeForm(join(work, 'l'), archive(directory('./'), ...members()), 'erofs');
    await expect(made).rejects.toMatchObject({
      code: 'ARCHIVE',
      message: typeof message === 'string' ? expect.stringContaining(message) : expect.stringMatching(message),
    });
  });

  test('a layer of more entries, or more bytes, than it may have', async () => {
    const many = archive(...Array.from({ length: 100 }, (_, i) => file(`f${i}`)));
    await expect(makeForm(join(work, 'a'), many, 'erofs', [], { maxEntries: 99 })).rejects.toThrow(
      'entry "f99" is one too many: a layer may have 99 files',
    );
    const large = archive(file('bomb', Buffer.alloc(1_000_000)));
    await expect(makeForm(join(work, 'b'), large, 'erofs', [], { maxBytes: 500_000 })).rejects.toThrow(
      'inflates to more than 500000 bytes',
    );
    expect(statSync(join(work, 'b/archive.tar')).size).toBeLessThanOrEqual(500_000);
  });

  test('a compressed layer is kept inflated', async () => {
    const plain = archive(directory('./'), file('f', 'x'));
    await makeForm(join(work, 'l'), execFileSync('gzip', ['-c'], { input: plain }), 'erofs');
    expect(readFileSync(join(work, 'l/archive.tar')).equals(plain)).toBe(true);
  });
});
