/** Archives, into both forms of a layer: whatever they say, nothing outside of the layer changes. Needs root. */
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { TsrunError } from '../../src/error.ts';
import { removeTree } from '../../src/image/unpack/index.ts';
import {
  archive,
  device,
  directory,
  fifo,
  file,
  gnuLong,
  hardlink,
  member,
  pax,
  symlink,
} from '../fixtures/archives.ts';
import { makeForm } from '../fixtures/erofs.ts';
import { holds, type Target } from './target.ts';

const work = mkdtempSync(join(tmpdir(), 'fuzz-tar.'));
const canary = join(work, 'canary');
mkdirSync(join(canary, 'dir'), { recursive: true });
writeFileSync(join(canary, 'file'), 'alive');
symlinkSync('file', join(canary, 'link'));

/** Everything that may change of the files outside. */
function outside(): string {
  const lines = readdirSync(canary, { recursive: true }).map((name) => {
    const { mode, uid, gid, mtimeMs, nlink } = statSync(join(canary, String(name)));
    return `${String(name)} ${mode} ${uid} ${gid} ${mtimeMs} ${nlink}`;
  });
  return [...lines.sort(), readFileSync(join(canary, 'file'), 'utf8'), readdirSync(work).length].join('\n');
}

/** Headers whose checksum a mutation has broken are no test: it is put right again. */
function repair(bytes: Buffer): void {
  for (let at = 0; at + 512 <= bytes.length; at += 512) {
    if (bytes.toString('latin1', at + 257, at + 262) !== 'ustar') continue;
    bytes.fill(0x20, at + 148, at + 156);
    let sum = 0;
    for (let i = 0; i < 512; i++) sum += bytes[at + i] ?? 0;
    bytes.write(`${sum.toString(8).padStart(6, '0')}\0 `, at + 148, 'latin1');
  }
}

function seeds(): Buffer[] {
  const sparse = {
    'GNU.sparse.major': '1',
    'GNU.sparse.minor': '0',
    'GNU.sparse.name': 'sp',
    'GNU.sparse.realsize': '9',
  };
  return [
    archive(
      directory('d'),
      file('d/f', 'x'.repeat(700)),
      symlink('s', canary),
      file('s/in', 'x'),
      hardlink('h', 'd/f'),
    ),
    archive(device('dev', '3', 1, 3), fifo('p'), gnuLong('L', `long/${'n'.repeat(120)}`), file('x', 'y')),
    archive(pax({ path: '../canary/file' }, 'g'), file('a'), file('.wh.gone'), file('d/.wh..wh..opq')),
    archive(member({ name: 'x', content: 'abc', pax: { path: 'pax/name', 'SCHILY.xattr.user.k': 'v', mtime: '1.5' } })),
    archive(
      member({ name: 'z', content: '0123456789', pax: { 'GNU.sparse.size': '100', 'GNU.sparse.map': '10,4,50,6' } }),
    ),
    archive(member({ name: 'y', content: `1\n0\n9\n${'\0'.repeat(505)}123456789`, pax: sparse })),
    archive(symlink('k', '..'), hardlink('k2', 'k/canary/file'), directory('k/canary')),
  ];
}

export const tarTarget: Target = {
  name: 'tar',
  words: [
    '../canary/file\0',
    `${canary}/file\0`,
    's/file\0',
    'd/../../canary\0',
    '.wh.',
    '\0',
    '/',
    '00000000644\0',
    '77777777777\0',
  ],
  seeds,
  async run(input) {
    const bytes = Buffer.from(input);
    repair(bytes);
    const base = join(work, 'layer');
    const before = outside();
    for (const form of ['unpacked', 'erofs'] as const) {
      try {
        await makeForm(base, bytes, form, [], { maxBytes: 4_000_000, maxEntries: 500 });
      } catch (error) {
        if (!(error instanceof TsrunError) || error.code === 'PROGRAM') throw error;
      } finally {
        removeTree(base);
      }
    }
    holds(outside() === before, 'something outside of the layer has changed');
  },
  close: () => rmSync(work, { recursive: true, force: true }),
};
