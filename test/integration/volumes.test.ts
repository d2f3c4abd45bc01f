import { execFileSync, spawn } from 'node:child_process';
import {
  chmodSync,
  chownSync,
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
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { populateVolume } from '../../src/container/volumes/populate.ts';
import { environment, tsrun, tsrunOk, tsrunPath } from './tsrun.ts';

const quiet = ['--network', 'none'];
const run = (...args: string[]): Promise<string> => tsrunOk(['run', '--rm', ...quiet, ...args]);
const files = (name: string): string => join(inject('root'), 'volumes', name, '_data');
const volumeNames = (): string[] => readdirSync(join(inject('root'), 'volumes'));

beforeAll(async () => {
  await tsrunOk(['pull', '-q', 'busybox']);
  await tsrunOk(['pull', '-q', 'debian']);
});
afterAll(async () => {
  await tsrunOk(['volume', 'prune', '-f']);
  expect(volumeNames()).toEqual([]);
});

test('volume create, ls, inspect, rm', async () => {
  expect(await tsrunOk(['volume', 'create', '--label', 'tier=db', '--label', 'bare', 'v-one'])).toBe('v-one');
  expect(await tsrunOk(['volume', 'create', 'v-one'])).toBe('v-one');
  const anonymous = await tsrunOk(['volume', 'create']);
  expect(anonymous).toMatch(/^[0-9a-f]{64}$/);
  expect(await tsrunOk(['volume', 'ls', '-f', 'name=v-'])).toBe('DRIVER    VOLUME NAME\nlocal     v-one');
  expect(await tsrunOk(['volume', 'ls', '-q', '-f', 'label=tier=db'])).toBe('v-one');
  expect(JSON.parse(await tsrunOk(['volume', 'inspect', 'v-one']))).toEqual([
    {
      CreatedAt: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/),
      Driver: 'local',
      Labels: { bare: '', tier: 'db' },
      Mountpoint: files('v-one'),
      Name: 'v-one',
      Options: {},
      Scope: 'local',
    },
  ]);
  expect(await tsrun(['volume', 'inspect', 'v-no'])).toMatchObject({ code: 1, stdout: '[]\n' });
  expect(await tsrunOk(['inspect', '-f', '{{.Name}}', 'v-one'])).toBe('v-one');
  expect(await tsrunOk(['volume', 'rm', 'v-one', anonymous])).toBe(`v-one\n${anonymous}`);
  const gone = await tsrun(['volume', 'rm', 'v-one']);
  expect(gone).toMatchObject({ code: 1, stderr: expect.stringContaining('Error: No such volume: v-one\n') });
  expect(await tsrunOk(['volume', 'rm', '-f', 'v-one'])).toBe('v-one');
  expect(await tsrun(['volume', 'rm', '../containers'])).toMatchObject({ code: 1 });
});

describe('a named volume', () => {
  test('outlives its container, and is in use while any container names it', async () => {
    await run('-v', 'v-keep:/data', 'busybox', 'sh', '-c', 'echo kept >/data/file');
    expect(await run('-v', 'v-keep:/elsewhere:ro', 'busybox', 'cat', '/elsewhere/file')).toBe('kept');
    const readOnly = await tsrun(['run', '--rm', ...quiet, '-v', 'v-keep:/d:ro', 'busybox', 'touch', '/d/x']);
    expect(readOnly.stderr).toContain('Read-only file system');
    const id = await tsrunOk(['create', '--name', 'v-user', '-v', 'v-keep:/d', 'busybox']);
    for (const flags of [[], ['-f']]) {
      const refused = await tsrun(['volume', 'rm', ...flags, 'v-keep']);
      expect(refused.code).toBe(1);
      expect(refused.stderr).toContain(`remove v-keep: volume is in use - [${id}]\n`);
    }
    expect(await tsrunOk(['volume', 'ls', '-q', '-f', 'dangling=true'])).toBe('');
    expect(await tsrunOk(['ps', '-a', '--filter', 'volume=v-keep', '--format', '{{.Mounts}} {{.LocalVolumes}}'])).toBe(
      'v-keep 1',
    );
    await tsrunOk(['rm', '-v', 'v-user']);
    expect(readFileSync(join(files('v-keep'), 'file'), 'utf8')).toBe('kept\n');
    expect(await tsrunOk(['volume', 'rm', 'v-keep'])).toBe('v-keep');
  });

  test('gets what the image has there, with owners, modes, links and times; only when it is empty', async () => {
    const list = [
      'sh',
      '-c',
      // The size of a directory is its filesystem's own affair.
      [
        'cd "$0"; find . -mindepth 1 ! -type d | sort | xargs stat -c "%n %a %u:%g %s %Y %N"',
        'find . -mindepth 1 -type d | sort | xargs stat -c "%n %a %u:%g %Y"',
      ].join('; '),
    ];
    const ofImage = (text: string) => text.split('\n').filter((line) => !/hosts|resolv|hostname/.test(line));
    const image = ofImage(await run('debian', ...list, '/etc'));
    expect(image.length).toBeGreaterThan(20);
    expect(ofImage(await run('-v', 'v-etc:/copy', '-v', 'v-etc:/etc', 'debian', ...list, '/copy'))).toEqual(image);
    await run('-v', 'v-etc:/etc', 'debian', 'rm', '/etc/passwd');
    expect(existsSync(join(files('v-etc'), 'passwd'))).toBe(false);
    await tsrunOk(['create', '--name', 'v-again', '-v', 'v-etc:/etc', 'debian']);
    expect(existsSync(join(files('v-etc'), 'passwd'))).toBe(false);
    await tsrunOk(['rm', 'v-again']);
    await tsrunOk(['create', '--name', 'v-nocopy', '-v', 'v-none:/etc:nocopy', 'debian']);
    expect(readdirSync(files('v-none'))).toEqual([]);
    await tsrunOk(['rm', 'v-nocopy']);
    await tsrunOk(['volume', 'rm', 'v-etc', 'v-none']);
  });

  test('containers that begin to use one at once fill it once', async () => {
    const runs = Array.from({ length: 8 }, (_, index) =>
      run('-v', 'v-many:/etc', 'debian', 'sh', '-c', `find /etc -type f | wc -l; echo ${index} >/etc/own.${index}`),
    );
    const counts = await Promise.all(runs);
    expect(Math.min(...counts.map(Number))).toBeGreaterThan(20);
    const entries = readdirSync(files('v-many'));
    expect(entries.filter((name) => name.startsWith('own.'))).toHaveLength(8);
    expect(readdirSync(join(files('v-many'), '..')).sort()).toEqual(['_data', 'volume.json']);
    await tsrunOk(['volume', 'rm', 'v-many']);
  });

  test('is not made where its container cannot be', async () => {
    await tsrunOk(['create', '--name', 'v-taken', 'busybox']);
    const taken = await tsrun(['create', '--name', 'v-taken', '-v', 'v-new:/x', '-v', '/y', 'busybox']);
    expect(taken.stderr).toContain('The container name "/v-taken" is already in use');
    const file = await tsrun(['run', '--rm', ...quiet, '-v', 'v-new:/bin/sh', 'busybox', 'true']);
    expect(file).toMatchObject({ code: 125 });
    expect(file.stderr).toContain('cannot mount volume over existing file, file exists /bin/sh');
    expect(await tsrunOk(['volume', 'ls', '-q'])).toBe('');
    await tsrunOk(['rm', 'v-taken']);
  });
});

describe('anonymous volumes', () => {
  test('go with `rm -v` and --rm, unless another container has them', async () => {
    await tsrunOk(['run', '--name', 'v-first', ...quiet, '-v', '/anon', 'busybox', 'sh', '-c', 'echo 1 >/anon/one']);
    const [name = ''] = (await tsrunOk(['volume', 'ls', '-q'])).split('\n');
    expect(name).toMatch(/^[0-9a-f]{64}$/);
    expect(await run('--volumes-from', 'v-first:ro', 'busybox', 'cat', '/anon/one')).toBe('1');
    expect(volumeNames()).toEqual([name]);
    await tsrunOk(['create', '--name', 'v-second', '--volumes-from', 'v-first', 'busybox']);
    await tsrunOk(['rm', '-v', 'v-first']);
    expect(volumeNames()).toEqual([name]);
    await tsrunOk(['rm', '-v', 'v-second']);
    expect(volumeNames()).toEqual([]);
    await run('-v', '/anon', 'busybox', 'true');
    await tsrun(['run', '--rm', ...quiet, '-v', '/anon', 'busybox', '/no/such/command']);
    expect(volumeNames()).toEqual([]);
    await tsrunOk(['run', '-d', '--rm', ...quiet, '-v', '/anon', 'busybox', 'true']);
    for (let i = 0; i < 100 && volumeNames().length > 0; i++) await delay(20);
    expect(volumeNames()).toEqual([]);
  });

  test('stay with plain `rm`, until prune', async () => {
    await tsrunOk(['create', '--name', 'v-left', '-v', '/anon', 'busybox']);
    await tsrunOk(['rm', 'v-left']);
    const [name = ''] = volumeNames();
    await tsrunOk(['volume', 'create', '--label', 'keep', 'v-labelled']);
    expect((await tsrun(['volume', 'prune'], { stdin: 'n\n' })).stdout).toContain(
      'Are you sure you want to continue? [y/N] ',
    );
    expect(volumeNames()).toHaveLength(2);
    expect(await tsrunOk(['volume', 'prune', '-f', '--filter', 'label!=keep'])).toBe(
      `Deleted Volumes:\n${name}\n\nTotal reclaimed space: 0B`,
    );
    expect(await tsrunOk(['volume', 'prune', '-f'])).toContain('v-labelled');
  });
});

test("options of the driver: a tmpfs of the container's own, a directory of the host", async () => {
  const directory = mkdtempSync(join(inject('root'), 'host-'));
  try {
    await tsrunOk(['volume', 'create', '-o', 'type=tmpfs', '-o', 'device=tmpfs', '-o', 'o=size=1m,uid=1000', 'v-tmp']);
    expect(await run('-v', 'v-tmp:/t', 'busybox', 'sh', '-c', 'grep " /t " /proc/mounts; stat -c %u /t')).toMatch(
      /^tmpfs \/t tmpfs rw,relatime,size=1024k,uid=1000 0 0\n1000$/,
    );
    await tsrunOk(['volume', 'create', '-o', 'type=none', '-o', `device=${directory}`, '-o', 'o=bind', 'v-host']);
    await run('-v', 'v-host:/etc', 'debian', 'touch', '/etc/new');
    expect(readdirSync(directory)).toEqual(expect.arrayContaining(['new', 'passwd']));
    expect(readdirSync(directory).filter((name) => name.startsWith('.tsrun'))).toEqual([]);
    expect(readdirSync(files('v-host'))).toEqual([]);
    rmSync(directory, { recursive: true });
    const missing = await tsrun(['run', '--rm', ...quiet, '-v', 'v-host:/x', 'busybox', 'true']);
    expect(missing).toMatchObject({ code: 127 });
    expect(missing.stderr).toContain(`mount ${directory}:${files('v-host')}, flags: 0x1000: no such file or directory`);
    await tsrunOk(['volume', 'rm', 'v-tmp', 'v-host']);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
});

test('inspect and ps show volumes as docker does; events tell of them', async () => {
  const name = 'v-shown';
  const flags = ['-v', 'v-a1:/a:nocopy', '-v', '/anon', '--mount', 'type=volume,dst=/m', '-v', '/tmp:/host'];
  await tsrunOk(['run', '--name', name, ...quiet, ...flags, 'busybox', 'true']);
  const [document] = JSON.parse(await tsrunOk(['inspect', name]));
  expect(document.HostConfig).toMatchObject({
    Binds: ['v-a1:/a:nocopy', '/tmp:/host'],
    Mounts: [{ Type: 'volume', Target: '/m' }],
    VolumesFrom: null,
  });
  expect(document.Config.Volumes).toEqual({ '/anon': {} });
  expect(document.Mounts).toHaveLength(4);
  expect(document.Mounts[0]).toEqual({
    Type: 'volume',
    Name: 'v-a1',
    Source: files('v-a1'),
    Destination: '/a',
    Driver: 'local',
    Mode: 'nocopy',
    RW: true,
    Propagation: '',
  });
  expect(await tsrunOk(['ps', '-a', '-f', 'volume=/anon', '--format', '{{.Names}} {{.LocalVolumes}}'])).toBe(
    `${name} 3`,
  );
  await tsrunOk(['rm', '-v', name]);
  await tsrunOk(['volume', 'rm', 'v-a1']);
  const events = readFileSync(join(inject('root'), 'events.jsonl'), 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line))
    .filter((event) => event.Type === 'volume' && event.Actor.ID === 'v-a1');
  expect(events.map((event) => event.Action)).toEqual(['create', 'mount', 'unmount', 'destroy']);
  expect(events[1].Actor.Attributes).toEqual({
    container: document.Id,
    destination: '/a',
    driver: 'local',
    propagation: '',
    'read/write': 'true',
  });
});

describe('a copy into a volume', () => {
  let directory: string;
  const layer = (name: string): string => join(directory, name);
  const request = (): Parameters<typeof populateVolume>[0] => ({
    target: layer('volume/_data'),
    stageParent: layer('volume'),
    prefix: '',
    layers: [layer('upper'), layer('lower')],
    destination: '/srv/data',
  });
  beforeAll(() => {
    directory = mkdtempSync(join(inject('root'), 'populate-'));
    for (const path of ['volume/_data', 'lower/srv/data/sub', 'lower/srv/data/hidden', 'upper/srv']) {
      mkdirSync(layer(path), { recursive: true });
    }
    execFileSync('sh', [
      '-c',
      `cd "$0" && ln -s data/../data lower/srv/link && ln -s /srv lower/alias && ln -s / lower/srv/data/out &&
       echo lower >lower/srv/data/file && echo gone >lower/srv/data/gone && ln lower/srv/data/file lower/srv/data/sub/same &&
       mkdir -p upper/srv/data/hidden && echo new >upper/srv/data/hidden/new && echo old >lower/srv/data/hidden/old &&
       mknod upper/srv/data/gone c 0 0 && mkfifo upper/srv/data/fifo && mknod upper/srv/data/null c 1 3 &&
       truncate -s 1G upper/srv/data/sparse && echo end >>upper/srv/data/sparse`,
      directory,
    ]);
    execFileSync('python3', [
      '-c',
      `import os,sys; os.setxattr(sys.argv[1]+'/hidden','trusted.overlay.opaque',b'y'); os.setxattr(sys.argv[1]+'/sparse','user.note',b'kept')`,
      layer('upper/srv/data'),
    ]);
    chownSync(layer('upper/srv/data'), 1000, 2000);
    chmodSync(layer('upper/srv/data'), 0o2770);
  });
  afterAll(() => rmSync(directory, { recursive: true, force: true }));

  test('sees the layers as overlayfs does', async () => {
    await populateVolume({ ...request(), destination: '/alias/link' });
    const data = layer('volume/_data');
    expect(readdirSync(data).sort()).toEqual(['fifo', 'file', 'hidden', 'null', 'out', 'sparse', 'sub']);
    expect(readdirSync(join(data, 'hidden'))).toEqual(['new']);
    expect(statSync(join(data, 'file')).ino).toBe(statSync(join(data, 'sub/same')).ino);
    expect(statSync(data)).toMatchObject({ uid: 1000, gid: 2000, mode: 0o042770 });
    expect(statSync(data).mtimeMs).toBe(statSync(layer('upper/srv/data')).mtimeMs);
    expect(statSync(join(data, 'sparse'))).toMatchObject({ size: 1024 ** 3 + 4 });
    expect(statSync(join(data, 'sparse')).blocks).toBeLessThan(100);
    expect(statSync(join(data, 'null')).rdev).toBe(statSync('/dev/null').rdev);
    expect(readdirSync(layer('volume'))).toEqual(['_data']);
  });

  test.each([
    ['while it is made', 'stage.tmp'],
    ['while it moves in', 'stage'],
  ])('is begun anew or finished when it was killed %s', async (_, name) => {
    rmSync(layer('volume'), { recursive: true });
    mkdirSync(layer(`volume/${name}/sub`), { recursive: true });
    mkdirSync(layer('volume/_data'));
    writeFileSync(layer(`volume/${name}/half`), 'x');
    if (name === 'stage') writeFileSync(layer('volume/_data/moved'), 'y');
    await populateVolume(request());
    const expected =
      name === 'stage' ? ['half', 'moved', 'sub'] : ['fifo', 'file', 'hidden', 'null', 'out', 'sparse', 'sub'];
    expect(readdirSync(layer('volume/_data')).sort()).toEqual(expected);
    expect(readdirSync(layer('volume'))).toEqual(['_data']);
  });
});

test('after kill -9 at any moment of the first use, the next one has the whole of it', async () => {
  const expected = Number(await run('-v', 'v-whole:/usr/bin', 'debian', 'sh', '-c', 'ls /usr/bin | wc -l'));
  for (const wait of [20, 50, 100, 200]) {
    const child = spawn(tsrunPath, ['create', '-v', 'v-kill:/usr/bin', 'debian'], {
      env: environment(),
      stdio: 'ignore',
    });
    const closed = new Promise((resolve) => child.once('close', resolve));
    await delay(wait);
    child.kill('SIGKILL');
    await closed;
    const count = Number(await run('-v', 'v-kill:/usr/bin', 'debian', 'sh', '-c', 'ls /usr/bin | wc -l'));
    expect(count).toBe(expected);
    const left = await tsrunOk(['ps', '-aq']);
    if (left !== '') await tsrunOk(['rm', ...left.split('\n')]);
    await tsrunOk(['volume', 'rm', 'v-kill']);
  }
  // What else the killed ones left goes with the next container.
  await tsrunOk(['volume', 'rm', 'v-whole']);
});
