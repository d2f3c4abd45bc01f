/**
 * Finds out which blocks of the small engine's memory the usual commands touch, and writes native/small-engine/profile.txt: `npm run profile`,
 * as root, with the image busybox in the store. Worth it after changes of many files; a profile that is old makes
 * commands slower, and nothing else.
 */
import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { profilePath, regions, writeProfile } from './small-engine.mjs';

const checkout = dirname(dirname(fileURLToPath(import.meta.url)));

/** Bytes of struct arena_note, and ARENA_AT of native/small-engine/host.h. */
const noteSize = 24;
const arenaAt = 64 * 1024 ** 3;
const regionSize = 1024 ** 3;
/** A block that so many of the commands touch is one of all. */
const most = 0.6;

/** The commands, some of which need those before them. */
const commands = [
  'version',
  'images',
  'run --rm busybox true',
  'run --rm --network none busybox true',
  'run -d --name profile-one busybox sleep 600',
  'run -d --name profile-two -p 18080:80 busybox sleep 600',
  'exec profile-one true',
  'ps',
  'ps -a',
  'inspect profile-one',
  'logs profile-one',
  'stop -t 0 profile-one',
  'start profile-one',
  'kill profile-one',
  'wait profile-one',
  'rm -f profile-one profile-two',
  'create --name profile-three busybox true',
  'rm profile-three',
  'oci --root ROOT create --bundle BUNDLE profile-four',
  'oci --root ROOT start profile-four',
  'oci --root ROOT state profile-four',
  'oci --root ROOT kill profile-four KILL',
  'oci --root ROOT delete --force profile-four',
];

/** Makes config.json and rootfs; $0 is tsrun. */
const makeBundle = `"$0" create --name profile-bundle busybox
"$0" export profile-bundle | tar x -C rootfs
"$0" rm profile-bundle
"$0" oci spec`;

/** The blocks as they are in the executable: the last note of each address counts. */
function readBlocks(path) {
  const bytes = readFileSync(path);
  const blocks = new Map();
  for (let at = 0; at + noteSize <= bytes.length; at += noteSize) {
    const address = Number(bytes.readBigUInt64LE(at));
    blocks.set(address, {
      address,
      size: bytes.readUInt32LE(at + 8),
      file: bytes.readUInt32LE(at + 12),
      number: Number(bytes.readBigUInt64LE(at + 16)),
    });
  }
  return [...blocks.values()].sort((one, other) => one.address - other.address);
}

/** The block of which a page is a part: each has pages of its own. */
function blockAt(blocks, page) {
  let [low, high] = [0, blocks.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (blocks[middle].address < page + 4096) low = middle + 1;
    else high = middle;
  }
  const block = blocks[low - 1];
  return block !== undefined && page < block.address + block.size ? block : undefined;
}

/** Runs a command; returns the blocks that it has read, and those that it has changed. */
function trace(words, blocks) {
  const range = [arenaAt, arenaAt + regionSize * (regions.cold + 1)].map(String);
  const output = execFileSync(join(directory, 'touched'), [...range, executable, ...words], {
    encoding: 'utf8',
    maxBuffer: 1 << 26,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const read = new Set();
  const written = new Set();
  for (const line of output.split('\n')) {
    const [address, kind] = line.split(' ');
    const block = blockAt(blocks, Number.parseInt(address, 16));
    if (block !== undefined) (kind === 'W' ? written : read).add(block);
  }
  return { read, written };
}

const directory = mkdtempSync(join(tmpdir(), 'small-engine-profile-'));
const notes = join(directory, 'blocks');
execFileSync('node', [join(checkout, 'scripts', 'build.mjs')], {
  env: { ...process.env, TSRUN_BLOCKS: notes },
  stdio: 'inherit',
});
const blocks = readBlocks(notes);
const files = readFileSync(`${notes}.files`, 'utf8').trim().split('\n');
execFileSync('cc', ['-O2', '-o', join(directory, 'touched'), join(checkout, 'native/small-engine/touched.c')]);
// A filesystem without reading ahead: what is in the page cache is what was touched, and the kernel maps nothing else.
const disk = join(directory, 'disk');
execFileSync('truncate', ['-s', '1G', disk]);
execFileSync('mkfs.ext4', ['-q', disk]);
const device = execFileSync('losetup', ['--find', '--show', disk], { encoding: 'utf8' }).trim();
const mounted = join(directory, 'mounted');
mkdirSync(mounted);
execFileSync('mount', [device, mounted]);
execFileSync('blockdev', ['--setra', '0', device]);
const executable = join(mounted, 'tsrun');
copyFileSync(join(checkout, 'dist', 'tsrun'), executable);
// A container of the bundle, for the command line of runc.
const [bundle, root] = [join(directory, 'bundle'), join(directory, 'root')];
mkdirSync(join(bundle, 'rootfs'), { recursive: true });
execFileSync('sh', ['-ec', makeBundle, executable], { cwd: bundle, stdio: ['ignore', 'ignore', 'inherit'] });
const spec = JSON.parse(readFileSync(join(bundle, 'config.json'), 'utf8'));
Object.assign(spec.process, { terminal: false, args: ['sleep', '600'] });
writeFileSync(join(bundle, 'config.json'), JSON.stringify(spec));
const touched = new Map();
try {
  for (const line of commands) {
    const command = line.replace('ROOT', root).replace('BUNDLE', bundle);
    execFileSync('dd', [`of=${executable}`, 'oflag=nocache', 'conv=notrunc,fdatasync', 'count=0'], { stdio: 'ignore' });
    const { read, written } = trace(command.split(' '), blocks);
    console.log(`${command}: ${read.size} blocks read, ${written.size} changed`);
    for (const block of [...read, ...written]) {
      const entry = touched.get(block) ?? { count: 0, isWritten: false };
      entry.count++;
      entry.isWritten ||= written.has(block);
      touched.set(block, entry);
    }
  }
} finally {
  execFileSync('umount', ['--lazy', mounted]);
  execFileSync('losetup', ['--detach', device]);
  rmSync(directory, { recursive: true });
}
const profile = new Map(files.map((name) => [name, []]));
for (const block of blocks) {
  const entry = touched.get(block);
  const list = profile.get(files[block.file]);
  while (list.length <= block.number) list.push(regions.cold);
  if (entry === undefined) continue;
  const who = entry.count >= commands.length * most ? 'all' : 'some';
  list[block.number] = regions[`${who}${entry.isWritten ? 'Write' : 'Read'}`];
}
writeFileSync(join(checkout, profilePath), writeProfile(profile));
