/** Pulling from Debian's docker-registry: what the store has afterwards, and what people see. */
import { existsSync, lstatSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, inject, test } from 'vitest';
import { formatPlatform, parsePlatform } from '../../src/image/platform.ts';
import { ProgressView } from '../../src/image/progress.ts';
import { ImageStore } from '../../src/image/store.ts';
import { mirrored, worldForEachTest } from './pull-world.ts';

const world = worldForEachTest();
const registry = () => inject('registry');
const settings = () => mirrored(`http://${registry()}`);
const hex64 = /^sha256:[0-9a-f]{64}$/;

describe('an image from a mirror of docker.io', () => {
  test('is unpacked, named and described', async () => {
    const image = await world().pull('busybox', { settings: settings() });
    expect(image.changed).toBe(true);
    expect(image.id).toMatch(hex64);
    expect(image.references).toEqual(['docker.io/library/busybox:latest']);
    expect(image.repoDigests).toEqual([`docker.io/library/busybox@${image.manifestDigest}`]);
    expect(image.config.execution.cmd).toEqual(['sh']);
    expect(image.config.execution.env[0]).toMatch(/^PATH=/);
    expect(Date.parse(image.created)).toBeGreaterThan(0);

    const [root = ''] = world().store.openImage(image).paths;
    expect(lstatSync(join(root, 'bin/busybox')).mode & 0o7777).toBe(0o755);
    expect(readlinkSync(join(root, 'bin/ls'))).toBe('busybox');
    expect(lstatSync(join(root, 'tmp')).mode & 0o7777).toBe(0o1777);
    expect(lstatSync(root).mode & 0o7777).toBe(0o755);
    expect(image.size).toBeGreaterThan(lstatSync(join(root, 'bin/busybox')).size);
  });

  test('is found again by its names and its id, by another process too', async () => {
    const image = await world().pull('busybox', { settings: settings() });
    const again = new ImageStore(world().root);
    for (const text of [
      'busybox',
      'library/busybox:latest',
      image.id,
      image.id.slice(7, 19),
      image.repoDigests[0] ?? '',
    ]) {
      expect(again.require(text).id, text).toBe(image.id);
    }
    expect(again.list().map(({ id }) => id)).toEqual([image.id]);
    expect(again.resolve('busybox:other')).toBeUndefined();
    expect(() => again.require('nope')).toThrow('No such image: nope:latest');
  });

  test('shows what docker pull shows', async () => {
    const image = await world().pull('busybox', { settings: settings() });
    const view = new ProgressView({ terminal: false, columns: 80, rows: 24 });
    const layer = image.layers[0]?.digest.slice(7, 19);
    expect(
      world()
        .events.map((event) => view.show(event)?.text ?? '')
        .join(''),
    ).toBe(
      [
        'latest: Pulling from library/busybox',
        `${layer}: Pulling fs layer`,
        `${layer}: Verifying Checksum`,
        `${layer}: Download complete`,
        `${layer}: Pull complete`,
        `Digest: ${image.manifestDigest}`,
        'Status: Downloaded newer image for busybox:latest',
        'docker.io/library/busybox:latest',
        '',
      ].join('\n'),
    );
  });

  test('a second time nothing is fetched and nothing changes', async () => {
    await world().pull('busybox', { settings: settings() });
    const before = readFileSync(world().path('images.json'), 'utf8');
    world().events.length = 0;
    const image = await world().pull('busybox', { settings: settings() });
    expect(image.changed).toBe(false);
    expect(world().layerEvents()).toEqual([]);
    expect(world().events.at(-1)).toMatchObject({ kind: 'end', changed: false, familiar: 'busybox:latest' });
    expect(readFileSync(world().path('images.json'), 'utf8')).toBe(before);
  });
});

test('leaves only what the store is made of', async () => {
  await world().pull('busybox', { settings: settings() });
  // What was found out about the kernel may be there, or not.
  const names = readdirSync(world().root).filter((name) => name !== 'cache');
  expect(names.sort()).toEqual(['blobs', 'images.json', 'images.lock', 'layers']);
  expect(readdirSync(world().path('layers')).filter((name) => name.startsWith('.'))).toEqual(['.lock']);
  for (const name of readdirSync(world().path('blobs/sha256'))) expect(name).toMatch(/^[0-9a-f]{64}$/);
  // nobody but root looks into layers, where setuid programs are
  expect(lstatSync(world().path('layers')).mode & 0o7777).toBe(0o700);
});

test("a registry's own name, with a port", async () => {
  const image = await world().pull(`${registry()}/library/busybox:latest`);
  expect(image.references).toEqual([`${registry()}/library/busybox:latest`]);
  expect(world().events.at(-1)).toMatchObject({ canonical: `${registry()}/library/busybox:latest` });
});

describe('several layers', () => {
  test('lie on each other in the order of the manifest, whatever order they came in', async () => {
    const image = await world().pull(`${registry()}/tsrun/layers`);
    const paths = world().store.openImage(image).paths;
    expect(paths).toHaveLength(3);
    expect(existsSync(join(paths[0] ?? '', 'bin/busybox'))).toBe(true);
    expect(readFileSync(join(paths[1] ?? '', 'data/changed'), 'utf8')).toBe('lower\n');
    expect(readFileSync(join(paths[2] ?? '', 'data/changed'), 'utf8')).toBe('upper\n');
    // overlayfs' whiteout
    const whiteout = lstatSync(join(paths[2] ?? '', 'data/removed'));
    expect([whiteout.isCharacterDevice(), whiteout.rdev]).toEqual([true, 0]);
    expect(image.size).toBe(image.layers.reduce((sum, layer) => sum + layer.bytes, 0));
  });

  test('are shared between images', async () => {
    const busybox = await world().pull(`${registry()}/library/busybox`);
    world().events.length = 0;
    const image = await world().pull(`${registry()}/tsrun/layers`);
    expect(image.layers[0]?.chainId).toBe(busybox.layers[0]?.chainId);
    expect(world().layerEvents()[0]).toMatch(/: Already exists$/);
    expect(
      world()
        .layerEvents()
        .filter((line) => line.endsWith(': Pull complete')),
    ).toHaveLength(2);
    expect(readdirSync(world().path('layers')).filter((name) => !name.startsWith('.'))).toHaveLength(3);
  });
});

describe('platforms', () => {
  const multi = () => `${registry()}/tsrun/multi`;
  const mark = (image: Awaited<ReturnType<ReturnType<typeof world>['pull']>>) =>
    readFileSync(join(world().store.openImage(image).paths.at(-1) ?? '', 'platform'), 'utf8').trim();

  test("this machine's by default", async () => {
    const image = await world().pull(multi());
    expect(mark(image)).toBe(`linux/${process.arch === 'x64' ? 'amd64' : process.arch}`);
    // the digest that people can pull again is the index's
    expect(image.repoDigests[0]).not.toContain(image.manifestDigest);
  });

  test('another on demand; the name then means that one', async () => {
    const first = await world().pull(multi(), { platform: parsePlatform('linux/arm64') });
    expect(mark(first)).toBe('linux/arm64');
    expect(formatPlatform(first.platform)).toBe('linux/arm64');
    const second = await world().pull(multi(), { platform: parsePlatform('arm') });
    expect(mark(second)).toBe('linux/arm');
    expect(second.changed).toBe(true);
    expect(world().store.require(multi()).id).toBe(second.id);
    expect(world().store.require(first.id).references).toEqual([]);
    expect(world().store.list()).toHaveLength(2);
  });

  test('none for it: the error names those that there are', async () => {
    await expect(world().pull(multi(), { platform: parsePlatform('linux/s390x') })).rejects.toThrow(
      expect.objectContaining({
        code: 'NOT_FOUND',
        message: `no image for linux/s390x in "${multi()}:latest": it has linux/arm/v7, linux/arm64, linux/amd64`,
      }),
    );
    const only = `${registry()}/library/busybox`;
    await expect(world().pull(only, { platform: parsePlatform('linux/s390x') })).rejects.toThrow(
      /^no image for linux\/s390x in ".*busybox:latest": it has linux\//,
    );
    expect(world().store.list()).toEqual([]);
  });

  test("docker's media types and manifest list", async () => {
    const image = await world().pull(`${registry()}/tsrun/docker`);
    expect(image.layers[0]?.mediaType).toBe('application/vnd.docker.image.rootfs.diff.tar.gzip');
    expect(existsSync(join(world().store.openImage(image).paths[0] ?? '', 'bin/busybox'))).toBe(true);
  });
});

describe('by digest', () => {
  test('has no tag; a tag beside the digest means nothing', async () => {
    const tagged = await world().pull('busybox', { settings: settings() });
    world().store.remove('busybox', { usersOf: () => [], layerInUse: () => false });
    for (const name of [`busybox@${tagged.manifestDigest}`, `busybox:nonsense@${tagged.manifestDigest}`]) {
      world().events.length = 0;
      const image = await world().pull(name, { settings: settings() });
      expect([image.id, image.references]).toEqual([tagged.id, []]);
      expect(image.repoDigests).toEqual([`docker.io/library/busybox@${tagged.manifestDigest}`]);
      expect(world().events.find((event) => event.kind === 'start')).toMatchObject({
        what: `docker.io/library/busybox@${tagged.manifestDigest}`,
      });
      expect(world().events.at(-1)).toMatchObject({ familiar: `busybox@${tagged.manifestDigest}` });
    }
  });

  test('one that the registry does not have', async () => {
    const digest = `sha256:${'0'.repeat(64)}`;
    await expect(world().pull(`${registry()}/library/busybox@${digest}`)).rejects.toThrow(
      expect.objectContaining({
        code: 'NOT_FOUND',
        message: expect.stringContaining(`busybox@${digest} not found: manifest unknown`),
      }),
    );
  });
});

test.each([
  ['library/busybox:nope', /^manifest for .*\/library\/busybox:nope not found: manifest unknown: /],
  ['nobody/nothing', /^manifest for .*\/nobody\/nothing:latest not found/],
])('%s is not there: the error says so', async (name, message) => {
  await expect(world().pull(`${registry()}/${name}`)).rejects.toThrow(
    expect.objectContaining({
      code: 'NOT_FOUND',
      message: expect.stringMatching(message),
      hint: 'check the name and the tag',
    }),
  );
});
