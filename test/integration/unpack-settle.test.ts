/**
 * What depends on lower layers: each case is looked at through overlayfs, as a container would, and where umoci (which
 * extracts layers one over the other) is a judge, its result is the same.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, lstatSync, mkdirSync, mkdtempSync, readdirSync, readFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { removeTree, settleLayer } from '../../src/image/unpack/index.ts';
import { archive, directory, file, hardlink, member, symlink } from '../fixtures/archives.ts';
import { writeOciLayout } from '../fixtures/oci-layout.ts';
import { describeTree, type TreeOptions } from '../fixtures/tree.ts';
import { unpackInline, unpackStack } from '../fixtures/unpack.ts';

let work: string;

beforeEach(() => {
  work = mkdtempSync('/var/tmp/tsrun-settle-');
});
afterEach(() => removeTree(work));

const run = (command: string, ...args: string[]) => execFileSync(command, args, { stdio: ['ignore', 'pipe', 'pipe'] });

/** Looks at layers (the lowest first) through overlayfs. */
function throughOverlay<T>(layers: readonly string[], look: (merged: string) => T): T {
  const merged = `${work}/merged`;
  for (const name of ['merged', 'upper', 'work']) mkdirSync(`${work}/${name}`, { recursive: true });
  const lower = layers.toReversed().join(':');
  run(
    'mount',
    '-t',
    'overlay',
    'overlay',
    '-o',
    `lowerdir=${lower},upperdir=${work}/upper,workdir=${work}/work`,
    merged,
  );
  try {
    return look(merged);
  } finally {
    run('umount', merged);
  }
}

/** One line per path, without content digests and times. */
function plain(tree: Record<string, string>): Record<string, string> {
  const { '.': _, ...rest } = tree;
  for (const [path, line] of Object.entries(rest)) rest[path] = line.replace(/(size=\d+) [0-9a-f]{16}/, '$1');
  return rest;
}

const noTimes: TreeOptions = { ignoreTime: () => true };

const whiteout = (path: string) => file(path);
const opaque = (path: string) => file(`${path}/.wh..wh..opq`);
const base = archive(
  directory('d', { mode: 0o700, uid: 3, gid: 4, mtime: 77 }),
  file('d/one', '1'),
  file('d/two', '22'),
  directory('d/sub'),
  file('d/sub/x', 'x'),
  file('f', 'ffff'),
  symlink('l', 'd'),
);
const untouched = {
  d: 'directory 0700 3:4',
  'd/one': 'file 0644 0:0 size=1',
  'd/two': 'file 0644 0:0 size=2',
  'd/sub': 'directory 0755 0:0',
  'd/sub/x': 'file 0644 0:0 size=1',
  f: 'file 0644 0:0 size=4',
  l: 'symlink 0777 0:0 -> d',
};
type Tree = Record<string, string>;
const without = (...paths: string[]): Tree =>
  Object.fromEntries(
    Object.entries(untouched).filter(([path]) => !paths.some((p) => path === p || path.startsWith(`${p}/`))),
  );

/** Name, layers over `base`, what is seen, and whether umoci sees the same. */
const cases: [string, Buffer[], Tree, boolean][] = [
  ['a whiteout of a file', [archive(whiteout('d/.wh.one'))], without('d/one'), true],
  ['a whiteout of a directory', [archive(whiteout('.wh.d'))], without('d'), true],
  ['a whiteout of a symlink', [archive(whiteout('.wh.l'))], without('l'), true],
  ['a whiteout of nothing', [archive(whiteout('.wh.nothing'), whiteout('no/such/.wh.directory'))], untouched, false],
  [
    'a whiteout, then an entry of the name',
    [archive(whiteout('d/.wh.one'), file('d/one', 'new'))],
    { ...untouched, 'd/one': 'file 0644 0:0 size=3' },
    true,
  ],
  [
    'an entry, then a whiteout of the name',
    [archive(file('d/one', 'new'), whiteout('d/.wh.one'))],
    { ...untouched, 'd/one': 'file 0644 0:0 size=3' },
    true,
  ],
  [
    'a whiteout, then a directory of the name',
    [archive(whiteout('.wh.d'), directory('d'), file('d/new', 'n'))],
    { ...without('d'), d: 'directory 0755 0:0', 'd/new': 'file 0644 0:0 size=1' },
    true,
  ],
  [
    'a directory, then a whiteout of the name',
    [archive(directory('d'), file('d/new', 'n'), whiteout('.wh.d'))],
    { ...without('d'), d: 'directory 0755 0:0', 'd/new': 'file 0644 0:0 size=1' },
    true,
  ],
  [
    'a whiteout and a directory that is only implied',
    [archive(file('d/new', 'n'), whiteout('.wh.d'))],
    { ...without('d'), d: 'directory 0755 0:0', 'd/new': 'file 0644 0:0 size=1' },
    false,
  ],
  [
    'an opaque directory, marker first',
    [archive(directory('d', { mode: 0o711 }), opaque('d'), file('d/new', 'n'))],
    { ...without('d'), d: 'directory 0711 0:0', 'd/new': 'file 0644 0:0 size=1' },
    true,
  ],
  [
    'an opaque directory, marker last',
    [archive(directory('d', { mode: 0o711 }), file('d/new', 'n'), opaque('d'))],
    { ...without('d'), d: 'directory 0711 0:0', 'd/new': 'file 0644 0:0 size=1' },
    true,
  ],
  [
    'an opaque directory, marker before the directory',
    [archive(opaque('d'), file('d/new', 'n'), directory('d', { mode: 0o711 }))],
    { ...without('d'), d: 'directory 0711 0:0', 'd/new': 'file 0644 0:0 size=1' },
    true,
  ],
  [
    'an opaque directory that is only implied',
    [archive(opaque('d'), file('d/one', 'new'))],
    { ...without('d'), d: 'directory 0700 3:4', 'd/one': 'file 0644 0:0 size=3' },
    true,
  ],
  [
    'an opaque directory with whiteouts in it',
    [archive(opaque('d'), whiteout('d/.wh.one'), file('d/n', 'n'))],
    { ...without('d'), d: 'directory 0700 3:4', 'd/n': 'file 0644 0:0 size=1' },
    false,
  ],
  [
    'an opaque directory inside of one',
    [archive(opaque('d'), opaque('d/sub'), file('d/sub/n', 'n'))],
    { ...without('d'), d: 'directory 0700 3:4', 'd/sub': 'directory 0755 0:0', 'd/sub/n': 'file 0644 0:0 size=1' },
    false,
  ],
  [
    'an opaque directory where there was a file',
    [archive(directory('f'), opaque('f'), file('f/n', 'n'))],
    { ...untouched, f: 'directory 0755 0:0', 'f/n': 'file 0644 0:0 size=1' },
    true,
  ],
  [
    'an opaque root',
    [archive(file('.wh..wh..opq'), file('new', 'n'), directory('d'))],
    { d: 'directory 0755 0:0', new: 'file 0644 0:0 size=1' },
    true,
  ],
  ['a file over a directory', [archive(file('d', 'file'))], { ...without('d'), d: 'file 0644 0:0 size=4' }, true],
  [
    'a directory over a file',
    [archive(directory('f'), file('f/x', 'x'))],
    { ...untouched, f: 'directory 0755 0:0', 'f/x': 'file 0644 0:0 size=1' },
    true,
  ],
  ['a symlink over a directory', [archive(symlink('d', 'f'))], { ...without('d'), d: 'symlink 0777 0:0 -> f' }, true],
  [
    'a file, then a directory of the name, over a directory',
    [archive(file('d', 'x'), directory('d'), file('d/n', 'n'))],
    { ...without('d'), d: 'directory 0755 0:0', 'd/n': 'file 0644 0:0 size=1' },
    true,
  ],
  [
    'a named directory over a symlink',
    [archive(directory('l'), file('l/n', 'n'))],
    { ...untouched, l: 'directory 0755 0:0', 'l/n': 'file 0644 0:0 size=1' },
    true,
  ],
  [
    'an implied directory over a symlink',
    [archive(file('l/n', 'n'))],
    { ...untouched, 'd/n': 'file 0644 0:0 size=1' },
    true,
  ],
  [
    'an implied directory over a symlink, and its target',
    [archive(file('d/a', 'a'), file('l/b', 'b'), file('d/sub/c', 'c'), file('l/sub/d', 'd'))],
    {
      ...untouched,
      'd/a': 'file 0644 0:0 size=1',
      'd/b': 'file 0644 0:0 size=1',
      'd/sub/c': 'file 0644 0:0 size=1',
      'd/sub/d': 'file 0644 0:0 size=1',
    },
    true,
  ],
  ['a whiteout through a symlink', [archive(whiteout('l/.wh.one'))], without('d/one'), true],
  [
    'a whiteout of a symlink, and a directory of its name',
    [archive(whiteout('.wh.l'), file('l/n', 'n'))],
    { ...untouched, l: 'directory 0755 0:0', 'l/n': 'file 0644 0:0 size=1' },
    true,
  ],
  [
    'symlinks one over the other',
    [archive(symlink('m', 'l/sub'), symlink('abs', '/m')), archive(file('abs/n', 'n'))],
    { ...untouched, m: 'symlink 0777 0:0 -> l/sub', abs: 'symlink 0777 0:0 -> /m', 'd/sub/n': 'file 0644 0:0 size=1' },
    true,
  ],
  [
    'a symlink that leads out of the root',
    [archive(symlink('out', '../../../../d')), archive(file('out/n', 'n'))],
    { ...untouched, out: 'symlink 0777 0:0 -> ../../../../d', 'd/n': 'file 0644 0:0 size=1' },
    true,
  ],
  [
    'a symlink to the root',
    [archive(symlink('slash', '/')), archive(file('slash/d/n', 'n'), whiteout('slash/.wh.f'))],
    { ...without('f'), slash: 'symlink 0777 0:0 -> /', 'd/n': 'file 0644 0:0 size=1' },
    true,
  ],
  [
    'a symlink to what is not there',
    [archive(symlink('gone', 'not/there')), archive(file('gone/n', 'n'))],
    {
      ...untouched,
      gone: 'symlink 0777 0:0 -> not/there',
      not: 'directory 0755 0:0',
      'not/there': 'directory 0755 0:0',
      'not/there/n': 'file 0644 0:0 size=1',
    },
    true,
  ],
  [
    'an implied directory over a symlink to a file',
    [archive(symlink('s', 'f')), archive(file('s/n', 'n'))],
    { ...untouched, s: 'directory 0755 0:0', 's/n': 'file 0644 0:0 size=1' },
    false,
  ],
  [
    'an implied directory over a file',
    [archive(file('f/n', 'n'))],
    { ...untouched, f: 'directory 0755 0:0', 'f/n': 'file 0644 0:0 size=1' },
    false,
  ],
  [
    'an implied directory over a symlink to itself',
    [archive(symlink('me', 'me')), archive(file('me/n', 'n'))],
    { ...untouched, me: 'directory 0755 0:0', 'me/n': 'file 0644 0:0 size=1' },
    false,
  ],
  [
    'a hard link to a lower file',
    [archive(hardlink('h', 'd/one'))],
    { ...untouched, h: 'file 0644 0:0 size=1' },
    false,
  ],
  [
    'two hard links to a lower file',
    [archive(hardlink('h1', 'd/two'), hardlink('n/h2', 'd/two'), hardlink('h3', 'h1'))],
    {
      ...untouched,
      h1: 'file 0644 0:0 size=2 links=3',
      h3: 'file 0644 0:0 size=2 links=3 same as h1',
      n: 'directory 0755 0:0',
      'n/h2': 'file 0644 0:0 size=2 links=3 same as h1',
    },
    false,
  ],
  [
    'a hard link through a lower symlink',
    [archive(hardlink('h', 'l/sub/x'))],
    { ...untouched, h: 'file 0644 0:0 size=1' },
    false,
  ],
  [
    'a hard link to a lower symlink',
    [archive(hardlink('h', 'l'))],
    { ...untouched, h: 'symlink 0777 0:0 -> d' },
    false,
  ],
  [
    'a hard link to a lower file that is whited out',
    [archive(whiteout('.wh.f'), hardlink('h', 'f'))],
    { ...without('f'), h: 'file 0644 0:0 size=4' },
    false,
  ],
  [
    'a hard link, replaced by a file',
    [archive(hardlink('h', 'f'), file('h', 'xx'))],
    { ...untouched, h: 'file 0644 0:0 size=2' },
    false,
  ],
  [
    'a hard link, replaced by a directory',
    [archive(hardlink('h', 'f'), file('h/x', 'xx'))],
    { ...untouched, h: 'directory 0755 0:0', 'h/x': 'file 0644 0:0 size=2' },
    false,
  ],
  [
    'a hard link before its target',
    [archive(hardlink('h', 't'), file('t', 'target'))],
    { ...untouched, h: 'file 0644 0:0 size=6 links=2', t: 'file 0644 0:0 size=6 links=2 same as h' },
    false,
  ],
  [
    'what a layer removed and a later one brings back',
    [archive(whiteout('.wh.d')), archive(file('d/n', 'n'))],
    { ...without('d'), d: 'directory 0755 0:0', 'd/n': 'file 0644 0:0 size=1' },
    true,
  ],
  [
    'a whiteout of what a lower layer has whited out',
    [archive(whiteout('.wh.d')), archive(whiteout('.wh.d'), whiteout('d/.wh.one'))],
    without('d'),
    false,
  ],
];

describe('through overlayfs', () => {
  test.each(cases)('%s', async (_, layers, expected, umociAgrees) => {
    const stack = [base, ...layers];
    const ours = await unpackStack(`${work}/layers`, stack);
    const seen = throughOverlay(ours, (merged) => describeTree(merged, noTimes));
    expect(plain(seen)).toEqual(expected);
    if (!umociAgrees || !existsSync('/usr/bin/umoci')) return;
    writeOciLayout(`${work}/oci`, stack);
    run('umoci', 'unpack', '--image', `${work}/oci:latest`, `${work}/bundle`);
    expect(plain(describeTree(`${work}/bundle/rootfs`, noTimes))).toEqual(expected);
  });
});

describe('an implied directory', () => {
  const lower = archive(
    directory('./', { mode: 0o751, uid: 9, gid: 8, mtime: 123 }),
    member({
      name: 'd',
      type: '5',
      mode: 0o2710,
      uid: 5,
      gid: 6,
      pax: { mtime: '1000.5', 'SCHILY.xattr.user.k': 'v' },
    }),
    directory('d/e', { mode: 0o1777, mtime: 55 }),
  );

  test('takes mode, owner, times and attributes of the lower one, the root as well', async () => {
    const layers = await unpackStack(work, [lower, archive(file('d/e/new', 'x')), archive(file('d/e/newer', 'x'))]);
    for (const layer of layers.slice(1)) {
      expect(describeTree(layer)).toMatchObject({
        '.': 'directory 0751 9:8 mtime=123000000000',
        d: 'directory 02710 5:6 mtime=1000500000000 user.k=76',
        'd/e': 'directory 01777 0:0 mtime=55000000000',
      });
    }
  });

  test('is 0755 root:root at the epoch where there is none', async () => {
    const [layer] = await unpackStack(work, [archive(file('a/b/c', 'x'))]);
    expect(describeTree(layer as string)).toMatchObject({
      '.': 'directory 0755 0:0 mtime=0',
      a: 'directory 0755 0:0 mtime=0',
      'a/b': 'directory 0755 0:0 mtime=0',
    });
  });

  test('does not take attributes that only mean something to overlayfs', async () => {
    const layers = await unpackStack(work, [lower, archive(directory('d'), opaque('d')), archive(file('d/f', 'x'))]);
    expect(describeTree(layers[1] as string).d).toContain('trusted.overlay.opaque');
    expect(describeTree(layers[2] as string).d).not.toContain('overlay');
  });
});

test('nothing settled changes the times of directories', async () => {
  const layer = archive(
    directory('./', { mtime: 11 }),
    directory('d', { mtime: 22 }),
    whiteout('d/.wh.one'),
    whiteout('.wh.f'),
    hardlink('d/h', 'd/two'),
    file('l/through', 'x'),
    directory('d/sub', { mtime: 33 }),
    opaque('d/sub'),
    whiteout('empty/.wh.nothing'),
  );
  const [, settled] = await unpackStack(work, [base, layer]);
  const tree = describeTree(settled as string);
  expect(tree['.']).toContain('mtime=11000000000');
  expect(tree.d).toContain('mtime=22000000000');
  expect(tree['d/sub']).toContain('mtime=33000000000');
  expect(tree['d/through']).toContain('file');
  expect(tree.empty).toBeUndefined();
});

test('a copy of a lower file is the file: content, holes, mode, owner, times, attributes', async () => {
  const lower = archive(
    member({
      name: 'GNUSparseFile.0/s',
      content: Buffer.concat([Buffer.alloc(4096, 'a'), Buffer.alloc(4096, 'b')]),
      mode: 0o4750,
      uid: 7,
      gid: 8,
      pax: {
        'GNU.sparse.size': '10000000',
        'GNU.sparse.map': '4096,4096,8000000,4096',
        'GNU.sparse.name': 's',
        mtime: '5.25',
        'SCHILY.xattr.user.k': 'v',
      },
    }),
    member({ name: 'dev', type: '3', major: 1, minor: 3, mode: 0o666, uid: 2 }),
    member({ name: 'pipe', type: '6', mode: 0o600 }),
  );
  const links = ['s', 'dev', 'pipe'].map((name) => hardlink(`copy-of-${name}`, name));
  const [first, second] = await unpackStack(work, [lower, archive(...links)]);
  const before = describeTree(first as string, { usage: true });
  const after = describeTree(second as string, { usage: true });
  for (const name of ['s', 'dev', 'pipe']) expect(after[`copy-of-${name}`]).toBe(before[name]);
  expect(lstatSync(`${second}/copy-of-s`).blocks * 512).toBeLessThan(100_000);
  expect(lstatSync(`${second}/copy-of-s`).ino).not.toBe(lstatSync(`${first}/s`).ino);
});

test('whiteouts that hide nothing are not left where overlayfs would show them', async () => {
  const layers = await unpackStack(`${work}/layers`, [
    archive(file('old/x')),
    archive(file('new/f'), whiteout('new/.wh.gone'), whiteout('old/.wh.y')),
  ]);
  expect(readdirSync(`${layers[1]}/new`)).toEqual(['f']);
  throughOverlay(layers, (merged) => {
    expect(readdirSync(`${merged}/new`)).toEqual(['f']);
    expect(readdirSync(`${merged}/old`)).toEqual(['x']);
  });
});

test('a hard link to nothing is refused when all layers are known', async () => {
  await expect(unpackStack(work, [base, archive(hardlink('h', 'd/nothing'))])).rejects.toMatchObject({
    code: 'ARCHIVE',
    message: 'entry "h" is a hard link to "d/nothing", which neither this layer nor those below it have',
  });
  const unpacked = await unpackInline(`${work}/again`, archive(hardlink('h', 'd')));
  expect(unpacked.deferred).toContainEqual({ kind: 'hardlink', path: 'h', target: 'd' });
  expect(() => settleLayer({ directory: `${work}/again`, lowers: [`${work}/0`], deferred: unpacked.deferred })).toThrow(
    'hard link to a directory',
  );
});

test('settling follows no link out of the layers', async () => {
  mkdirSync(`${work}/canary`);
  const out = `${'../'.repeat(9)}${work.slice(1)}/canary`;
  const lower = archive(symlink('rel', out), symlink('abs', `${work}/canary`), symlink('cwd', '/proc/self/cwd'));
  const upper = archive(
    file('rel/a', 'x'),
    file('abs/b', 'x'),
    file('cwd/c', 'x'),
    whiteout('rel/.wh.x'),
    hardlink('h', 'f'),
  );
  const layers = await unpackStack(`${work}/layers`, [archive(file('f', 'x')), lower, upper]);
  expect(readdirSync(`${work}/canary`)).toEqual([]);
  const inside = `${layers[2]}${work}/canary`;
  expect(readdirSync(inside).sort()).toEqual(['a', 'b']);
  expect(readFileSync(`${layers[2]}/proc/self/cwd/c`, 'utf8')).toBe('x');
});

test('many whiteouts over many layers are settled in a moment', async () => {
  const names = Array.from({ length: 2000 }, (_, i) => `d${i % 50}/f${i}`);
  const layers = [archive(...names.map((name) => file(name)))];
  for (let i = 0; i < 10; i++) layers.push(archive(file(`d${i}/layer${i}`)));
  layers.push(archive(...names.map((name) => whiteout(name.replace('/', '/.wh.')))));
  const before = readdirSync('/proc/self/fd').length;
  const start = performance.now();
  const directories = await unpackStack(`${work}/layers`, layers);
  expect(performance.now() - start).toBeLessThan(15_000);
  expect(readdirSync('/proc/self/fd').length).toBe(before);
  throughOverlay(directories, (merged) => expect(readdirSync(`${merged}/d7`)).toEqual(['layer7']));
});
