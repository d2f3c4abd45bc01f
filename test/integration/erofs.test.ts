/** The store with mounted layers, as people meet it: chosen, mixed with unpacked ones, read by every command, killed at any time. */
import { spawn } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, inject, test } from 'vitest';
import { removeTree } from '../../src/image/unpack/index.ts';
import { probe } from './erofs-probe.ts';
import { environment, type Result, type RunOptions, run, tsrun as tsrunIn, tsrunPath } from './tsrun.ts';

/** A data root of this file's: what is in it is counted. */
let root: string;
beforeAll(() => {
  root = mkdtempSync(join(inject('root'), 'erofs-'));
});
afterAll(() => removeTree(root));

const own = (extra: Record<string, string> = {}) => ({ TSRUN_ROOT: root, TSRUN_STORAGE: '', ...extra });
const tsrun = (args: readonly string[], options: RunOptions = {}): Promise<Result> =>
  tsrunIn(args, { ...options, env: own(options.env) });

async function tsrunOk(args: readonly string[], options: RunOptions = {}): Promise<string> {
  const { code, stdout, stderr } = await tsrun(args, options);
  if (code !== 0) throw new Error(`tsrun ${args.join(' ')}: exit ${code}\n${stderr}`);
  return stdout.trimEnd();
}

const layers = () => join(root, 'layers');
const names = () => readdirSync(layers()).filter((name) => /^[0-9a-f]{64}$/.test(name));
const formOf = (name: string) => (existsSync(join(layers(), name, 'fs')) ? 'unpacked' : 'erofs');
const forms = () => names().map(formOf);
const images = ['busybox', 'tsrun/layers', 'erofs-committed', 'erofs-loaded'];

async function removeImages(): Promise<void> {
  await tsrun(['rmi', '-f', ...images]);
}

afterEach(removeImages);

describe('the choice', () => {
  const info = (env: Record<string, string> = {}, flags: string[] = []) =>
    tsrun(
      [
        ...flags,
        'info',
        '--format',
        '{{range .DriverStatus}}{{if eq (index . 0) "Layers"}}{{index . 1}}{{end}}{{end}}',
      ],
      {
        env,
      },
    );

  test('is what the kernel can, unless somebody says otherwise', async () => {
    const best = probe.works ? 'erofs' : 'unpacked';
    expect((await info()).stdout).toBe(`${best}\n`);
    expect((await info({ TSRUN_STORAGE: 'unpacked' })).stdout).toBe('unpacked\n');
    expect((await info({}, ['--storage', 'unpacked'])).stdout).toBe('unpacked\n');
    expect(await tsrunOk(['--storage', 'unpacked', 'info'])).toContain(
      ' Layers: unpacked (set by --storage or TSRUN_STORAGE)\n',
    );
  });

  test('comes from the settings file as well, and the environment counts for more', async () => {
    const home = mkdtempSync('/var/tmp/tsrun-settings-');
    try {
      mkdirSync(join(home, 'tsrun'));
      writeFileSync(join(home, 'tsrun/config.json'), '{"storage": "unpacked"}');
      expect((await info({ XDG_CONFIG_HOME: home })).stdout).toBe('unpacked\n');
      expect(await tsrun(['info'], { env: { XDG_CONFIG_HOME: home } })).toMatchObject({
        stdout: expect.stringContaining(` Layers: unpacked (set by "${home}/tsrun/config.json")\n`),
      });
      if (probe.works) expect((await info({ XDG_CONFIG_HOME: home, TSRUN_STORAGE: 'erofs' })).stdout).toBe('erofs\n');
    } finally {
      rmSync(home, { recursive: true });
    }
  });

  test('that is none is refused before anything is stored', async () => {
    expect(await tsrun(['--storage', 'zip', 'pull', 'busybox'])).toMatchObject({
      code: 1,
      stderr: 'tsrun: TSRUN_STORAGE: there is no storage "zip"\n  there are erofs and unpacked\n',
    });
    expect(readdirSync(layers()).filter((name) => name.startsWith('.tmp'))).toEqual([]);
  });

  test('is remembered for this kernel and data root, and found anew where it does not read', async () => {
    const path = join(root, 'cache/erofs.json');
    await info();
    expect(JSON.parse(readFileSync(path, 'utf8'))).toMatchObject({ version: 1, works: probe.works });
    const { mtimeNs } = statSync(path, { bigint: true });
    await info();
    expect(statSync(path, { bigint: true }).mtimeNs).toBe(mtimeNs);
    writeFileSync(path, '{"version": 1, "machine": "another", "works": false, "reason": "x"}');
    await info();
    expect(JSON.parse(readFileSync(path, 'utf8')).works).toBe(probe.works);
    expect(readdirSync(join(root, 'cache')).filter((name) => name.includes('erofs'))).toEqual(['erofs.json']);
  });
});

describe.skipIf(!probe.works)(`mounted layers (${probe.reason || 'this kernel has them'})`, () => {
  const erofs = { env: { TSRUN_STORAGE: 'erofs' } };
  const pull = (image: string, storage = 'erofs') => tsrunOk(['--storage', storage, 'pull', '-q', image]);

  test('are two files and a record, and go without leaving anything', async () => {
    await pull('busybox');
    expect(forms()).toEqual(['erofs']);
    expect(readdirSync(join(layers(), names()[0] ?? '')).sort()).toEqual(['archive.tar', 'layer.json', 'tree.erofs']);
    expect(await tsrunOk(['run', '--rm', '--network', 'none', 'busybox', 'cat', '/etc/passwd'])).toContain('root:');
    expect((await tsrun(['doctor'])).stdout).toContain('1, all layers are there');
    await tsrunOk(['rmi', 'busybox']);
    expect(names()).toEqual([]);
  });

  test('have one device number for all files, and inodes that stay when a file is copied up', async () => {
    await pull('busybox');
    const script =
      'stat -c "%d" / /etc /etc/passwd /bin/busybox | sort -u; stat -c %i /etc/passwd; echo >>/etc/passwd; stat -c %i /etc/passwd';
    const lines = (await tsrunOk(['run', '--rm', '--network', 'none', 'busybox', 'sh', '-c', script])).split('\n');
    const [device, before, after] = lines;
    expect(lines.filter(Boolean)).toHaveLength(3);
    expect(device).toMatch(/^\d+$/);
    expect(after).toBe(before);
  });

  test('appear in no mount table of the host, while a container runs and after', async () => {
    await pull('busybox');
    const id = (await tsrunOk(['run', '-d', '--network', 'none', 'busybox', 'sleep', '1000'])).trim();
    try {
      expect(readFileSync('/proc/self/mountinfo', 'utf8')).not.toContain(' - erofs ');
      expect(await tsrunOk(['exec', id, 'grep', '-c', ' - erofs ', '/proc/self/mountinfo']).catch(String)).toContain(
        '0',
      );
    } finally {
      await tsrunOk(['rm', '-f', id]);
    }
  });

  test('stay usable in a store that unpacks, and an image may have both', async () => {
    await pull('tsrun/layers');
    const all = names();
    expect(new Set(forms())).toEqual(new Set(['erofs']));
    // The topmost layer is lost, and pulled again into a store that is told to unpack.
    const top = (await tsrunOk(['inspect', '-f', '{{.GraphDriver.Data.UpperDir}}', 'tsrun/layers'])).trim();
    rmSync(join(top, '..'), { recursive: true });
    await pull('tsrun/layers', 'unpacked');
    expect(names().sort()).toEqual(all.sort());
    expect(forms().filter((form) => form === 'unpacked')).toHaveLength(1);
    const list = ['run', '--rm', '--network', 'none', 'tsrun/layers', 'sh', '-c', 'find / -xdev | sort'];
    const mixed = await tsrun(list);
    await removeImages();
    await pull('tsrun/layers', 'unpacked');
    expect(new Set(forms())).toEqual(new Set(['unpacked']));
    expect(mixed).toEqual(await tsrun(list));
  });

  test('are read by diff, cp, export, commit and save as unpacked ones are', async () => {
    const directory = mkdtempSync('/var/tmp/tsrun-erofs-');
    const outcome = async (storage: string): Promise<Record<string, unknown>> => {
      await pull('busybox', storage);
      const name = `erofs-reader-${storage}`;
      const script =
        'echo changed >>/etc/passwd; rm /etc/group; mkdir /new; echo x >/new/file; touch -d 2020-01-01 /new/file /new';
      await tsrunOk(['run', '--name', name, '--network', 'none', 'busybox', 'sh', '-c', script]);
      try {
        const at = (file: string) => join(directory, `${storage}-${file}`);
        await tsrunOk(['export', '-o', at('export.tar'), name]);
        await tsrunOk(['cp', `${name}:/etc/passwd`, at('passwd')]);
        await tsrunOk(['cp', `${name}:/bin/busybox`, at('busybox')]);
        await tsrunOk(['--storage', storage, 'commit', name, 'erofs-committed']);
        await tsrunOk(['save', '-o', at('save.tar'), 'busybox']);
        const committed = await tsrun([
          'run',
          '--rm',
          '--network',
          'none',
          'erofs-committed',
          'sh',
          '-c',
          'cat /etc/passwd /new/file; ls /etc',
        ]);
        const digest = async (file: string) => (await run('sha256sum', [at(file)])).stdout.split(' ')[0];
        return {
          diff: await tsrunOk(['diff', name]),
          exported: (
            await run('tar', ['-tvf', at('export.tar'), '--exclude=etc/passwd', '--exclude=dev*'])
          ).stdout.replace(/\S+ \S+ (\.?etc\/|new\/)$/gm, '$1'),
          passwd: readFileSync(at('passwd'), 'utf8'),
          busybox: await digest('busybox'),
          save: await digest('save.tar'),
          committed: committed.stdout,
        };
      } finally {
        await tsrunOk(['rm', '-f', name]);
        await removeImages();
      }
    };
    try {
      const mounted = await outcome('erofs');
      const unpacked = await outcome('unpacked');
      const timeless = (value: unknown) => String(value).replace(/\d{4}-\d\d-\d\d \d\d:\d\d/g, '');
      expect({ ...mounted, exported: timeless(mounted.exported) }).toEqual({
        ...unpacked,
        exported: timeless(unpacked.exported),
      });
    } finally {
      rmSync(directory, { recursive: true });
    }
  });

  test('what is saved from them loads into them, and is the same image', async () => {
    await pull('busybox');
    const id = await tsrunOk(['inspect', '-f', '{{.Id}}', 'busybox']);
    const directory = mkdtempSync('/var/tmp/tsrun-erofs-');
    try {
      await tsrunOk(['save', '-o', join(directory, 'image.tar'), 'busybox']);
      await tsrunOk(['rmi', 'busybox']);
      expect(names()).toEqual([]);
      await tsrunOk(['--storage', 'erofs', 'load', '-i', join(directory, 'image.tar')]);
      expect(await tsrunOk(['inspect', '-f', '{{.Id}}', 'busybox'])).toBe(id);
      expect(forms()).toEqual(['erofs']);
    } finally {
      rmSync(directory, { recursive: true });
    }
  });

  test('a volume is filled from them, and a user is found in them', async () => {
    await pull('busybox');
    const args = ['run', '--rm', '--network', 'none', '-v', '/etc', '-u', 'nobody', 'busybox'];
    expect(await tsrunOk([...args, 'sh', '-c', 'id -u; grep -c root /etc/passwd'])).toMatch(/^65534\n[1-9]/);
  });

  test('a layer whose index or archive is missing is named, and comes back with a pull', async () => {
    await pull('busybox');
    const layer = join(layers(), names()[0] ?? '');
    for (const file of ['tree.erofs', 'archive.tar']) {
      rmSync(join(layer, file));
      expect(await tsrun(['run', '--rm', 'busybox', 'true'])).toMatchObject({
        code: 125,
        stderr: expect.stringMatching(/layer ".*" is missing or incomplete\n {2}pull it again: tsrun pull busybox/),
      });
      await pull('busybox');
      expect(await tsrun(['run', '--rm', '--network', 'none', 'busybox', 'true'])).toMatchObject({ code: 0 });
    }
  });

  test('a pull that is killed leaves nothing that the next does not take away', async () => {
    for (let round = 0; round < 6; round++) {
      const child = spawn(tsrunPath, ['--storage', 'erofs', 'pull', '-q', 'tsrun/layers'], {
        env: environment(own(erofs.env)),
        stdio: 'ignore',
      });
      const ended = new Promise((resolve) => child.once('exit', resolve));
      await delay(80 + round * 60);
      child.kill('SIGKILL');
      await ended;
    }
    await pull('tsrun/layers');
    expect(readdirSync(layers()).filter((name) => name.startsWith('.tmp'))).toEqual([]);
    await removeImages();
    await tsrun(['system', 'prune', '-f']);
    expect(names()).toEqual([]);
  });

  describe('a start that is killed', () => {
    beforeAll(async () => {
      await pull('busybox');
    });
    afterAll(removeImages);

    test('at any time leaves no mount, no cgroup and no process', async () => {
      await pull('busybox');
      const id = (await tsrunOk(['create', '--network', 'none', 'busybox', 'sleep', '1000'])).trim();
      try {
        for (let round = 0; round < 8; round++) {
          const child = spawn(tsrunPath, ['start', id], { env: environment(own()), stdio: 'ignore' });
          const ended = new Promise((resolve) => child.once('exit', resolve));
          await delay(60 + round * 25);
          child.kill('SIGKILL');
          await ended;
          await tsrun(['kill', id]);
        }
      } finally {
        // The suite looks for what is left after every test.
        await tsrunOk(['rm', '-f', id]);
      }
    });
  });
});
