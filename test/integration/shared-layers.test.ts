/** Containers of one layer share its mount: what one has read is in memory for the other. Who lies about it gets a mount of its own. */
import {
  closeSync,
  lstatSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statfsSync,
  statSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, inject, test } from 'vitest';
import { superMagic } from '../../src/image/erofs/format.ts';
import { mountErofs } from '../../src/image/erofs/mount.ts';
import { archiveFile, metadataFile } from '../../src/image/erofs/names.ts';
import { removeTree } from '../../src/image/unpack/index.ts';
import { syscall } from '../../src/linux/ffi.ts';
import { close } from '../../src/linux/fs.ts';
import { processStartTime } from '../../src/linux/process.ts';
import { probe } from './erofs-probe.ts';
import { tsrunOk as tsrunIn } from './tsrun.ts';

/** A data root of this file's, whose layers are mounted. */
let root: string;
/** The one of busybox. */
let layer: string;
const tsrunOk = (args: readonly string[]): Promise<string> =>
  tsrunIn(args, { env: { TSRUN_ROOT: root, TSRUN_STORAGE: 'erofs' } });
const layers = (): string[] => readdirSync(join(root, 'layers')).filter((name) => /^[0-9a-f]{64}$/.test(name));
/** Where the holders of a layer are named. */
const index = (layer: string): string => join(inject('state'), 'layers', layer);
const holders = (layer: string): string[][] =>
  readFileSync(index(layer), 'utf8')
    .split('\n')
    .filter(Boolean)
    .map((line) => line.split(' '));

const named = (): (string | undefined)[] => holders(layer).map((line) => line.at(-1));

const ids: string[] = [];
async function up(image = 'busybox', ...flags: string[]): Promise<string> {
  const id = await tsrunOk(['run', '-d', '--network', 'none', ...flags, image, 'sleep', '1000']);
  ids.push(id);
  return id;
}
afterEach(async () => {
  if (ids.length > 0) await tsrunOk(['rm', '-f', ...ids.splice(0)]);
});

function monitorOf(id: string): number {
  return JSON.parse(readFileSync(join(root, 'containers', id, 'start.json'), 'utf8')).monitorPid;
}

/** Where a container's monitor has the mounts of its layers, the lowest first. */
function mountsOf(id: string): string[] {
  const directory = `/proc/${monitorOf(id)}/fd`;
  return readdirSync(directory)
    .sort((a, b) => Number(a) - Number(b))
    .map((fd) => join(directory, fd))
    .filter((path) => statfsSync(path).type === superMagic);
}

/** Names the filesystem instance of each layer: each mount that is made anew has a device number of its own. */
const devicesOf = (id: string): number[] => mountsOf(id).map((path) => statSync(path).dev);

/** Pages in memory of all files of a mount (man 2 cachestat). */
function pagesOf(mount: string): number {
  let pages = 0;
  for (const entry of readdirSync(mount, { withFileTypes: true, recursive: true })) {
    if (!entry.isFile()) continue;
    const fd = openSync(join(entry.parentPath, entry.name), 'r');
    const found = Buffer.alloc(40);
    expect(syscall('cachestat', fd, Buffer.alloc(16), found, 0)).toBe(0);
    pages += Number(found.readBigUInt64LE(0));
    closeSync(fd);
  }
  return pages;
}

/** Of 4 KiB each; on a machine that is short of memory some may go. */
function expectSame(pages: number, before: number): void {
  expect(Math.abs(pages - before)).toBeLessThanOrEqual(before / 10);
}

describe.skipIf(!probe.works)(`mounted layers (${probe.reason || 'this kernel has them'})`, () => {
  beforeAll(async () => {
    root = mkdtempSync(join(inject('root'), 'shared-'));
    await tsrunOk(['pull', '-q', 'busybox']);
    [layer = ''] = layers();
  });
  afterAll(() => removeTree(root));

  const readAll = (id: string): Promise<string> =>
    tsrunOk(['exec', id, 'sh', '-c', 'find / -xdev -type f -exec cat {} + | wc -c']);

  test('what one container has read adds nothing to memory when another reads it, also in a user namespace', async () => {
    const first = await up();
    const [mount = ''] = mountsOf(first);
    const bytes = await readAll(first);
    const pages = pagesOf(mount);
    // Of 4 KiB or more, and nothing of what was read was short of one.
    expect(pages).toBeGreaterThan((0.5 * Number(bytes)) / 65_536);
    for (const flags of [[], ['--userns=auto']]) {
      const second = await up('busybox', ...flags);
      expect(devicesOf(second)).toEqual(devicesOf(first));
      // It has read nothing yet but its command.
      expectSame(pagesOf(mountsOf(second)[0] ?? ''), pages);
      expect(await readAll(second)).toBe(bytes);
      expectSame(pagesOf(mount), pages);
      expect(await tsrunOk(['exec', second, 'stat', '-c', '%u:%g', '/etc/passwd'])).toBe('0:0');
    }
  });

  test('explain says whose mount it is, and by which descriptor overlayfs gets it', async () => {
    const explain = async (): Promise<{ Title: string; Call: string }[]> =>
      JSON.parse(await tsrunOk(['explain', 'run', '--format', 'json', '--network', 'none', 'busybox'])).Steps;
    expect((await explain()).map(({ Title }) => Title)).toContain('mount layer 0');
    const first = await up();
    const steps = await explain();
    expect(steps.map(({ Title }) => Title)).toContain(
      `clone the mount of layer 0 that container ${first.slice(0, 12)} has`,
    );
    const fd = mountsOf(first)[0]?.split('/').at(-1);
    expect(steps.map(({ Call }) => Call)).toContainEqual(expect.stringContaining(`"lowerdir+", NULL, ${fd})`));
  });

  test('a monitor that is killed takes the mount from nobody, and the others pass it on', async () => {
    const first = await up();
    const second = await up();
    const device = devicesOf(second);
    process.kill(monitorOf(first), 'SIGKILL');
    await expect.poll(() => processStartTime(monitorOf(first))).toBeUndefined();
    const third = await up();
    expect(devicesOf(third)).toEqual(device);
    expect(ids.filter((id) => named().includes(id))).toEqual([first, second, third]);
    for (const id of [first, second, third]) expect(await readAll(id)).toBe(await readAll(third));
    // Nobody is left: the next has a new one.
    await tsrunOk(['rm', '-f', ...ids.splice(0)]);
    const next = await up();
    expect(named().at(-1)).toBe(next);
  });

  test('a restart by the monitor has the same mount, and gathers no descriptors', async () => {
    for (const flags of [[], ['--userns=auto']]) {
      const first = await up('busybox', '--restart', 'always', ...flags);
      const look = async () => ({
        devices: devicesOf(first),
        fds: readdirSync(`/proc/${monitorOf(first)}/fd`).length,
        bytes: await readAll(first),
      });
      const process1 = () => tsrunOk(['inspect', '-f', '{{.State.Running}} {{.State.Pid}}', first]);
      const before = await look();
      const started = await process1();
      process.kill(Number(started.split(' ')[1]), 'SIGKILL');
      await expect.poll(process1, { timeout: 20_000 }).not.toBe(started);
      await expect.poll(process1, { timeout: 20_000 }).toMatch(/^true [1-9]/);
      const pages = pagesOf(mountsOf(first)[0] ?? '');
      await expect.poll(look, { timeout: 20_000 }).toEqual(before);
      expectSame(pagesOf(mountsOf(first)[0] ?? ''), pages);
    }
  });

  test('a layer that was pulled anew is another, while the old one is held', async () => {
    const first = await up();
    rmSync(join(root, 'layers', layer), { recursive: true });
    await tsrunOk(['pull', '-q', 'busybox']);
    const second = await up();
    expect(devicesOf(second)).not.toEqual(devicesOf(first));
    expect(named().at(-1)).toBe(second);
    expect(await readAll(first)).toBe(await readAll(second));
    const third = await up();
    expect(devicesOf(third)).toEqual(devicesOf(second));
  });

  describe('an index that lies', () => {
    let honest: string[];
    let first: string;
    const lie = (change: Partial<Record<'pid' | 'time' | 'fd' | 'file' | 'id', string | number>>): void => {
      const [pid = '', time = '', fd = '', file = '', id = ''] = honest;
      const said = { pid, time, fd, file, id, ...change };
      writeFileSync(index(layer), `${said.pid} ${said.time} ${said.fd} ${said.file} ${said.id}\n`);
    };
    const isOwn = async (): Promise<void> => {
      const next = await up();
      expect(devicesOf(next)).not.toEqual(devicesOf(first));
      expect(await tsrunOk(['exec', next, 'head', '-n', '1', '/etc/passwd'])).toContain('root:');
    };
    const prepare = async (): Promise<void> => {
      first = await up();
      honest = holders(layer).find((line) => line.at(-1) === first) ?? [];
    };

    test('of the descriptor: another file, another filesystem, none', async () => {
      await prepare();
      // The container's directory, its cgroup, and what it does not have.
      for (const fd of [6, 8, 4000]) {
        lie({ fd });
        await isOwn();
      }
      // Told the truth, it is taken.
      lie({});
      expect(devicesOf(await up())).toEqual(devicesOf(first));
    });

    test('of the process: a container’s, one that has that mount and is no monitor, another start of it', async () => {
      await prepare();
      const base = join(root, 'layers', layer);
      const mount = mountErofs(join(base, metadataFile), join(base, archiveFile));
      try {
        const own = { pid: process.pid, time: processStartTime(process.pid) ?? '', fd: mount };
        const inside = JSON.parse(await tsrunOk(['inspect', '-f', '{{json .State.Pid}}', first]));
        for (const change of [
          own,
          { pid: inside, time: processStartTime(inside) ?? '' },
          { time: 1 },
          { id: 'a'.repeat(64) },
        ]) {
          lie(change);
          await isOwn();
        }
      } finally {
        close(mount);
      }
    });

    test('of the layer: that of another is not taken for it', async () => {
      await tsrunOk(['pull', '-q', 'tsrun/layers']);
      await prepare();
      const other = await up('tsrun/layers');
      const [, above = ''] = mountsOf(other);
      // Images that have a layer in common share it too.
      expect(devicesOf(other)[0]).toBe(devicesOf(first)[0]);
      const fd = above.split('/').at(-1) ?? '';
      lie({ pid: monitorOf(other), time: processStartTime(monitorOf(other)) ?? '', fd, id: other });
      await isOwn();
    });

    test('of its form: a link, other text; both are replaced', async () => {
      await prepare();
      const text = readFileSync(index(layer));
      const elsewhere = join(root, 'elsewhere');
      writeFileSync(elsewhere, text);
      unlinkSync(index(layer));
      symlinkSync(elsewhere, index(layer));
      await isOwn();
      expect(readFileSync(elsewhere)).toEqual(text);
      expect(lstatSync(index(layer)).isFile()).toBe(true);
      for (const words of ['x'.repeat(100_000), text.toString().trim().slice(0, -1)]) {
        writeFileSync(index(layer), words);
        await isOwn();
        expect(named()).toEqual([ids.at(-1)]);
      }
    });
  });
});
