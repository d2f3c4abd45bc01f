/** Layers as real tools write them: unpacked by tsrun, by GNU tar and by umoci, with the same result. */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  chmodSync,
  chownSync,
  existsSync,
  linkSync,
  lutimesSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { gunzipSync, gzipSync } from 'node:zlib';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { layoutDirectory } from '../../scripts/images/paths.ts';
import { LayerWriter, removeTree } from '../../src/image/unpack/index.ts';
import { archive, base256, device, directory, fifo, file, hardlink, member, symlink } from '../fixtures/archives.ts';
import { describeTree, type TreeOptions } from '../fixtures/tree.ts';
import { buildUnpackWorker, unpack, unpackInline, unpackStack } from '../fixtures/unpack.ts';

let work: string;
let umask: number;

beforeAll(() => {
  buildUnpackWorker();
  umask = process.umask(0o027);
});
beforeEach(() => {
  work = mkdtempSync('/var/tmp/tsrun-unpack-');
});
afterEach(() => removeTree(work));
afterAll(() => {
  process.umask(umask);
});

const run = (command: string, ...args: string[]) => execFileSync(command, args, { stdio: ['ignore', 'pipe', 'pipe'] });

/** What GNU tar makes of an archive. */
function tarExtract(archiveFile: string, target: string): void {
  mkdirSync(target);
  // Without the root's entry tar leaves the directory as it is; both begin with the same.
  chmodSync(target, 0o755);
  run(
    'tar',
    '-C',
    target,
    '-xpf',
    archiveFile,
    '--numeric-owner',
    '--xattrs',
    '--xattrs-include=*',
    '--same-owner',
    '--sparse',
  );
}

async function unpackAndSettle(target: string, layer: Buffer): Promise<void> {
  const [made] = await unpackStack(`${target}.layers`, [layer], unpack);
  run('mv', made as string, target);
  rmSync(`${target}.layers`, { recursive: true });
}

/** A directory with everything that a filesystem can hold. */
function makeTree(root: string): void {
  mkdirSync(root, { mode: 0o755 });
  const at = (name: string) => join(root, name);
  mkdirSync(at('etc'));
  writeFileSync(at('etc/passwd'), 'root:x:0:0::/root:/bin/sh\n', { mode: 0o644 });
  writeFileSync(at('etc/shadow'), 'secret', { mode: 0o640 });
  chownSync(at('etc/shadow'), 0, 42);
  writeFileSync(at('empty'), '');
  writeFileSync(at('blocks'), Buffer.alloc(1024, 'b'));
  writeFileSync(at('large'), Buffer.alloc(3_000_001, 'large'));
  writeFileSync(at('setuid'), 'x');
  chownSync(at('setuid'), 1000, 1001);
  chmodSync(at('setuid'), 0o6755);
  linkSync(at('setuid'), at('setuid-link'));
  linkSync(at('large'), at('etc/large-link'));
  symlinkSync('etc/passwd', at('link'));
  symlinkSync('/absolute/nowhere', at('dangling'));
  symlinkSync('x'.repeat(200), at('long-target'));
  linkSync(at('dangling'), at('dangling-link'));
  lutimesSync(at('link'), 1_234_567_890, 1_234_567_890);
  mkdirSync(at('tmp'));
  chmodSync(at('tmp'), 0o1777);
  mkdirSync(at('setgid'));
  writeFileSync(at('setgid/file'), '');
  chownSync(at('setgid'), 0, 50);
  chmodSync(at('setgid'), 0o2775);
  mkdirSync(at('closed'));
  writeFileSync(at('closed/file'), 'in a directory that nobody may enter');
  chmodSync(at('closed'), 0o000);
  writeFileSync(at('unreadable'), 'x', { mode: 0o000 });
  run('mknod', at('null'), 'c', '1', '3');
  run('mknod', at('disk'), 'b', '259', '300000');
  chmodSync(at('null'), 0o666);
  run('mkfifo', at('pipe'));
  const deep = Array.from({ length: 12 }, (_, i) => `level-${i}-${'d'.repeat(20)}`).join('/');
  mkdirSync(at(deep), { recursive: true });
  writeFileSync(at(`${deep}/file-${'f'.repeat(200)}`), 'deep');
  writeFileSync(at('n'.repeat(255)), 'longest name');
  for (const name of [
    Buffer.from([0xff, 0xfe, 0x41]),
    Buffer.from('ünïcödé'),
    Buffer.from('new\nline\ttab'),
    Buffer.from([0x01, 0x7f]),
  ]) {
    writeFileSync(Buffer.concat([Buffer.from(`${root}/`), name]), name);
  }
  writeFileSync(at('old'), '');
  utimesSync(at('old'), -1_000_000, -1_000_000.5);
  writeFileSync(at('future'), '');
  utimesSync(at('future'), 4_000_000_000, 4_000_000_000.25);
  writeFileSync(at('holes'), 'start');
  truncateSync(at('holes'), 20_000_000);
  execFileSync('dd', [
    'if=/dev/zero',
    `of=${at('holes')}`,
    'bs=1',
    'count=4',
    'seek=10000000',
    'conv=notrunc',
    'status=none',
  ]);
  for (let i = 0; i < 12; i++) {
    execFileSync('dd', [`of=${at('many-holes')}`, 'bs=4096', `seek=${i * 50}`, 'conv=notrunc', 'status=none'], {
      input: Buffer.alloc(4096, i + 1),
    });
  }
  writeFileSync(at('all-hole'), '');
  truncateSync(at('all-hole'), 5_000_000);
  run('setfattr', '-n', 'user.comment', '-v', 'hello', at('etc/passwd'));
  run('setfattr', '-n', 'user.binary', '-v', '0x00ff0a3d', at('etc'));
  run('setfattr', '-n', 'trusted.note', '-v', 'x', at('empty'));
  run('setcap', 'cap_net_raw+ep', at('blocks'));
  utimesSync(at('etc'), 1_600_000_000, 1_600_000_000.123);
  utimesSync(root, 1_500_000_000, 1_500_000_000);
}

describe('archives of GNU tar', () => {
  const formats: [string, string[], TreeOptions][] = [
    ['gnu', ['--format=gnu'], { nanoseconds: false, xattrs: false }],
    ['gnu, sparse', ['--format=gnu', '--sparse'], { nanoseconds: false, xattrs: false, usage: true }],
    ['pax', ['--format=pax', '--xattrs', '--xattrs-include=*'], {}],
    ['pax, sparse 0.0', ['--format=pax', '--sparse', '--sparse-version=0.0'], { usage: true, xattrs: false }],
    ['pax, sparse 0.1', ['--format=pax', '--sparse', '--sparse-version=0.1'], { usage: true, xattrs: false }],
    [
      'pax, sparse 1.0',
      ['--format=pax', '--sparse', '--sparse-version=1.0', '--xattrs', '--xattrs-include=*'],
      { usage: true },
    ],
  ];

  test.each(formats)('%s', async (_, flags, options) => {
    makeTree(`${work}/source`);
    run('tar', '-C', `${work}/source`, '-cf', `${work}/layer.tar`, '--numeric-owner', ...flags, '.');
    tarExtract(`${work}/layer.tar`, `${work}/theirs`);
    await unpackAndSettle(`${work}/ours`, readFileSync(`${work}/layer.tar`));
    const theirs = describeTree(`${work}/theirs`, options);
    const ours = describeTree(`${work}/ours`, options);
    expect(ours).toEqual(theirs);
    expect(Object.keys(ours).length).toBeGreaterThan(40);
    // And both are what was packed, so that one mistake in two programs would be seen.
    expect(ours).toEqual(describeTree(`${work}/source`, options));
    if (options.usage) expect(statSync(`${work}/ours/holes`).blocks * 512).toBeLessThan(100_000);
  });

  test.each(['v7', 'oldgnu', 'ustar'])('%s, with what it can hold', async (format) => {
    const source = `${work}/source`;
    mkdirSync(`${source}/dir/sub`, { recursive: true });
    writeFileSync(`${source}/dir/file`, 'content');
    writeFileSync(`${source}/dir/sub/${'f'.repeat(80)}`, '');
    linkSync(`${source}/dir/file`, `${source}/hard`);
    symlinkSync('dir/file', `${source}/soft`);
    run('tar', '-C', source, '-cf', `${work}/layer.tar`, `--format=${format}`, '--numeric-owner', '.');
    tarExtract(`${work}/layer.tar`, `${work}/theirs`);
    await unpackAndSettle(`${work}/ours`, readFileSync(`${work}/layer.tar`));
    expect(describeTree(`${work}/ours`)).toEqual(describeTree(`${work}/theirs`));
  });
});

describe('the debian image', () => {
  const layout = layoutDirectory('debian');
  const blob = (digest: string) => join(layout, 'blobs', digest.replace(':', '/'));
  const json = (path: string) => JSON.parse(readFileSync(path, 'utf8'));

  test('is what GNU tar makes of it, and umoci, with the diffID of its config', async () => {
    const manifest = json(blob(json(`${layout}/index.json`).manifests[0].digest));
    const config = json(blob(manifest.config.digest));
    const layer = blob(manifest.layers[0].digest);
    const result = await unpack(`${work}/ours`, readFileSync(layer));
    expect(result.diffId).toBe(config.rootfs.diff_ids[0]);
    expect(result.entries).toBeGreaterThan(5000);
    expect(result.deferred).toEqual([]);
    const ours = describeTree(`${work}/ours`);
    tarExtract(layer, `${work}/theirs`);
    expect(describeTree(`${work}/theirs`)).toEqual(ours);
    if (!existsSync('/usr/bin/umoci')) return;
    const tag = json(`${layout}/index.json`).manifests[0].annotations?.['org.opencontainers.image.ref.name'];
    run('umoci', 'unpack', '--image', `${layout}:${tag ?? 'latest'}`, `${work}/bundle`);
    expect(describeTree(`${work}/bundle/rootfs`)).toEqual(ours);
  });
});

describe('compression', () => {
  const plain = archive(directory('./'), file('a', 'content'), file('dir/b', 'x'.repeat(100_000)));
  const diffId = `sha256:${createHash('sha256').update(plain).digest('hex')}`;

  test.each([
    ['none', () => plain],
    ['gzip', () => gzipSync(plain)],
    ['several gzip members', () => Buffer.concat([gzipSync(plain.subarray(0, 1000)), gzipSync(plain.subarray(1000))])],
    ['zstd', () => execFileSync('zstd', ['-q', '-c', '-19'], { input: plain })],
  ])('%s', async (_, compress) => {
    for (const step of [1000, 1_000_000]) {
      const result = await unpack(`${work}/${step}`, compress(), { step });
      expect(result).toMatchObject({ diffId, bytes: 100_007, entries: 3 });
      expect(readFileSync(`${work}/${step}/a`, 'utf8')).toBe('content');
      expect(statSync(`${work}/${step}/dir/b`).size).toBe(100_000);
    }
  });

  test('an empty layer is one', async () => {
    const empty = Buffer.alloc(1024);
    for (const [name, layer] of [
      ['zeros', empty],
      ['gzip', gzipSync(empty)],
      ['nothing', Buffer.alloc(0)],
    ] as const) {
      const result = await unpack(`${work}/${name}`, layer);
      const digest = createHash('sha256')
        .update(name === 'nothing' ? layer : empty)
        .digest('hex');
      expect(result).toEqual({
        diffId: `sha256:${digest}`,
        bytes: 0,
        archiveSize: (name === 'nothing' ? layer : empty).length,
        entries: 0,
        deferred: [{ kind: 'directory', path: '', bare: true }],
      });
      expect(readdirSync(`${work}/${name}`)).toEqual([]);
    }
  });

  test('what follows the end of the archive counts for the diffID', async () => {
    const layer = Buffer.concat([plain, Buffer.from('garbage')]);
    const result = await unpack(`${work}/x`, gzipSync(layer));
    expect(result.diffId).toBe(`sha256:${createHash('sha256').update(layer).digest('hex')}`);
  });
});

describe('attributes', () => {
  test.each([
    ['in a thread whose umask is its own', unpack],
    ['where the umask cannot be changed', unpackInline],
  ])('modes do not depend on the umask, and setuid survives the change of owner, %s', async (_, unpackOne) => {
    expect(process.umask()).toBe(0o027);
    const layer = archive(
      directory('./', { mode: 0o751 }),
      file('f', 'x', { mode: 0o777 }),
      directory('d', { mode: 0o777 }),
      device('tty', '3', 5, 0, { mode: 0o666 }),
      fifo('p', { mode: 0o622 }),
      file('s', 'x', { mode: 0o6711, uid: 12, gid: 34 }),
      directory('g', { mode: 0o2770, uid: 1, gid: 2 }),
      file('g/f', '', { uid: 0, gid: 0 }),
    );
    await unpackOne(`${work}/x`, layer);
    const tree = describeTree(`${work}/x`, { ignoreTime: () => true });
    expect(tree).toEqual({
      '.': 'directory 0751 0:0',
      d: 'directory 0777 0:0',
      f: 'file 0777 0:0 size=1 2d711642b726b044',
      g: 'directory 02770 1:2',
      'g/f': 'file 0644 0:0 size=0 e3b0c44298fc1c14',
      p: 'fifo 0622 0:0',
      s: 'file 06711 12:34 size=1 2d711642b726b044',
      tty: 'character 0666 0:0 5:0',
    });
  });

  test('a setgid store does not give its group to files', async () => {
    mkdirSync(`${work}/x`);
    chownSync(`${work}/x`, 5, 50);
    chmodSync(`${work}/x`, 0o2777);
    await unpack(`${work}/x`, archive(file('dir/f')));
    expect(describeTree(`${work}/x`, { ignoreTime: () => true })).toMatchObject({
      '.': 'directory 0755 0:0',
      dir: 'directory 0755 0:0',
      'dir/f': expect.stringContaining('0644 0:0'),
    });
  });

  test('owners are numbers, whatever names an archive gives, up to the largest', async () => {
    const names = { 265: 'daemon\0', 297: 'games\0' };
    const layer = archive(file('f', '', { uid: 4_294_967_294, gid: 4_294_967_294, raw: names }));
    await unpack(`${work}/x`, layer);
    expect(statSync(`${work}/x/f`)).toMatchObject({ uid: 4_294_967_294, gid: 4_294_967_294 });
  });

  test('times: fractions, before 1970, after 2038', async () => {
    const layer = archive(
      member({ name: 'f', pax: { mtime: '1700000000.123456789', atime: '5.5' } }),
      member({ name: 'early', pax: { mtime: '-1.25' } }),
      file('binary', '', { raw: { 136: base256(-3600n, 12) } }),
      file('late', '', { mtime: 4_102_444_800 }),
      directory('d', { mtime: 7 }),
      file('d/f', ''),
      symlink('l', 'f', { mtime: 9 }),
    );
    await unpack(`${work}/x`, layer);
    expect(statSync(`${work}/x/f`, { bigint: true }).atimeNs).toBe(5_500_000_000n);
    const tree = describeTree(`${work}/x`);
    const time = (path: string) => /mtime=(-?\d+)/.exec(tree[path] ?? '')?.[1];
    expect(time('f')).toBe('1700000000123456789');
    expect(time('early')).toBe('-1250000000');
    expect(time('binary')).toBe('-3600000000000');
    expect(time('late')).toBe('4102444800000000000');
    expect(time('d')).toBe('7000000000');
    expect(time('l')).toBe('9000000000');
  });

  test('extended attributes are set on every kind of file, but never those that mean something to the host', async () => {
    const capability = Buffer.from('0100000200200000000000000000000000000000', 'hex');
    const xattrs = (records: Record<string, string | Buffer>) =>
      Object.fromEntries(Object.entries(records).map(([name, value]) => [`SCHILY.xattr.${name}`, value]));
    const layer = archive(
      member({
        name: 'f',
        content: 'x',
        uid: 5,
        pax: xattrs({ 'user.a': 'b', 'security.capability': capability, 'trusted.x': 'y' }),
      }),
      member({
        name: 'd',
        type: '5',
        pax: xattrs({ 'user.a': 'dir', 'trusted.overlay.opaque': 'y', 'user.overlay.opaque': 'y' }),
      }),
      member({
        name: 'l',
        type: '2',
        linkName: '/etc/passwd',
        pax: xattrs({ 'trusted.link': 'itself', 'user.not': 'possible' }),
      }),
      member({
        name: 'p',
        type: '6',
        pax: xattrs({
          'trusted.fifo': '1',
          'user.not': 'possible',
          'security.selinux': 'x',
          'trusted.overlay.redirect': '/etc',
        }),
      }),
      member({
        name: 'bsd',
        pax: { 'LIBARCHIVE.xattr.user.b%20c': Buffer.from('value').toString('base64'), 'nosuch.space': 'x' },
      }),
      member({ name: 'odd', pax: xattrs({ 'nosuch.space': 'x' }) }),
    );
    await unpack(`${work}/x`, layer);
    const hex = (text: string) => Buffer.from(text).toString('hex');
    const tree = describeTree(`${work}/x`, { ignoreTime: () => true });
    expect(tree).toMatchObject({
      f: `file 0644 5:0 size=1 2d711642b726b044 security.capability=${capability.toString('hex')} trusted.x=${hex('y')} user.a=${hex('b')}`,
      d: `directory 0644 0:0 user.a=${hex('dir')}`,
      l: `symlink 0777 0:0 -> /etc/passwd trusted.link=${hex('itself')}`,
      p: `fifo 0644 0:0 trusted.fifo=${hex('1')}`,
      bsd: expect.stringContaining(`user.b c=${hex('value')}`),
      odd: 'file 0644 0:0 size=0 e3b0c44298fc1c14',
    });
  });

  test('a filesystem without attributes loses user attributes, but no capabilities without a word', async () => {
    mkdirSync(`${work}/ramfs`);
    run('mount', '-t', 'ramfs', 'none', `${work}/ramfs`);
    try {
      const user = member({ name: 'f', content: 'x', pax: { 'SCHILY.xattr.user.a': 'b' } });
      await unpackInline(`${work}/ramfs/user`, archive(user));
      expect(readFileSync(`${work}/ramfs/user/f`, 'utf8')).toBe('x');
      const capability = Buffer.from('0100000200200000000000000000000000000000', 'hex');
      const ping = member({ name: 'ping', content: 'x', pax: { 'SCHILY.xattr.security.capability': capability } });
      await expect(unpackInline(`${work}/ramfs/capability`, archive(ping))).rejects.toMatchObject({
        code: 'UNSUPPORTED',
        message: 'cannot set capabilities on "ping": the filesystem has no xattrs',
      });
    } finally {
      run('umount', `${work}/ramfs`);
    }
  });
});

describe('entries of one name', () => {
  test.each<[string, Buffer[], Record<string, string>]>([
    ['a file over a file', [file('a', 'first'), file('a', 'second')], { a: 'file 0644 0:0 size=6' }],
    ['a directory over a file', [file('a', 'x'), directory('a', { mode: 0o700 })], { a: 'directory 0700 0:0' }],
    ['a file over a directory with files', [file('a/b/c', 'x'), file('a', 'y')], { a: 'file 0644 0:0 size=1' }],
    [
      'a symlink over a directory',
      [file('d/x'), directory('a'), file('a/f'), symlink('a', 'd')],
      { a: 'symlink 0777 0:0 -> d', d: 'directory 0755 0:0', 'd/x': 'file 0644 0:0 size=0' },
    ],
    [
      'a directory over a symlink',
      [directory('d'), symlink('a', 'd'), directory('a'), file('a/f')],
      { a: 'directory 0755 0:0', 'a/f': 'file 0644 0:0 size=0', d: 'directory 0755 0:0' },
    ],
    [
      'a directory again',
      [directory('a', { mode: 0o700 }), file('a/f'), directory('a', { mode: 0o711, uid: 7 })],
      { a: 'directory 0711 7:0', 'a/f': 'file 0644 0:0 size=0' },
    ],
    [
      'a directory after what is in it',
      [file('a/f'), directory('a', { mode: 0o711 })],
      { a: 'directory 0711 0:0', 'a/f': 'file 0644 0:0 size=0' },
    ],
    ['a device over a fifo', [fifo('a'), device('a', '3', 1, 5)], { a: 'character 0644 0:0 1:5' }],
    [
      'a hard link over a file',
      [file('t', 'target'), file('a', 'x'), hardlink('a', 't')],
      { a: 'file 0644 0:0 size=6 links=2', t: 'file 0644 0:0 size=6 links=2 same as a' },
    ],
    ['a hard link to itself', [file('a', 'x'), hardlink('a', 'a')], { a: 'file 0644 0:0 size=1' }],
    [
      'a hard link twice',
      [file('t', 'x'), hardlink('a', 't'), hardlink('a', 't')],
      { a: 'file 0644 0:0 size=1 links=2', t: 'file 0644 0:0 size=1 links=2 same as a' },
    ],
    [
      'a file over one of two links',
      [file('t', 'old'), hardlink('a', 't'), file('a', 'newer')],
      { a: 'file 0644 0:0 size=5', t: 'file 0644 0:0 size=3' },
    ],
    [
      'a file over a symlink',
      [file('t', 'untouched'), symlink('a', 't'), file('a', 'x')],
      { a: 'file 0644 0:0 size=1', t: 'file 0644 0:0 size=9' },
    ],
  ])('%s', async (_, members, expected) => {
    const [made] = await unpackStack(work, [archive(...members)]);
    const tree = describeTree(made as string, { ignoreTime: () => true });
    delete tree['.'];
    for (const [path, line] of Object.entries(tree)) tree[path] = line.replace(/(size=\d+) [0-9a-f]{16}/, '$1');
    expect(tree).toEqual(expected);
  });
});

test('names are kept byte by byte', async () => {
  const names = [
    Buffer.from([0xff, 0xfe, 0xfd]),
    Buffer.from([0xc3, 0x28]),
    Buffer.from('ä'),
    Buffer.from([0x61, 0xcc, 0x88]),
    Buffer.from(' leading and trailing '),
    Buffer.from([0x01, 0x0a, 0x1b, 0x7f]),
    Buffer.from('-rf'),
    Buffer.from('*'),
    Buffer.alloc(255, 0xe4),
  ];
  const path = Buffer.concat([Buffer.from('dir/'), names[0] as Buffer, Buffer.from('/'), names[8] as Buffer]);
  const layer = archive(
    ...names.map((name) => member({ name: 'x', content: name, pax: { path: name } })),
    member({ name: 'x', pax: { path } }),
    symlink('link', Buffer.from([0x80, 0x81])),
  );
  await unpack(`${work}/x`, layer);
  const listed = readdirSync(`${work}/x`, 'buffer').map((name) => name.toString('latin1'));
  expect(listed.sort()).toEqual([...names.map((name) => name.toString('latin1')), 'dir', 'link'].sort());
  for (const name of names) {
    expect(readFileSync(Buffer.concat([Buffer.from(`${work}/x/`), name]))).toEqual(name);
  }
  expect(describeTree(`${work}/x`).link).toContain('-> \x80\x81');
});

describe('links in the middle of a path', () => {
  test('are followed within the layer', async () => {
    const layer = archive(
      directory('usr/lib'),
      symlink('lib', 'usr/lib'),
      symlink('abs', '/usr/lib'),
      symlink('up', '../../../../usr'),
      symlink('usr/lib/back', '../../etc'),
      file('lib/a', '1'),
      file('abs/b', '1'),
      file('up/lib/c', '1'),
      file('lib/back/d', '1'),
      hardlink('lib/e', 'abs/a'),
    );
    await unpack(`${work}/x`, layer);
    expect(readdirSync(`${work}/x/usr/lib`).sort()).toEqual(['a', 'b', 'back', 'c', 'e']);
    expect(readdirSync(`${work}/x/etc`)).toEqual(['d']);
    expect(statSync(`${work}/x/usr/lib/a`).nlink).toBe(2);
  });
});

test('a thousand directories, each with a file in it, in turns', async () => {
  const members: Buffer[] = [];
  for (let round = 0; round < 3; round++) {
    for (let i = 0; i < 500; i++) members.push(file(`d${i}/sub/f${round}`, String(i)));
  }
  await unpack(`${work}/x`, archive(...members));
  for (let i = 0; i < 500; i += 50) {
    expect(readdirSync(`${work}/x/d${i}/sub`)).toEqual(['f0', 'f1', 'f2']);
    expect(readFileSync(`${work}/x/d${i}/sub/f2`, 'utf8')).toBe(String(i));
  }
});

test('the worker leaves no descriptor open, whether it ends well, badly or early', async () => {
  const open = () => readdirSync('/proc/self/fd').length;
  const good = archive(...Array.from({ length: 200 }, (_, i) => file(`d${i}/f`, 'x')));
  await unpack(`${work}/warm`, good);
  const before = open();
  await unpack(`${work}/good`, good);
  await expect(unpack(`${work}/bad`, archive(good.subarray(0, -1024), file('../x')))).rejects.toThrow(
    'leaves its directory',
  );
  mkdirSync(`${work}/early`);
  const writer = LayerWriter.start({ directory: `${work}/early`, mediaType: 'x' });
  await writer.write(good.subarray(0, 90_000));
  await writer.write(Buffer.concat([good.subarray(90_000, 100_000), Buffer.alloc(500_000)]));
  await writer.abort();
  await writer.abort();
  await expect(writer.finish()).rejects.toThrow('given up');
  expect(open()).toBe(before);
});

test('several layers are unpacked at once', async () => {
  const layers = Array.from({ length: 6 }, (_, i) =>
    archive(file('name', `layer ${i}`), file(`dir/${i}`, Buffer.alloc(500_000, i))),
  );
  await Promise.all(layers.map((layer, i) => unpack(`${work}/${i}`, gzipSync(layer))));
  for (let i = 0; i < 6; i++) expect(readFileSync(`${work}/${i}/name`, 'utf8')).toBe(`layer ${i}`);
});

test('removeTree removes what tar could not name, and follows no link', async () => {
  mkdirSync(`${work}/canary`);
  writeFileSync(`${work}/canary/file`, 'alive');
  mkdirSync(`${work}/x/a/b`, { recursive: true });
  symlinkSync(`${work}/canary`, `${work}/x/link`);
  symlinkSync('../../canary', `${work}/x/a/link`);
  linkSync(`${work}/canary/file`, `${work}/x/hard`);
  chmodSync(`${work}/x/a/b`, 0);
  // 300 levels of 250 bytes are far beyond PATH_MAX.
  const script = 'import os\nfor i in range(300):\n  os.mkdir("d"*250); os.chdir("d"*250)\n  open("f","w").close()\n';
  execFileSync('python3', ['-c', script], { cwd: `${work}/x` });
  writeFileSync(`${work}/x/.removing-1`, 'in the way');
  removeTree(`${work}/x`);
  expect(existsSync(`${work}/x`)).toBe(false);
  expect(readFileSync(`${work}/canary/file`, 'utf8')).toBe('alive');
  expect(statSync(`${work}/canary/file`).nlink).toBe(1);
  removeTree(`${work}/x`);
  removeTree(`${work}/no/such/directory`);
});

test('removeTree does not empty what is mounted below it', () => {
  mkdirSync(`${work}/x/mnt`, { recursive: true });
  mkdirSync(`${work}/canary`);
  writeFileSync(`${work}/canary/file`, 'alive');
  run('mount', '--bind', `${work}/canary`, `${work}/x/mnt`);
  try {
    expect(() => removeTree(`${work}/x`)).toThrow(/EBUSY/);
    expect(readFileSync(`${work}/canary/file`, 'utf8')).toBe('alive');
  } finally {
    run('umount', `${work}/x/mnt`);
  }
});

test('gunzipSync agrees: the stream is not cut by the size of pieces', async () => {
  const layer = gzipSync(
    archive(
      ...Array.from({ length: 300 }, (_, i) =>
        file(`f${i}`, Buffer.alloc((i * 977) % 20_000, i), { pax: { comment: 'c'.repeat(i) } }),
      ),
    ),
  );
  const diffId = `sha256:${createHash('sha256').update(gunzipSync(layer)).digest('hex')}`;
  for (const step of [1, 4096, 300_000]) {
    if (step === 1 && layer.length > 200_000) continue;
    expect(await unpack(`${work}/${step}`, layer, { step })).toMatchObject({ diffId, entries: 300 });
  }
  expect(describeTree(`${work}/300000`, { ignoreTime: () => true })).toEqual(
    describeTree(`${work}/4096`, { ignoreTime: () => true }),
  );
});
