/** The image store when several use it, when it is damaged, when its disk is full, and when its users are killed. */
import { execFileSync, spawn } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { build, stop as stopEsbuild } from 'esbuild';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { checkout } from '../../scripts/images/paths.ts';
import { digestHex } from '../../src/image/digest.ts';
import { parseReference } from '../../src/image/reference.ts';
import { ImageStore, type StoredImage } from '../../src/image/store.ts';
import { noise, quickTimeouts, World, writeImage } from './pull-world.ts';
import { Peer } from './registry-peer.ts';

const common = [{ path: 'common', data: noise(400_000, 3) }];
const images = {
  'library/one': [common, [{ path: 'one', data: noise(800_000, 4) }], [{ path: 'top', data: 'one\n' }]],
  'library/two': [common, [{ path: 'two', data: 'two\n' }]],
};
type Name = keyof typeof images;

let forFile: World;
let world: World;
const peers = new Map<Name, Peer>();
const unused = { usersOf: () => [], layerInUse: () => false };

beforeAll(async () => {
  forFile = new World();
  for (const [name, layers] of Object.entries(images)) {
    const layout = writeImage(join(forFile.directory, name), `${name}:latest`, layers);
    peers.set(name as Name, await new Peer(layout).start());
  }
});
afterAll(async () => {
  for (const peer of peers.values()) await peer.stop();
  forFile.remove();
});
beforeEach(() => {
  world = new World();
  for (const peer of peers.values()) {
    peer.requests.length = 0;
    peer.trick = () => false;
  }
});
afterEach(() => world.remove());

const peer = (name: Name) => peers.get(name) as Peer;
const address = (name: Name) => `${peer(name).address}/${name}`;
const pull = (name: Name) => world.pull(address(name));

function expectWhole(image: StoredImage, name: Name): void {
  const opened = world.store.openImage(image);
  const { paths } = opened;
  expect(paths).toHaveLength(images[name].length);
  for (const [index, entries] of images[name].entries()) {
    for (const { path, data } of entries) {
      expect(readFileSync(join(paths[index] ?? '', path)).equals(Buffer.from(data))).toBe(true);
    }
  }
  opened.close();
  expect(image.config.execution.labels).toEqual({ made: 'for a test' });
}

const temporaries = () => readdirSync(world.path('layers')).filter((name) => name.startsWith('.tmp'));
const layerNames = () => readdirSync(world.path('layers')).filter((name) => !name.startsWith('.'));

describe('removing', () => {
  test('takes what no other image has', async () => {
    const one = await pull('library/one');
    const two = await pull('library/two');
    expect(one.layers[0]?.chainId).toBe(two.layers[0]?.chainId);
    const removed = world.store.remove(address('library/one'), unused);
    expect(removed).toEqual([
      { untagged: `${address('library/one')}:latest` },
      { untagged: `${address('library/one')}@${one.manifestDigest}` },
      { deleted: one.id },
      { deleted: one.layers[2]?.chainId },
      { deleted: one.layers[1]?.chainId },
    ]);
    expect(layerNames().sort()).toEqual(two.layers.map(({ chainId }) => digestHex(chainId)).sort());
    expectWhole(world.store.require(two.id), 'library/two');
    world.store.remove(two.id, unused);
    expect(layerNames()).toEqual([]);
    expect(readdirSync(world.path('blobs/sha256'))).toEqual([]);
  });

  test('leaves layers that a container stands on, until it is gone', async () => {
    const one = await pull('library/one');
    const layerInUse = (chainId: string) => chainId === one.layers[0]?.chainId;
    world.store.remove(one.id, { ...unused, force: true, layerInUse });
    expect(layerNames()).toEqual([digestHex(one.layers[0]?.chainId ?? '')]);
    expect(world.store.list()).toEqual([]);
    world.store.collectGarbage(layerInUse);
    expect(layerNames()).toHaveLength(1);
    world.store.collectGarbage(() => false);
    expect(layerNames()).toEqual([]);
  });

  test('leaves all layers while someone counts on them, and the next removal takes them', async () => {
    const one = await pull('library/one');
    const held = world.store.hold();
    world.store.remove(one.id, unused);
    expect(layerNames()).toHaveLength(3);
    held.release();
    world.store.collectGarbage(() => false);
    expect(layerNames()).toEqual([]);
  });

  test('layers that were to be deleted and are pulled again stay', async () => {
    const one = await pull('library/one');
    const held = world.store.hold();
    world.store.remove(one.id, unused);
    const again = await pull('library/one');
    held.release();
    world.store.collectGarbage(() => false);
    expectWhole(again, 'library/one');
  });

  test('a tag is another name', async () => {
    const two = await pull('library/two');
    world.store.tag(address('library/two'), parseReference('mine:1'));
    expect(world.store.require('mine:1').id).toBe(two.id);
    expect(world.store.require(two.id).references).toEqual([
      `${address('library/two')}:latest`,
      'docker.io/library/mine:1',
    ]);
    expect(world.store.remove('mine:1', unused)).toEqual([{ untagged: 'mine:1' }]);
    expect(() => world.store.tag('nothing', parseReference('x'))).toThrow('No such image: nothing:latest');
    expect(() => world.store.tag(two.id, parseReference(`x@${two.id}`))).toThrow(
      'refusing to create a tag with a digest reference',
    );
  });
});

test('pulling what is there already asks only whether the name still means the same', async () => {
  await pull('library/two');
  peer('library/two').requests.length = 0;
  expect((await pull('library/two')).changed).toBe(false);
  expect(peer('library/two').log()).toEqual(['HEAD /v2/library/two/manifests/latest']);
});

describe('two pulls at once', () => {
  test('of one image fetch each layer once', async () => {
    const [first, second] = await Promise.all([pull('library/one'), pull('library/one')]);
    expect(first.id).toBe(second.id);
    expectWhole(first, 'library/one');
    const { layers } = first;
    for (const { digest } of layers) expect(peer('library/one').log(`/blobs/${digest}`)).toHaveLength(1);
    expect(world.layerEvents().filter((line) => line.endsWith('Pull complete'))).toHaveLength(3);
    expect(world.layerEvents().filter((line) => line.endsWith('Already exists'))).toHaveLength(3);
    expect(temporaries()).toEqual([]);
  });

  test('of images with a common layer fetch that once', async () => {
    const [one, two] = await Promise.all([pull('library/one'), pull('library/two')]);
    expectWhole(one, 'library/one');
    expectWhole(two, 'library/two');
    const digest = one.layers[0]?.digest ?? '';
    expect([...peer('library/one').log(digest), ...peer('library/two').log(digest)]).toHaveLength(1);
    expect(world.store.list()).toHaveLength(2);
  });

  test('where the one that was first fails, the other goes on', async () => {
    const stop = new AbortController();
    let first = true;
    const digest = peer('library/one').layers('library/one:latest')[1]?.digest ?? '';
    peer('library/one').trick = ({ path, response }) => {
      if (!path.endsWith(digest) || !first) return false;
      first = false;
      response.writeHead(200);
      setTimeout(() => stop.abort(), 200);
      return true;
    };
    const timeouts = { ...quickTimeouts, idle: 30_000 };
    const failing = world.pull(address('library/one'), { signal: stop.signal, timeouts });
    const waiting = world.pull(address('library/one'), { timeouts });
    await expect(failing).rejects.toThrow('interrupted');
    expectWhole(await waiting, 'library/one');
  });
});

describe('damage is named, and repaired by a pull', () => {
  const corrupt = (message: RegExp | string, hint?: RegExp) =>
    expect.objectContaining({
      code: 'CORRUPT',
      message: expect.stringMatching(message),
      ...(hint === undefined ? {} : { hint: expect.stringMatching(hint) }),
    });

  test.each<[string, (path: string) => void]>([
    ['empty', (path) => truncateSync(path)],
    ['zeros', (path) => writeFileSync(path, Buffer.alloc(500))],
    ['half', (path) => truncateSync(path, 300)],
    ['something else', (path) => writeFileSync(path, '[]')],
    [
      'a directory',
      (path) => {
        rmSync(path);
        mkdirSync(path);
      },
    ],
  ])('images.json is %s', async (_kind, damage) => {
    await pull('library/one');
    const path = world.path('images.json');
    damage(path);
    for (const use of [
      () => world.store.list(),
      () => world.store.resolve('x'),
      () => world.store.remove('x', unused),
    ]) {
      expect(use).toThrow(corrupt(`${path}: `, /pull any image/));
    }
    peer('library/one').requests.length = 0;
    const image = await pull('library/one');
    expectWhole(image, 'library/one');
    expect(world.warnings()).toEqual([
      expect.stringMatching(/images\.json could not be read; it is now ".*images\.json\.damaged-/),
    ]);
    // layers are not fetched again
    expect(peer('library/one').log('/blobs/')).toEqual([]);
  });

  test.each<[string, (path: string) => void]>([
    ['gone', (path) => rmSync(path)],
    ['empty', (path) => truncateSync(path)],
    ['changed', (path) => writeFileSync(path, readFileSync(path, 'utf8').replace('hello', 'hullo'))],
  ])('the config is %s', async (_name, damage) => {
    const { id } = await pull('library/one');
    const path = world.path('blobs/sha256', digestHex(id));
    damage(path);
    expect(() => world.store.require(id).config).toThrow(corrupt(path, /pull it again: tsrun pull 127/));
    // what does not need it goes on
    expect(world.store.list()[0]?.size).toBeGreaterThan(0);
    expectWhole(await pull('library/one'), 'library/one');
  });

  test('the manifest is changed', async () => {
    const { manifestDigest } = await pull('library/one');
    writeFileSync(world.path('blobs/sha256', digestHex(manifestDigest)), '{}');
    expectWhole(await pull('library/one'), 'library/one');
  });

  test.each<[string, (layer: string) => void]>([
    ['is gone', (layer) => rmSync(layer, { recursive: true })],
    [
      'has lost its tree',
      (layer) => {
        const tree = ['fs', 'tree.erofs'].find((name) => existsSync(join(layer, name))) ?? '';
        renameSync(join(layer, tree), join(layer, 'elsewhere'));
      },
    ],
    ['has lost its record', (layer) => rmSync(join(layer, 'layer.json'))],
    ['has a record of garbage', (layer) => writeFileSync(join(layer, 'layer.json'), 'x')],
    [
      'has the record of another',
      (layer) =>
        writeFileSync(join(layer, 'layer.json'), '{"version": 1, "chainId": "sha256:1", "bytes": 1, "diffId": ""}'),
    ],
  ])('a layer %s', async (name, damage) => {
    const { id, layers } = await pull('library/one');
    const layer = world.path('layers', digestHex(layers[1]?.chainId ?? ''));
    damage(layer);
    if (name === 'is gone' || name === 'has lost its tree') {
      expect(() => world.store.openImage(world.store.require(id))).toThrow(
        corrupt(`layer "${layer}" is missing or incomplete`, /pull it again/),
      );
    }
    peer('library/one').requests.length = 0;
    const image = await pull('library/one');
    expect(image.changed).toBe(true);
    expectWhole(image, 'library/one');
    expect(peer('library/one').log('/blobs/')).toHaveLength(1);
    expect(temporaries()).toEqual([]);
  });
});

test('a store that is not there is an empty one, until it is written to', () => {
  expect(world.store.list()).toEqual([]);
  expect(world.store.resolve('x')).toBeUndefined();
  expect(existsSync(world.root)).toBe(false);
});

test('temporaries of dead processes are swept by the next pull, those of living ones are not', async () => {
  const dead = world.path('layers', `.tmp-1-${'d'.repeat(64)}`);
  mkdirSync(join(dead, 'fs/a/b'), { recursive: true });
  writeFileSync(join(dead, 'fs/a/b/c'), 'x');
  symlinkSync('/etc', join(dead, 'fs/a/link'));
  const living = await world.store.layers.lock(`sha256:${'e'.repeat(64)}` as never, {});
  const kept = world.path('layers', `.tmp-1-${'e'.repeat(64)}`);
  mkdirSync(kept);
  const foreign = world.path('layers', '.something');
  mkdirSync(foreign);
  try {
    await pull('library/two');
    expect([dead, kept, foreign].map((path) => existsSync(path))).toEqual([false, true, true]);
    expect(existsSync('/etc/passwd')).toBe(true);
  } finally {
    living.release();
  }
});

test('a full disk ends the pull, with nothing half left', async () => {
  mkdirSync(world.root);
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=600k', 'tsrun-test', world.root]);
  try {
    const failing = pull('library/one');
    await expect(failing).rejects.toThrow(
      expect.objectContaining({ code: 'NO_SPACE', hint: expect.stringContaining('TSRUN_ROOT') }),
    );
    expect(world.store.list()).toEqual([]);
    expect(temporaries()).toEqual([]);
    // what fits still does
    expectWhole(await pull('library/two'), 'library/two');
  } finally {
    execFileSync('umount', [world.root]);
  }
});

describe('kill -9', () => {
  const program = join(checkout, 'dist', `.pull-child.${process.pid}.cjs`);
  beforeAll(async () => {
    await build({
      entryPoints: [join(checkout, 'test/fixtures/pull-child.ts')],
      outfile: program,
      bundle: true,
      platform: 'node',
      format: 'cjs',
      target: 'node20',
      external: ['koffi'],
      define: { 'import.meta.dirname': '__dirname' },
      logLevel: 'warning',
    });
    await stopEsbuild();
  });
  afterAll(() => rmSync(program, { force: true }));

  /** Runs the child until it has said `word`, and kills it so many milliseconds later; returns what it said. */
  async function killed(name: Name, word: string, milliseconds: number): Promise<string> {
    const child = spawn(process.execPath, [program, world.root, address(name), '1000'], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let output = '';
    let timer: NodeJS.Timeout | undefined;
    const hear = (chunk: Buffer): void => {
      output += chunk;
      if (timer === undefined && output.includes(word)) timer = setTimeout(() => child.kill('SIGKILL'), milliseconds);
    };
    child.stdout.on('data', hear);
    child.stderr.on('data', hear);
    await new Promise((resolve) => child.once('close', resolve));
    clearTimeout(timer);
    return output;
  }

  /** Whatever happened, the store reads, and what it lists is whole. */
  function expectSound(name: Name): void {
    const store = new ImageStore(world.root);
    for (const image of store.list()) expectWhole(image, name);
  }

  test('in the middle of a layer leaves the complete ones, and nothing of the other after the next pull', async () => {
    const [, big] = peer('library/one').layers('library/one:latest');
    peer('library/one').trick = ({ path, response }) => {
      if (!path.endsWith(big?.digest ?? '') || peer('library/one').log(big?.digest).length > 1) return false;
      response.writeHead(200);
      response.write(
        peer('library/one')
          .blob(big?.digest ?? '')
          .subarray(0, 300_000),
      );
      return true;
    };
    await killed('library/one', 'Pull complete', 0);
    expectSound('library/one');
    expect(world.store.list()).toEqual([]);
    expect(temporaries().length).toBeGreaterThan(0);
    peer('library/one').requests.length = 0;
    expectWhole(await pull('library/one'), 'library/one');
    expect(world.layerEvents()[0]).toMatch(/Already exists$/);
    expect(temporaries()).toEqual([]);
  });

  test('at any moment of pulls and removals leaves a store that reads', async () => {
    for (let round = 0; round < 12; round++) {
      // in the middle of a pull, or of the removal and the pull that follow
      const output = await killed('library/one', round % 2 === 0 ? 'Pulling' : 'sha256:', round * 12);
      expect(output).not.toMatch(/Error/);
      expectSound('library/one');
    }
    expectWhole(await pull('library/one'), 'library/one');
    expect(temporaries()).toEqual([]);
    const image = world.store.require(address('library/one'));
    world.store.remove(image.id, unused);
    expect(layerNames()).toEqual([]);
  });
});
