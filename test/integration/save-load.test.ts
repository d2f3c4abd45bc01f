/** Images as archives: `save` writes what skopeo and docker read, `load` reads what they write, and ids stay the same. */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { archive, file, symlink } from '../fixtures/archives.ts';
import { run, tsrun, tsrunOk, tsrunPath } from './tsrun.ts';

const layersImage = 'tsrun/layers';

let directory: string;
let saved: string;
let ids: Record<string, string>;
beforeAll(async () => {
  directory = mkdtempSync('/var/tmp/tsrun-save.');
  for (const name of ['busybox', layersImage]) await tsrunOk(['pull', '-q', name]);
  ids = { busybox: await idOf('busybox'), [layersImage]: await idOf(layersImage) };
  saved = join(directory, 'saved.tar');
  await tsrunOk(['save', '-o', saved, 'busybox', layersImage]);
});
afterAll(async () => {
  await removeAll();
  rmSync(directory, { recursive: true });
});

const idOf = (name: string) => tsrunOk(['inspect', '-f', '{{.Id}}', name]);
const inArchive = (path: string, name: string) =>
  execFileSync('tar', ['-xOf', path, name], { encoding: 'utf8', maxBuffer: 1e9 });
const list = (path: string) => execFileSync('tar', ['-tf', path], { encoding: 'utf8' }).trimEnd().split('\n');

async function removeAll(): Promise<void> {
  const all = (await tsrunOk(['images', '-aq'])).split('\n').filter((id) => id !== '');
  if (all.length > 0) await tsrun(['rmi', '-f', ...new Set(all)]);
  // What other tests have built keeps its layers.
  await tsrunOk(['builder', 'prune', '-af']);
}

const stored = () => readdirSync(join(inject('root'), 'layers')).filter((name) => !name.startsWith('.lock'));

interface DockerManifest {
  Config: string;
  RepoTags: string[] | null;
  Layers: string[];
}

function manifestOf(path: string): DockerManifest[] {
  return JSON.parse(inArchive(path, 'manifest.json')) as DockerManifest[];
}

describe('save', () => {
  test('writes docker’s format: every layer has the digest that the config says', () => {
    const manifests = manifestOf(saved);
    expect(manifests.map(({ RepoTags }) => RepoTags)).toEqual([['busybox:latest'], [`${layersImage}:latest`]]);
    for (const { Config, Layers } of manifests) {
      const config = inArchive(saved, Config);
      const hex = createHash('sha256').update(config).digest('hex');
      expect(Config).toBe(`${hex}.json`);
      expect(Object.values(ids)).toContain(`sha256:${hex}`);
      const { rootfs } = JSON.parse(config) as { rootfs: { diff_ids: string[] } };
      const digests = Layers.map((name) => {
        // A layer that both have is there once.
        const layer = execFileSync('tar', ['-xOf', saved, name], { maxBuffer: 1e9 });
        return `sha256:${createHash('sha256').update(layer).digest('hex')}`;
      });
      expect(digests).toEqual(rootfs.diff_ids);
    }
    const tags = JSON.parse(inArchive(saved, 'repositories')) as object;
    expect(Object.keys(tags)).toEqual(['busybox', layersImage]);
  });

  test('skopeo reads both formats, and finds the same config', async () => {
    const oci = join(directory, 'oci.tar');
    await tsrunOk(['save', '--format', 'oci-archive', '-o', oci, layersImage]);
    for (const source of [`docker-archive:${saved}:${layersImage}:latest`, `oci-archive:${oci}`]) {
      const config = execFileSync('skopeo', ['inspect', '--config', '--raw', source]);
      expect(`sha256:${createHash('sha256').update(config).digest('hex')}`).toBe(ids[layersImage]);
      // It verifies all blobs when it copies them.
      execFileSync('skopeo', ['--insecure-policy', 'copy', '-q', source, `dir:${join(directory, 'copied')}`]);
    }
  });

  test('an image by its id goes without a name, by its repository with all tags, and once', async () => {
    await tsrunOk(['tag', 'busybox', 'saved/again:1']);
    await tsrunOk(['tag', 'busybox', 'saved/again:2']);
    const path = join(directory, 'some.tar');
    const short = (ids.busybox ?? '').slice(7, 19);
    await tsrunOk(['save', '-o', path, short]);
    expect(manifestOf(path).map(({ RepoTags }) => RepoTags)).toEqual([null]);
    expect(list(path)).not.toContain('repositories');
    await tsrunOk(['save', '-o', path, 'saved/again', 'busybox:latest', short]);
    expect(manifestOf(path).map(({ RepoTags }) => RepoTags)).toEqual([
      ['busybox:latest', 'saved/again:1', 'saved/again:2'],
    ]);
    await tsrunOk(['rmi', 'saved/again:1', 'saved/again:2']);
  });

  test('the same archive every time, to a file or to a pipe', async () => {
    const result = await run('sh', ['-c', `${tsrunPath} save busybox ${layersImage} | sha256sum`]);
    const digest = createHash('sha256').update(readFileSync(saved)).digest('hex');
    expect(result.stdout).toBe(`${digest}  -\n`);
  });

  test('what it does not do, and says so', async () => {
    const terminal = await tsrun(['save', 'busybox'], { tty: true });
    expect(terminal.stdout).toContain('cowardly refusing to save to a terminal. Use the -o flag or redirect');
    expect(await tsrun(['save', 'nope'])).toMatchObject({
      code: 1,
      stdout: '',
      stderr: expect.stringContaining('No such image: nope\n'),
    });
    expect((await tsrun(['save', '-o', '/nonexistent/x', 'busybox'])).stderr).toContain(
      'failed to save image: invalid output path: directory "/nonexistent" does not exist',
    );
    expect((await tsrun(['save', '--format', 'zip', 'busybox'])).stderr).toContain('unknown format "zip"');
  });

  test('a layer whose files were changed is not passed on as if it were whole', async () => {
    const [first] = (await tsrunOk(['inspect', '-f', '{{.GraphDriver.Data.UpperDir}}', 'busybox'])).split('\n');
    const archive = join(dirname(first ?? ''), 'archive.tar');
    const path = existsSync(archive) ? archive : join(first ?? '', 'etc/passwd');
    const before = readFileSync(path, 'latin1');
    const target = join(directory, 'never.tar');
    try {
      writeFileSync(path, before.replace('root', 'toor'), 'latin1');
      const result = await tsrun(['save', '-o', target, 'busybox']);
      expect(result.code).toBe(1);
      expect(result.stderr).toMatch(/^tsrun: layer sha256:\S+ in ".*" has changed since it was unpacked/);
      expect(readdirSync(directory).filter((name) => name.includes('never'))).toEqual([]);
    } finally {
      writeFileSync(path, before, 'latin1');
    }
  });
});

describe('load', () => {
  const load = (args: string[], stdin?: Buffer) => tsrun(['load', ...args], stdin === undefined ? {} : { stdin });

  test('a directory is no archive', async () => {
    const result = await load(['-i', '.']);
    expect(result).toMatchObject({ code: 1, stdout: '', stderr: expect.stringContaining('open .: is a directory\n') });
  });

  test('brings back what save wrote, with the same ids, and it runs', async () => {
    await removeAll();
    expect(stored()).toEqual([]);
    expect(await load(['-i', saved])).toMatchObject({
      code: 0,
      stderr: '',
      stdout: `Loaded image: busybox:latest\nLoaded image: ${layersImage}:latest\n`,
    });
    expect(await idOf('busybox')).toBe(ids.busybox);
    expect(await idOf(layersImage)).toBe(ids[layersImage]);
    expect(await tsrunOk(['run', '--rm', '--network', 'none', 'busybox', 'echo', 'runs'])).toBe('runs');
    // And again: the second archive is made from what the first was unpacked to.
    const again = join(directory, 'again.tar');
    await tsrunOk(['save', '-o', again, 'busybox', layersImage]);
    expect(readFileSync(again).equals(readFileSync(saved))).toBe(true);
  });

  test('from a pipe, compressed or not', async () => {
    const plain = readFileSync(saved);
    for (const input of [
      plain,
      gzipSync(plain, { level: 1 }),
      execFileSync('zstd', ['-q', '-c', saved], { maxBuffer: 1e9 }),
    ]) {
      await removeAll();
      expect(await load(['-q'], input)).toMatchObject({ code: 0, stderr: '' });
      expect(await idOf('busybox')).toBe(ids.busybox);
    }
    const xz = await load([], execFileSync('xz', ['-0', '-c', saved], { maxBuffer: 1e9 }));
    expect(xz.stderr).toBe(
      'tsrun: the archive is compressed with xz\n  tsrun reads gzip, zstd and plain archives: xz -dc FILE | tsrun load\n',
    );
  });

  test('what skopeo writes, in both formats', async () => {
    for (const [kind, suffix] of [
      ['docker-archive', ':from/skopeo:1'],
      ['oci-archive', ':from/skopeo:1'],
    ] as const) {
      const path = join(directory, `${kind}.tar`);
      execFileSync('skopeo', [
        '--insecure-policy',
        'copy',
        '-q',
        `docker-archive:${saved}:busybox:latest`,
        `${kind}:${path}${suffix}`,
      ]);
      await removeAll();
      expect(await load(['-i', path])).toMatchObject({ code: 0, stdout: 'Loaded image: from/skopeo:1\n', stderr: '' });
      expect(await tsrunOk(['run', '--rm', '--network', 'none', 'from/skopeo:1', 'echo', kind])).toBe(kind);
    }
  });

  test('a name that another image has moves, and says so', async () => {
    await removeAll();
    await load(['-i', saved]);
    await tsrunOk(['tag', layersImage, 'busybox']);
    const result = await load(['-i', saved]);
    expect(result.stdout.split('\n')[0]).toBe(
      `The image busybox:latest already exists, renaming the old one with ID ${ids[layersImage]} to empty string`,
    );
    expect(await idOf('busybox')).toBe(ids.busybox);
  });

  test('several at once make one image', async () => {
    await removeAll();
    const results = await Promise.all([1, 2, 3, 4].map(() => load(['-i', saved])));
    expect(results.map(({ code, stderr }) => ({ code, stderr }))).toEqual(Array(4).fill({ code: 0, stderr: '' }));
    expect(stored().filter((name) => name.startsWith('.tmp'))).toEqual([]);
    expect(await tsrunOk(['run', '--rm', '--network', 'none', 'busybox', 'echo', 'runs'])).toBe('runs');
  });
});

describe('archives that are wrong: one error, and nothing is left', () => {
  const layer = archive(file('hello', 'hello'));
  const diffId = `sha256:${createHash('sha256').update(layer).digest('hex')}`;
  const config = (diffIds: string[]) =>
    Buffer.from(
      JSON.stringify({ architecture: 'amd64', os: 'linux', config: {}, rootfs: { type: 'layers', diff_ids: diffIds } }),
    );
  const good = config([diffId]);
  const manifest = (more: object = {}) =>
    file(
      'manifest.json',
      JSON.stringify([{ Config: 'config', RepoTags: ['wrong:1'], Layers: ['layer.tar'], ...more }]),
    );

  test.each<[string, Buffer, RegExp]>([
    ['no archive', Buffer.from('this is no archive at all '.repeat(100)), /is not a tar archive/],
    ['nothing', Buffer.alloc(0), /the archive holds no image: it has neither manifest.json nor index.json/],
    ['a filesystem', archive(file('etc/passwd', 'x')), /the archive holds no image/],
    ['docker’s old format', archive(file('repositories', '{}')), /the archive holds no image/],
    ['a manifest that is no JSON', archive(file('manifest.json', '{')), /manifest.json of the archive/],
    ['a config that is missing', archive(manifest()), /the archive has no "config", which its manifest names/],
    ['a layer that is missing', archive(manifest(), file('config', good)), /the archive has no "layer.tar"/],
    [
      'a config with another digest than its name',
      archive(
        manifest({ Config: `${'a'.repeat(64)}.json` }),
        file(`${'a'.repeat(64)}.json`, good),
        file('layer.tar', layer),
      ),
      /in the archive has the digest sha256:/,
    ],
    [
      'a layer with another digest',
      archive(manifest(), file('config', config([`sha256:${'b'.repeat(64)}`])), file('layer.tar', layer)),
      /a layer unpacks to sha256:\S+, the image says sha256:bbb/,
    ],
    [
      'a second layer with another digest',
      archive(
        manifest({ Layers: ['layer.tar', 'layer.tar'] }),
        file('config', config([diffId, `sha256:${'b'.repeat(64)}`])),
        file('layer.tar', layer),
      ),
      /a layer unpacks to sha256:\S+, the image says sha256:bbb/,
    ],
    [
      'more layers than diffIDs',
      archive(manifest({ Layers: ['layer.tar', 'layer.tar'] }), file('config', good), file('layer.tar', layer)),
      /has 2 layers and its config 1/,
    ],
    [
      'links that lead around in circles or out',
      archive(
        manifest(),
        file('config', good),
        symlink('layer.tar', 'other'),
        symlink('other', '../../../../layer.tar'),
      ),
      /the archive has no "layer.tar"/,
    ],
    [
      'a link to a file of the host',
      archive(manifest(), file('config', good), symlink('layer.tar', '/etc/passwd')),
      /the archive has no "layer.tar"/,
    ],
    [
      'a layer that is no archive',
      archive(manifest(), file('config', good), file('layer.tar', 'x'.repeat(2000))),
      /is not a tar archive/,
    ],
    [
      'a name that is none',
      archive(manifest({ RepoTags: ['Wrong:1'] }), file('config', good), file('layer.tar', layer)),
      /invalid reference format/,
    ],
    [
      'an archive that is cut off',
      archive(manifest(), file('config', good), file('layer.tar', layer)).subarray(0, 3000),
      /ends in the middle of an entry/,
    ],
  ])('%s', async (_, input, message) => {
    await removeAll();
    const before = stored();
    const result = await tsrun(['load'], { stdin: input });
    expect(result).toMatchObject({ code: 1, stdout: '' });
    expect(result.stderr).toMatch(message);
    expect(result.stderr.split('\n').length).toBeLessThanOrEqual(3);
    expect(stored()).toEqual(before);
    expect(await tsrunOk(['images', '-aq'])).toBe('');
  });
});
