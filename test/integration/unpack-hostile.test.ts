/** Archives that mean harm: each ends in a clear error or in something harmless, and nothing outside changes. */
import { execFileSync, spawnSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { gzipSync } from 'node:zlib';
import { afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { LayerWriter, removeTree, settleLayer } from '../../src/image/unpack/index.ts';
import {
  archive,
  device,
  directory,
  fifo,
  file,
  gnuLong,
  hardlink,
  header,
  member,
  pax,
  randomNumbers,
  symlink,
} from '../fixtures/archives.ts';
import { refused } from '../fixtures/hostile.ts';
import { describeTree } from '../fixtures/tree.ts';
import { buildUnpackWorker, unpack, unpackInline } from '../fixtures/unpack.ts';

let work: string;
let canary: Record<string, string>;

beforeAll(buildUnpackWorker);
beforeEach(() => {
  work = mkdtempSync('/var/tmp/tsrun-hostile-');
  mkdirSync(`${work}/canary/dir`, { recursive: true, mode: 0o700 });
  writeFileSync(`${work}/canary/file`, 'alive', { mode: 0o600 });
  symlinkSync('file', `${work}/canary/link`);
  canary = describeTree(`${work}/canary`);
});
afterEach(() => {
  // Whatever the test was about: what lies beside the layer is as before, times included.
  expect(describeTree(`${work}/canary`)).toEqual(canary);
  expect(
    readdirSync(work)
      .filter((name) => name !== 'layer')
      .sort(),
  ).toEqual(['canary']);
  removeTree(work);
  expect(existsSync(work)).toBe(false);
});

const layer = () => `${work}/layer`;
const plainTree = () => Object.keys(describeTree(layer())).filter((path) => path !== '.');

describe('is refused', () => {
  test.each(refused)('%s', async (_, members, message) => {
    await expect(unpackInline(layer(), archive(directory('./'), ...members()))).rejects.toMatchObject({
      code: 'ARCHIVE',
      message: typeof message === 'string' ? expect.stringContaining(message) : expect.stringMatching(message),
    });
  });

  test('an unknown compression', async () => {
    const xz = execFileSync('xz', ['-c'], { input: archive(file('a')) });
    await expect(unpackInline(layer(), xz)).rejects.toMatchObject({
      code: 'ARCHIVE',
      message: 'the layer is compressed with xz',
    });
  });

  test('a name with control characters, in a message that shows them', async () => {
    const evil = file('\x1b[2J\x1b]0;pwned\x07\n"..', '');
    await expect(unpackInline(layer(), archive(evil, member({ name: '\x1b[31m/..', type: '5' })))).rejects.toThrow(
      'entry "\\x1b[31m/.." leaves its directory by ".."',
    );
  });
});

describe('stays inside', () => {
  test('absolute names', async () => {
    await unpackInline(
      layer(),
      archive(file(`${work}/canary/file`, 'dead'), file('//etc//x', 'y'), hardlink('/h', '/etc/x')),
    );
    expect(readFileSync(`${layer()}${work}/canary/file`, 'utf8')).toBe('dead');
    expect(statSync(`${layer()}/h`).ino).toBe(statSync(`${layer()}/etc/x`).ino);
  });

  test('a file written through a symlink that leads out', async () => {
    const members = [
      symlink('abs', `${work}/canary`),
      file('abs/file', 'dead'),
      file('abs/dir/new', 'dead'),
      symlink('rel', '../canary'),
      file('rel/file', 'dead'),
      symlink('up', '..'),
      file('up/canary/file', 'dead'),
      symlink('d/up', '../../..'),
      file('d/up/canary/dir/x', 'dead'),
      directory('d/up/canary', { mode: 0o777 }),
      symlink('cwd', '/proc/self/cwd'),
      file('cwd/x', 'dead'),
      symlink('fd', '/proc/self/fd/3'),
      file('fd/x', 'dead'),
    ];
    await unpackInline(layer(), archive(...members));
    expect(readFileSync(`${layer()}${work}/canary/file`, 'utf8')).toBe('dead');
    expect(readFileSync(`${layer()}/canary/file`, 'utf8')).toBe('dead');
    expect(readFileSync(`${layer()}/proc/self/cwd/x`, 'utf8')).toBe('dead');
    expect(readFileSync(`${layer()}/proc/self/fd/3/x`, 'utf8')).toBe('dead');
  });

  test('a file over a symlink that leads out', async () => {
    const target = `${work}/canary/file`;
    await unpackInline(
      layer(),
      archive(
        symlink('a', target),
        file('a', 'dead'),
        symlink('b', target),
        directory('b', { mode: 0o777, uid: 5 }),
        symlink('c', target),
        fifo('c'),
        symlink('d', `${work}/canary/dir`),
        directory('d', { mode: 0o777 }),
        file('d/x', 'dead'),
      ),
    );
    expect(plainTree()).toEqual(['a', 'b', 'c', 'd', 'd/x']);
    expect(readFileSync(`${layer()}/a`, 'utf8')).toBe('dead');
  });

  test('a hard link through or to a symlink that leads out', async () => {
    const { deferred } = await unpackInline(
      layer(),
      archive(
        symlink('out', `${work}/canary`),
        hardlink('h', 'out/file'),
        symlink('s', `${work}/canary/file`),
        hardlink('hs', 's'),
      ),
    );
    expect(deferred).toContainEqual({ kind: 'hardlink', path: 'h', target: 'out/file' });
    expect(() => settleLayer({ directory: layer(), lowers: [], deferred })).toThrow(
      'which neither this layer nor those below it have',
    );
    expect(describeTree(layer()).hs).toContain('symlink');
    expect(statSync(`${work}/canary/file`).nlink).toBe(1);
  });

  test('attributes, modes and owners meant for the target of a symlink', async () => {
    await unpackInline(
      layer(),
      archive(
        symlink('s', `${work}/canary/file`, {
          uid: 7,
          gid: 7,
          mode: 0o4777,
          mtime: 3,
          pax: { 'SCHILY.xattr.trusted.x': 'y' },
        }),
        symlink('t', '/dev/null', { uid: 7, mtime: 3 }),
      ),
    );
    expect(describeTree(layer()).s).toContain('symlink 0777 7:7 mtime=3000000000');
    expect(statSync('/dev/null').uid).toBe(0);
  });

  test('a directory that becomes a symlink while files go into it', async () => {
    const members: Buffer[] = [];
    for (let i = 0; i < 20; i++) {
      members.push(
        directory('d/e'),
        file('d/e/file', 'dead'),
        symlink('d', `${work}/canary`),
        file('d/file', 'dead'),
        directory('d'),
      );
      members.push(
        file('d/x', 'x'),
        symlink('d/e', `${work}/canary`),
        file('d/e/file', 'dead'),
        symlink('d', '../canary'),
      );
    }
    await unpackInline(layer(), archive(...members));
    expect(describeTree(layer()).d).toContain('-> ../canary');
  });

  test('whiteouts through symlinks that lead out', async () => {
    const { deferred } = await unpackInline(
      layer(),
      archive(symlink('s', '../canary'), file('s/.wh.file'), file('s/.wh..wh..opq')),
    );
    settleLayer({ directory: layer(), lowers: [], deferred });
    expect(plainTree()).toEqual(['s']);
  });

  test('housekeeping of AUFS', async () => {
    await unpackInline(
      layer(),
      archive(file('.wh..wh.aufs', 'x'), directory('.wh..wh.plnk'), file('.wh..wh.plnk/1.2', 'x'), file('a', '')),
    );
    expect(plainTree()).toEqual(['a']);
  });

  test('devices are made, but never opened', async () => {
    // Opening the first would block, the second would rewind a tape or fail.
    await unpackInline(
      layer(),
      archive(
        fifo('f', { pax: { 'SCHILY.xattr.trusted.x': 'y' } }),
        device('tape', '3', 9, 0, { pax: { 'SCHILY.xattr.trusted.x': 'y' } }),
        device('kmem', '3', 1, 2, { mode: 0o4666, uid: 3 }),
      ),
    );
    expect(describeTree(layer())).toMatchObject({
      tape: expect.stringContaining('character 0644 0:0'),
      kmem: expect.stringContaining('character 04666 3:0'),
    });
  });
});

describe('limits', () => {
  test('a decompression bomb', async () => {
    const bomb = gzipSync(Buffer.concat([header({ name: 'bomb', size: 300_000_000 }), Buffer.alloc(300_000_000)]), {
      level: 1,
    });
    await expect(unpack(layer(), bomb, { maxBytes: 50_000_000 })).rejects.toMatchObject({
      code: 'ARCHIVE',
      message: 'the layer inflates to more than 50000000 bytes',
      hint: expect.stringContaining('raise the limit'),
    });
    expect(statSync(`${layer()}/bomb`).size).toBeLessThanOrEqual(50_000_000);
    expect((await unpackInline(`${layer()}/ok`, archive(file('a', 'x')), { maxBytes: 3000 })).entries).toBe(1);
  });

  test('a bomb of zstd', async () => {
    const bomb = execFileSync('zstd', ['-q', '-c'], {
      input: archive(file('bomb', Buffer.alloc(20_000_000))),
      maxBuffer: 1e8,
    });
    await expect(unpackInline(layer(), bomb, { maxBytes: 5_000_000 })).rejects.toThrow(
      'inflates to more than 5000000 bytes',
    );
  });

  test('entries, and directories that names only imply', async () => {
    const many = archive(...Array.from({ length: 100 }, (_, i) => file(`f${i}`)));
    await expect(unpackInline(layer(), many, { maxEntries: 99 })).rejects.toThrow(
      'entry "f99" is one too many: a layer may have 99 files',
    );
    await expect(
      unpack(`${layer()}/deep`, archive(gnuLong('L', `${'a/'.repeat(100)}f`), file('x')), { maxEntries: 50 }),
    ).rejects.toThrow('one too many');
    expect((await unpackInline(`${layer()}/ok`, many, { maxEntries: 100 })).entries).toBe(100);
  });

  test('what a small archive leaves to other layers', async () => {
    const members: Buffer[] = [];
    for (let i = 0; i < 5; i++) members.push(gnuLong('L', `${i}/${'d/'.repeat(2000)}f`), file('x'));
    await expect(unpackInline(layer(), archive(...members))).rejects.toThrow(
      'one of too many that depend on other layers',
    );
  });

  test('a thousand levels of directories', async () => {
    const members = Array.from({ length: 4 }, (_, i) => [
      gnuLong('L', `${'d/'.repeat(1000)}f${i}`),
      file('x', 'deep'),
    ]).flat();
    const { deferred } = await unpackInline(layer(), archive(...members));
    settleLayer({ directory: layer(), lowers: [], deferred });
    expect(readFileSync(`${layer()}/${'d/'.repeat(1000)}f3`, 'utf8')).toBe('deep');
  });
});

test('a full disk is said to be full, and what to do', async () => {
  // Beside the canary nothing may be left, so the disk lies elsewhere.
  const disk = mkdtempSync('/var/tmp/tsrun-disk-');
  writeFileSync(`${disk}/image`, '');
  truncateSync(`${disk}/image`, 8 * 1024 * 1024);
  mkdirSync(`${disk}/mnt`);
  execFileSync('mkfs.ext4', ['-q', '-F', '-N', '64', `${disk}/image`]);
  execFileSync('mount', ['-o', 'loop', `${disk}/image`, `${disk}/mnt`]);
  try {
    await expect(unpack(`${disk}/mnt/layer`, archive(file('big', Buffer.alloc(12_000_000))))).rejects.toMatchObject({
      code: 'NO_SPACE',
      message: 'cannot write "big": ENOSPC (no space left)',
      hint: expect.stringContaining('tsrun rmi'),
    });
    removeTree(`${disk}/mnt/layer`);
    const files = Array.from({ length: 100 }, (_, i) => file(`f${i}`));
    await expect(unpackInline(`${disk}/mnt/layer`, archive(...files))).rejects.toMatchObject({
      code: 'NO_SPACE',
      message: expect.stringMatching(/^cannot create "f\d+": ENOSPC/),
    });
  } finally {
    execFileSync('umount', [`${disk}/mnt`]);
    rmSync(disk, { recursive: true });
  }
});

const bundle = new URL('../../dist/unpack-worker.cjs', import.meta.url).pathname;
const nobody = ['--reuid=65534', '--regid=65534', '--clear-groups'];
/** A checkout below a directory of root's is closed to others, with all that the worker loads. */
const closed = spawnSync('setpriv', [...nobody, 'test', '-r', bundle]).status !== 0;

test.skipIf(closed)('without root it is said that root is needed', () => {
  // A process of its own: the worker's thread must not lose its rights while others run.
  mkdirSync(layer(), { mode: 0o755 });
  writeFileSync(`${layer()}/a.tar`, archive(file('f', '', { uid: 5 })));
  mkdirSync(`${layer()}/out`);
  execFileSync('chown', ['65534:65534', `${layer()}/out`]);
  execFileSync('chmod', ['755', work]);
  const script = `
    const { Worker } = require('node:worker_threads');
    process.setgid(65534); process.setuid(65534);
    const worker = new Worker(process.argv[1], { workerData: { directory: process.argv[2], mediaType: '', maxBytes: 1e9, maxEntries: 1e6 } });
    const bytes = require('node:fs').readFileSync(process.argv[3]);
    const memory = new ArrayBuffer(bytes.length); new Uint8Array(memory).set(bytes);
    worker.postMessage({ type: 'chunk', memory, length: bytes.length }); worker.postMessage({ type: 'end' });
    worker.on('message', (message) => message.type === 'taken' || console.log(JSON.stringify(message)));`;
  const output = execFileSync('node', ['-e', script, bundle, `${layer()}/out`, `${layer()}/a.tar`], {
    encoding: 'utf8',
  });
  expect(JSON.parse(output)).toMatchObject({
    type: 'failed',
    code: 'PERMISSION',
    message: 'cannot set the owner of "f": EPERM',
    hint: expect.stringContaining('needs root'),
  });
});

test('mutated archives write nothing outside', { timeout: 60_000 }, async () => {
  const sound = archive(
    pax({ comment: 'g' }, 'g'),
    directory('d'),
    file('d/f', 'x'.repeat(700)),
    symlink('s', `${work}/canary`),
    file('s/in', 'x'),
    hardlink('h', 'd/f'),
    device('dev', '3', 1, 3),
    fifo('p'),
    gnuLong('L', `long/${'n'.repeat(120)}`),
    file('x', 'y'),
    gnuLong('K', '../canary/file'),
    symlink('k', 'x'),
    member({ name: 'x', content: 'abc', pax: { path: 'pax/name', 'SCHILY.xattr.user.k': 'v', mtime: '1.5' } }),
    file('.wh.gone'),
    file('d/.wh..wh..opq'),
    member({ name: 'z', content: '0123456789', pax: { 'GNU.sparse.size': '100', 'GNU.sparse.map': '10,4,50,6' } }),
  );
  const names = [
    '../canary/file',
    `${work}/canary/file`,
    's/file',
    's/dir/x',
    'd/../../canary',
    '.wh...',
    'k',
    's',
    '.',
    '/',
    'd',
  ];
  const random = randomNumbers(3);
  const outcomes = { done: 0, refused: 0 };
  for (let round = 0; round < 400; round++) {
    const bytes = Buffer.from(sound);
    for (let n = 1 + Math.floor(random() * 5); n > 0; n--) {
      // A header that is there, with a field changed and its checksum put right: else nearly all would end there.
      const at = Math.floor(random() * (bytes.length / 512)) * 512;
      const kind = random();
      if (kind < 0.4)
        bytes.write(`${names[Math.floor(random() * names.length)]}\0`, at + (random() < 0.6 ? 0 : 157), 'latin1');
      else if (kind < 0.7) bytes.write('0123456LKxgSD7'[Math.floor(random() * 14)] as string, at + 156, 'latin1');
      else bytes[at + Math.floor(random() * 345)] = Math.floor(random() * 256);
      bytes.fill(0x20, at + 148, at + 156);
      let sum = 0;
      for (let i = 0; i < 512; i++) sum += bytes[at + i] ?? 0;
      bytes.write(`${sum.toString(8).padStart(6, '0')}\0 `, at + 148, 'latin1');
    }
    try {
      const { deferred } = await unpackInline(layer(), bytes, { maxBytes: 10_000_000, maxEntries: 1000 });
      settleLayer({ directory: layer(), lowers: [], deferred });
      outcomes.done++;
    } catch (error) {
      expect(error).toMatchObject({
        name: expect.stringMatching(/Error$/),
        code: expect.stringMatching(/^(ARCHIVE|SYSCALL)$/),
      });
      outcomes.refused++;
    }
    expect(describeTree(`${work}/canary`), `round ${round}`).toEqual(canary);
    removeTree(layer());
  }
  expect(outcomes.done).toBeGreaterThan(10);
  expect(outcomes.refused).toBeGreaterThan(10);
});

test('a worker that is given up stops writing', async () => {
  mkdirSync(layer());
  const writer = LayerWriter.start({ directory: layer(), mediaType: 'x' });
  const chunk = archive(...Array.from({ length: 2000 }, (_, i) => file(`f${i}`, 'x'.repeat(2000))));
  await writer.write(chunk.subarray(0, 2_000_000));
  await writer.abort();
  const before = readdirSync(layer()).length;
  removeTree(layer());
  await new Promise((resolve) => setTimeout(resolve, 100));
  expect(existsSync(layer())).toBe(false);
  expect(before).toBeLessThan(2000);
  mkdirSync(layer());
});
