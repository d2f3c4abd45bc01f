import './host.ts';
import * as real from 'node:fs';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { describe, expect, test } from 'vitest';
import { asNobody, canBeNobody, type Fs, outcome, same, within } from './beside-node.ts';

const own = await import('../../../src/node/fs.ts');

/** What is in every directory of these tests, where `full/inner` is there. */
function prepareCommon(at: (name: string) => string): void {
  real.writeFileSync(at('full/one'), '1');
  real.writeFileSync(at('full/inner/two'), '2');
  real.mkdirSync(at('hollow'), 0o750);
  real.symlinkSync('file', at('link'));
  real.symlinkSync('full/inner', at('link-to-directory'));
  real.symlinkSync('nowhere', at('dangling'));
  real.symlinkSync('loop', at('loop'));
}

/** A directory with everything that a path may name. */
function prepare(directory: string): void {
  const at = (name: string): string => join(directory, name);
  real.writeFileSync(at('file'), 'some text\n');
  real.writeFileSync(at('bytes'), Buffer.from([0xff, 0xfe, 0x41, 0xc3, 0xa4, 0x00, 0xf0, 0x9f]));
  real.writeFileSync(at('bom'), '\ufeffäöü €');
  real.writeFileSync(at('empty'), '');
  // What is larger than one read, and just as large.
  real.writeFileSync(at('large'), 'xyz€'.repeat(20_000));
  real.writeFileSync(at('exact'), 'x'.repeat(16 * 1024));
  real.mkdirSync(at('full/inner/deep'), { recursive: true });
  prepareCommon(at);
  real.symlinkSync(at('full'), at('absolute'));
  real.symlinkSync('../../link', at('full/inner/up'));
  real.mkdirSync(at('names'));
  for (const name of ['b', 'a', 'B', 'ä', '.hidden', '\ufffd', '\u{1f600}', 'a b', '10', '9', '\ue000'])
    real.writeFileSync(at(`names/${name}`), name);
  const notUtf8 = Buffer.from('/x\xff', 'latin1');
  real.writeFileSync(Buffer.concat([Buffer.from(at('names')), notUtf8]), '');
  for (let index = 0; index < 700; index++) real.writeFileSync(at(`hollow/a-name-that-is-long-${index}`), '');
}

const names = [
  '',
  '.',
  'file',
  'bytes',
  'bom',
  'empty',
  'large',
  'exact',
  'full',
  'full/',
  'full/inner',
  'full/inner/deep',
  'full/inner/up',
  'full/one',
  'hollow',
  'link',
  'link/',
  'link-to-directory',
  'link-to-directory/two',
  'dangling',
  'loop',
  'loop/x',
  'absolute',
  'absolute/inner/two',
  'names',
  'missing',
  'missing/x',
  'file/x',
  'x'.repeat(300),
  'a\0b',
  'full/../file',
  './/file',
]; // prettier-ignore
const elsewhere = [
  '',
  '/',
  '/dev/null',
  '/dev/tty',
  '/proc/self/ns/net',
  '/proc/self/mountinfo',
  '/proc/uptime-not',
  '/sys',
  '/tmp',
];

function plain(stats: unknown): unknown {
  if (stats === undefined) return undefined;
  const of = stats as real.Stats;
  const { isFile, isDirectory, isSymbolicLink, isFIFO, isSocket, isBlockDevice, isCharacterDevice } = of;
  const kinds = [isFile, isDirectory, isSymbolicLink, isFIFO, isSocket, isBlockDevice, isCharacterDevice];
  const { atime, mtime, ctime, birthtime } = of;
  const values: Record<string, unknown> = {};
  for (const name of [
    ...[
      'dev',
      'ino',
      'mode',
      'nlink',
      'uid',
      'gid',
      'rdev',
      'size',
      'blksize',
      'blocks',
      'atimeMs',
      'mtimeMs',
      'ctimeMs',
    ],
    ...['birthtimeMs', 'atimeNs', 'mtimeNs', 'ctimeNs', 'birthtimeNs'],
  ]) {
    values[name] = (of as unknown as Record<string, unknown>)[name];
  }
  return { values, kinds: kinds.map((kind) => kind.call(of)), atime, mtime, ctime, birthtime };
}

function plainEntries(entries: real.Dirent[]): unknown {
  return entries.map((entry) => ({
    name: entry.name,
    parentPath: entry.parentPath,
    kinds: [entry.isFile(), entry.isDirectory(), entry.isSymbolicLink(), entry.isFIFO(), entry.isCharacterDevice()],
  }));
}

/** What only looks, on one directory for both. */
const looks: Record<string, (fs: Fs, path: string) => unknown> = {
  statSync: (fs, path) => plain(fs.statSync(path)),
  lstatSync: (fs, path) => plain(fs.lstatSync(path)),
  'statSync, bigint': (fs, path) => plain(fs.statSync(path, { bigint: true })),
  'lstatSync, bigint': (fs, path) => plain(fs.lstatSync(path, { bigint: true })),
  // Not where a file has something below it, which is an error in some versions of Node and none in others.
  'statSync, without an error': (fs, path) =>
    /(link\/|file\/x)$/.test(path) || plain(fs.statSync(path, { throwIfNoEntry: false })),
  'lstatSync, without an error': (fs, path) =>
    /(link\/|file\/x)$/.test(path) || plain(fs.lstatSync(path, { throwIfNoEntry: false })),
  existsSync: (fs, path) => fs.existsSync(path),
  accessSync: (fs, path) => fs.accessSync(path),
  'accessSync to write': (fs, path) => fs.accessSync(path, fs.constants.W_OK),
  'accessSync to execute': (fs, path) => fs.accessSync(path, fs.constants.X_OK),
  readdirSync: (fs, path) => fs.readdirSync(path),
  'readdirSync, utf8': (fs, path) => fs.readdirSync(path, 'utf8'),
  'readdirSync with types': (fs, path) => plainEntries(fs.readdirSync(path, { withFileTypes: true })),
  readlinkSync: (fs, path) => fs.readlinkSync(path),
  'readlinkSync, bytes': (fs, path) => fs.readlinkSync(path, 'buffer'),
  realpathSync: (fs, path) => fs.realpathSync(path),
  'openSync and fstatSync': (fs, path) => {
    const fd = fs.openSync(path, 'r');
    try {
      return [plain(fs.fstatSync(fd)), plain(fs.fstatSync(fd, { bigint: true }))];
    } finally {
      fs.closeSync(fd);
    }
  },
};

/** What reads contents: not of everything, since a terminal waits. */
const reads: Record<string, (fs: Fs, path: string) => unknown> = {
  readFileSync: (fs, path) => fs.readFileSync(path),
  'readFileSync, utf8': (fs, path) => fs.readFileSync(path, 'utf8'),
  'readFileSync, options': (fs, path) => fs.readFileSync(path, { encoding: 'utf8', flag: 'r' }),
  'readFileSync, latin1': (fs, path) => fs.readFileSync(path, 'latin1'),
  'readFileSync, hex': (fs, path) => fs.readFileSync(path, 'hex'),
  'readFileSync of a descriptor that has moved': (fs, path) => {
    const fd = fs.openSync(path, 'r');
    try {
      fs.readSync(fd, Buffer.alloc(2));
      return fs.readFileSync(fd, 'utf8');
    } finally {
      fs.closeSync(fd);
    }
  },
  'readSync in every form': (fs, path) => {
    const fd = fs.openSync(path, 'r');
    try {
      return [
        [(f: number, b: Buffer) => fs.readSync(f, b), Buffer.alloc(6)],
        [(f: number, b: Buffer) => fs.readSync(f, b, 2, 3, null), Buffer.alloc(6)],
        [(f: number, b: Buffer) => fs.readSync(f, b, 0, 4, 1), Buffer.alloc(6)],
        [(f: number, b: Buffer) => fs.readSync(f, b, { offset: 1, length: 2, position: 3 }), Buffer.alloc(6)],
        [(f: number, b: Buffer) => fs.readSync(f, b, 0, 4, 3n), Buffer.alloc(6)],
        [(f: number, b: Buffer) => fs.readSync(f, b.subarray(2, 4)), Buffer.alloc(6)],
        [(f: number, b: Buffer) => fs.readSync(f, b, 0, 0, null), Buffer.alloc(6)],
        [(f: number, b: Buffer) => fs.readSync(f, b, 0, 6, 1e6), Buffer.alloc(6)],
      ].map(([read, into]) => [(read as (f: number, b: Buffer) => number)(fd, into as Buffer), into]);
    } finally {
      fs.closeSync(fd);
    }
  },
};

/** Compares both on each path. Somebody else may change a place between two looks: Node looks before and after. */
function compare(actions: typeof looks, paths: string[], directory: string): void {
  for (const [name, action] of Object.entries(actions)) {
    for (const path of paths) {
      const look = (fs: object): unknown => ({ name, path, outcome: outcome(directory, () => action(fs as Fs, path)) });
      for (let tries = 0; ; tries++) {
        const before = look(real);
        const found = look(own);
        if (tries < 100 && !isDeepStrictEqual(before, look(real))) continue;
        expect(found).toEqual(before);
        break;
      }
    }
  }
}

test('tells of files what Node tells', () => {
  within((directory) => {
    prepare(directory);
    const paths = names.map((name) => (name === '' ? directory : `${directory}/${name}`));
    compare(looks, [...paths, ...elsewhere], directory);
    compare(
      reads,
      [...paths, '', '/', '/dev/null', '/proc/self/status-not', '/proc/version', '/etc/hostname'],
      directory,
    );
    const directories: typeof looks = {
      recursive: (fs, path) => fs.readdirSync(path, { recursive: true }),
      'recursive with types': (fs, path) =>
        plainEntries(fs.readdirSync(path, { recursive: true, withFileTypes: true })),
      'of the filesystem': (fs, path) => {
        const { type, bsize, blocks } = fs.statfsSync(path);
        return { type, bsize, blocks };
      },
    };
    compare(directories, paths, directory);
  });
});

test.runIf(canBeNobody)('tells nobody what Node tells nobody', () => {
  within((directory) => {
    prepare(directory);
    real.chmodSync(join(directory, '..'), 0o755);
    real.chmodSync(join(directory, 'full'), 0o700);
    real.chmodSync(join(directory, 'file'), 0o600);
    const paths = names.map((name) => join(directory, name));
    asNobody(() => {
      expect(() => own.readFileSync(join(directory, 'file'))).toThrow('EACCES');
      compare(looks, [...paths, ...elsewhere], directory);
      compare(reads, paths, directory);
    });
  });
});

test('takes the paths and numbers that Node takes, and refuses the others with the same words', () => {
  const wrong: Record<string, (fs: Fs) => unknown> = {
    'a NUL to be read': (fs) => fs.readFileSync('/tmp/a\0b'),
    'a NUL in the second path': (fs) => fs.renameSync('/tmp/a', '/tmp/\0'),
    'a NUL in the first path': (fs) => fs.linkSync('/tmp/\0', '/tmp/a'),
    'descriptor -1': (fs) => fs.closeSync(-1),
    'descriptor 1.5': (fs) => fs.fsyncSync(1.5),
    'no open descriptor': (fs) => fs.closeSync(987_654),
    'no open descriptor to read': (fs) => fs.readSync(987_654, Buffer.alloc(1)),
    'no open descriptor to write': (fs) => fs.writeSync(987_654, 'x'),
    'no open descriptor to look at': (fs) => fs.fstatSync(987_654),
    'no open descriptor to cut': (fs) => fs.ftruncateSync(987_654),
    'no open descriptor to store': (fs) => fs.fsyncSync(987_654),
    'no open descriptor to change': (fs) => fs.fchmodSync(987_654, 0o600),
    'no open descriptor to give away': (fs) => fs.fchownSync(987_654, 0, 0),
    'no open descriptor to date': (fs) => fs.futimesSync(987_654, 1, 1),
    'no open descriptor as a file': (fs) => fs.readFileSync(987_654, 'utf8'),
    'an offset behind the buffer': (fs) => fs.readSync(0, Buffer.alloc(4), 5, 1, null),
    'a length behind the buffer': (fs) => fs.readSync(0, Buffer.alloc(4), 2, 3, null),
    'a length below nothing': (fs) => fs.readSync(0, Buffer.alloc(4), 2, -3, null),
    'an octal mode that is none': (fs) => fs.mkdirSync('/tmp/none/none', { mode: '0o99' }),
    'a mode that is too large': (fs) => fs.chmodSync('/tmp/none/none', 2 ** 40),
    'an owner that is too large': (fs) => fs.chownSync('/tmp/none/none', 2 ** 40, 0),
    'flags that are none': (fs) => fs.openSync('/tmp/none/none', 'q'),
  };
  for (const [name, action] of Object.entries(wrong)) {
    const [expected, found] = [real, own as unknown as Fs].map((fs) => ({
      name,
      outcome: outcome('/', () => action(fs)),
    }));
    expect(found).toEqual(expected);
  }
});

test('refuses what Node has and it has not', () => {
  const fs = own as unknown as Fs;
  expect(() => fs.readdirSync('/', 'hex' as 'utf8')).toThrow('readdir: the option "encoding hex" is not there');
  expect(() => fs.statSync(new URL('file:///tmp'))).toThrow(TypeError);
  expect(() => fs.readFileSync('/dev/null', { signal: undefined } as object)).toThrow('readFile: the option "signal"');
  expect(() => fs.rmdirSync('/tmp/none', { recursive: true })).toThrow('rmdir: the option "recursive"');
  expect(() => fs.copyFileSync('/tmp/none', '/tmp/other', fs.constants.COPYFILE_EXCL | 2)).toThrow(
    'copyFile: the option',
  );
  expect(() => fs.createReadStream('/dev/null', 'utf8')).toThrow('createReadStream: the option');
});

describe('changes what Node changes', () => {
  const changes: Record<string, (fs: Fs, path: string, directory: string) => unknown> = {
    mkdirSync: (fs, path) => fs.mkdirSync(path),
    'mkdirSync with a mode': (fs, path) => fs.mkdirSync(path, { mode: 0o700 }),
    'mkdirSync with an octal mode': (fs, path) => fs.mkdirSync(path, '0711'),
    'mkdirSync of the way too': (fs, path) => fs.mkdirSync(`${path}/p/q`, { recursive: true, mode: 0o710 }),
    'mkdirSync of a way that is there': (fs, path) => fs.mkdirSync(path, { recursive: true }),
    rmdirSync: (fs, path) => fs.rmdirSync(path),
    unlinkSync: (fs, path) => fs.unlinkSync(path),
    rmSync: (fs, path) => fs.rmSync(path),
    'rmSync by force': (fs, path) => fs.rmSync(path, { force: true }),
    'rmSync of everything': (fs, path) => fs.rmSync(path, { recursive: true }),
    'rmSync of everything by force': (fs, path) => fs.rmSync(path, { recursive: true, force: true }),
    'renameSync away': (fs, path, directory) => fs.renameSync(path, `${directory}/new`),
    'renameSync to there': (fs, path, directory) => fs.renameSync(`${directory}/full/one`, path),
    'renameSync of a directory to there': (fs, path, directory) => fs.renameSync(`${directory}/full/inner`, path),
    'linkSync away': (fs, path, directory) => fs.linkSync(path, `${directory}/new`),
    'linkSync to there': (fs, path, directory) => fs.linkSync(`${directory}/full/one`, path),
    'symlinkSync away': (fs, path, directory) => fs.symlinkSync(path, `${directory}/new`),
    'symlinkSync to there': (fs, path) => fs.symlinkSync('an/aim', path),
    chmodSync: (fs, path) => fs.chmodSync(path, 0o4711),
    'chmodSync by text': (fs, path) => fs.chmodSync(path, '640'),
    chownSync: (fs, path) => fs.chownSync(path, process.getuid?.() === 0 ? 1234 : -1, -1),
    lchownSync: (fs, path) => fs.lchownSync(path, -1, process.getuid?.() === 0 ? 4321 : -1),
    truncateSync: (fs, path) => fs.truncateSync(path, 3),
    copyFileSync: (fs, path, directory) => fs.copyFileSync(path, `${directory}/new`),
    'copyFileSync to there': (fs, path, directory) => fs.copyFileSync(`${directory}/large`, path),
    'copyFileSync to nothing only': (fs, path, directory) =>
      fs.copyFileSync(`${directory}/full/one`, path, fs.constants.COPYFILE_EXCL),
    writeFileSync: (fs, path) => fs.writeFileSync(path, 'ä€\ud83d\ude00\ud800!'),
    'writeFileSync, bytes': (fs, path) => fs.writeFileSync(path, new Uint8Array([1, 2, 255])),
    'writeFileSync with a mode': (fs, path) => fs.writeFileSync(path, 'x', { mode: 0o600, flag: 'wx' }),
    'writeFileSync, hex': (fs, path) => fs.writeFileSync(path, '414243', 'hex'),
    'writeFileSync into what is there': (fs, path) => fs.writeFileSync(path, 'X', { flag: 'r+', flush: true }),
    appendFileSync: (fs, path) => fs.appendFileSync(path, 'more\n', { mode: 0o600 }),
    'utimesSync and lutimesSync': (fs, path) => {
      fs.utimesSync(path, 1.25, new Date(1234567890123));
      const { atimeMs, mtimeMs } = real.statSync(path);
      fs.lutimesSync(path, '1700000000.987654', 1e10 + 0.5);
      const link = real.lstatSync(path);
      return [atimeMs, mtimeMs, link.atimeMs, link.mtimeMs];
    },
    ...Object.fromEntries(
      ['r', 'r+', 'w', 'wx', 'w+', 'a', 'ax', 'a+', 'wx+', 'rs+'].map((flags) => [
        `openSync ${flags}, and all that takes a descriptor`,
        (fs: Fs, path: string): unknown => {
          const fd = fs.openSync(path, flags, 0o604);
          try {
            const answers = [
              () => fs.writeSync(fd, 'text€'),
              () => fs.writeSync(fd, 'text', 2),
              () => fs.writeSync(fd, '6162', null, 'hex'),
              () => fs.writeSync(fd, 'late', 9, 'latin1'),
              () => fs.writeSync(fd, Buffer.from('0123456789'), 3, 4),
              () => fs.writeSync(fd, Buffer.from('0123456789'), 3, 4, 20),
              () => fs.writeSync(fd, Buffer.from('ABC'), { offset: 1 } as never),
              () => fs.writeSync(fd, new Uint16Array([1, 2, 3])),
              () => fs.writeSync(fd, Buffer.alloc(0)),
              () => fs.writeFileSync(fd, 'whole'),
              () => fs.appendFileSync(fd, 'appended'),
              () => fs.ftruncateSync(fd, 17),
              () => fs.fchmodSync(fd, 0o640),
              () => fs.fchownSync(fd, -1, -1),
              () => {
                fs.futimesSync(fd, new Date(5000), 7);
                return fs.fstatSync(fd).mtimeMs;
              },
              () => fs.fsyncSync(fd),
              () => fs.fdatasyncSync(fd),
              () => fs.readSync(fd, Buffer.alloc(5), 0, 5, 2),
              () => fs.ftruncateSync(fd),
            ];
            return JSON.stringify(answers.map((answer) => outcome(path, answer)));
          } finally {
            fs.closeSync(fd);
          }
        },
      ]),
    ),
  };
  /** Less than `prepare` has, since each of the many gets its own. */
  const little = (directory: string): void => {
    const at = (name: string): string => join(directory, name);
    real.writeFileSync(at('file'), 'some text\n');
    real.writeFileSync(at('large'), 'xyz€'.repeat(2_000));
    real.mkdirSync(at('names'));
    for (const name of ['x\xff', 'x\xfe', 'a']) real.writeFileSync(Buffer.from(`${at('names')}/${name}`, 'latin1'), '');
    real.mkdirSync(at('full/inner'), { recursive: true });
    prepareCommon(at);
  };
  const few = [
    ...['file', 'file/x', 'full', 'full/', 'full/inner/two', 'hollow', 'link', 'link-to-directory', 'dangling', 'loop'],
    ...['missing', 'missing/x', 'x'.repeat(300), 'names'],
  ];
  const openable = ['file', 'full', 'hollow', 'link', 'dangling', 'missing', 'missing/x'];
  // For who may not write but in "hollow" and "full/inner".
  const closedTo = ['file', 'full', 'full/inner/two', 'hollow', 'hollow/x', 'link', 'missing'];

  for (const [name, action] of Object.entries(changes)) {
    test(name, () => {
      const tried = name.startsWith('openSync') ? openable : few;
      for (const path of tried) same(own, little, (fs, directory) => action(fs, `${directory}/${path}`, directory));
    });
    if (name.startsWith('openSync')) continue;
    test.runIf(canBeNobody)(`${name}, by nobody`, () => {
      const closed = (directory: string): void => {
        little(directory);
        real.chmodSync(join(directory, '..'), 0o755);
        real.chownSync(join(directory, 'hollow'), 65534, 65534);
        real.chmodSync(join(directory, 'full/inner'), 0o777);
      };
      for (const path of closedTo) {
        same(own, closed, (fs, directory) => asNobody(() => action(fs, `${directory}/${path}`, directory)));
      }
    });
  }
});

test('makes temporary directories', () => {
  within((directory) => {
    const made = own.mkdtempSync(join(directory, 'x.'));
    expect(made).toMatch(/\/x\.[A-Za-z0-9]{6}$/);
    expect(real.statSync(made).mode & 0o7777).toBe(0o700);
    expect(own.mkdtempSync(join(directory, 'x.'))).not.toBe(made);
  });
  same(
    own,
    () => {},
    (fs, directory) => fs.mkdtempSync(`${directory}/none/x`),
  );
});

test('keeps no descriptor open', () => {
  within((directory) => {
    const open = (): string[] =>
      real.readdirSync('/proc/self/fd').filter((fd) => {
        const target = outcome('\0', () => real.readlinkSync(`/proc/self/fd/${fd}`)) as { value?: string };
        return target.value?.startsWith(directory) === true || target.value?.endsWith('/mem') === true;
      });
    prepare(directory);
    for (const path of [...names.slice(2).map((name) => `${directory}/${name}`), '/proc/self/mem']) {
      outcome(directory, () => own.readFileSync(path));
      outcome(directory, () => own.readdirSync(path));
      outcome(directory, () => own.copyFileSync(path, `${directory}/copy`));
      outcome(directory, () => own.copyFileSync(path, `${directory}/full`));
      outcome(directory, () => own.realpathSync(path));
      outcome(directory, () => own.appendFileSync(path, ''));
    }
    const fd = own.openSync(directory);
    expect(open()).toEqual([String(fd)]);
    own.closeSync(fd);
    own.rmSync(directory, { recursive: true });
    expect(open()).toEqual([]);
  });
});

test('streams what a file has', async () => {
  const options = [
    {},
    { highWaterMark: 70 },
    { start: 3 },
    { start: 3, end: 3 },
    { start: 2, end: 10_000, highWaterMark: 1000 },
    { start: 1e9 },
  ];
  const parent = real.mkdtempSync('/tmp/tsrun-node-fs.');
  try {
    prepare(parent);
    for (const name of ['exact', 'empty', 'file', 'missing', 'full']) {
      for (const option of options) {
        const [expected, found] = await Promise.all(
          [real, own as unknown as Fs].map(async (fs) => {
            const chunks: Buffer[] = [];
            try {
              for await (const chunk of fs.createReadStream(join(parent, name), option)) chunks.push(chunk as Buffer);
            } catch (error) {
              return String(error);
            }
            return Buffer.concat(chunks).toString('latin1');
          }),
        );
        expect(found).toEqual(expected);
      }
    }
    // A loop that is left closes the descriptor.
    const fd = real.openSync(join(parent, 'large'), 'r');
    for await (const chunk of own.createReadStream(join(parent, 'large'), { fd, highWaterMark: 5 })) {
      expect(chunk.toString()).toBe('xyz\u20ac'.slice(0, 3) + Buffer.from('€').subarray(0, 2).toString());
      break;
    }
    expect(() => real.fstatSync(fd)).toThrow('EBADF');
  } finally {
    real.rmSync(parent, { recursive: true });
  }
});
