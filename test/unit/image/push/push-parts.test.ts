/** The parts of a push that need no registry: scopes, manifests, what is known of layers, blobs that grow. */
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { scopesToAsk } from '../../../../src/image/auth.ts';
import type { StoredLayer } from '../../../../src/image/catalogue.ts';
import { type Digest, digestOf } from '../../../../src/image/digest.ts';
import type { PushEvent } from '../../../../src/image/events.ts';
import { LayerStore } from '../../../../src/image/layers.ts';
import { dockerManifest, ociManifest } from '../../../../src/image/media-types.ts';
import { ProgressView } from '../../../../src/image/progress.ts';
import { knownBlobs, rememberBlob } from '../../../../src/image/push/known-blobs.ts';
import { gzipLayerType, inDockerForm, manifestWith } from '../../../../src/image/push/manifest.ts';
import { Spool } from '../../../../src/image/push/spool.ts';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'tsrun-push-'));
});
afterEach(() => rmSync(directory, { recursive: true }));

test.each([
  // A pull asks for what the registry says.
  ['repository:a:pull', undefined, 'repository:a:pull'],
  ['repository:a:pull', 'repository:b:pull', 'repository:b:pull'],
  // A push for all that it will need.
  ['repository:a:pull,push', undefined, 'repository:a:pull,push'],
  ['repository:a:pull,push', 'repository:a:pull', 'repository:a:pull,push'],
  [
    'repository:a:pull,push repository:h:5000/b:pull',
    'repository:a:push repository:c:delete',
    'repository:a:pull,push repository:h:5000/b:pull repository:c:delete',
  ],
])('who wants %s and is asked for %s takes a token for %s', (wanted, challenged, scopes) => {
  expect(scopesToAsk(challenged, wanted)).toBe(scopes);
});

const digest = (text: string): Digest => digestOf(text);
const gzip = 'application/vnd.oci.image.layer.v1.tar+gzip';

describe('the manifest of a push', () => {
  const original = {
    schemaVersion: 2,
    mediaType: ociManifest,
    config: { mediaType: 'application/vnd.oci.image.config.v1+json', digest: digest('config'), size: 6 },
    layers: [
      { mediaType: gzip, digest: digest('one'), size: 3, annotations: { a: 'b' } },
      { mediaType: 'application/vnd.oci.image.layer.v1.tar+zstd', digest: digest('two'), size: 3 },
    ],
    annotations: { made: 'by somebody' },
  };
  const bytes = Buffer.from(JSON.stringify(original, undefined, 5));

  test('is the image’s own, byte for byte, where all layers are what it says', () => {
    expect(manifestWith(bytes, original.layers)).toEqual({ mediaType: ociManifest, bytes });
  });

  test('has other layers in their places, and all else stays', () => {
    const other = { mediaType: gzip, digest: digest('other'), size: 5 };
    const [first] = original.layers;
    const made = manifestWith(bytes, [original.layers[0] as never, other]);
    expect(made.mediaType).toBe(ociManifest);
    expect(JSON.parse(made.bytes.toString())).toEqual({ ...original, layers: [first, other] });
  });

  test('in Docker’s form, where that has words for it', () => {
    const all = [original.layers[0], { mediaType: gzip, digest: digest('three'), size: 3 }] as never;
    const docker = inDockerForm(manifestWith(bytes, all));
    expect(docker?.mediaType).toBe(dockerManifest);
    const { config, layers } = JSON.parse(docker?.bytes.toString() ?? '');
    expect(config).toEqual({
      mediaType: 'application/vnd.docker.container.image.v1+json',
      digest: digest('config'),
      size: 6,
    });
    expect(layers.map((layer: { digest: string }) => layer.digest)).toEqual([digest('one'), digest('three')]);
    expect(inDockerForm({ mediaType: ociManifest, bytes })).toBeUndefined();
    expect(docker && inDockerForm(docker)).toBeUndefined();
    expect([gzipLayerType(ociManifest), gzipLayerType(dockerManifest)]).toEqual([
      gzip,
      'application/vnd.docker.image.rootfs.diff.tar.gzip',
    ]);
  });
});

describe('what is known of a layer', () => {
  const diffId = digest('archive');
  const layer = (blob: string, mediaType = gzip): StoredLayer => ({
    digest: blob as Digest,
    mediaType,
    size: 7,
    diffId,
    chainId: diffId,
    bytes: 1,
  });
  let layers: LayerStore;
  function store(source: string): void {
    layers = new LayerStore(directory);
    mkdirSync(layers.base(diffId), { recursive: true });
    const record = { version: 1, chainId: diffId, diffId, bytes: 1, source };
    writeFileSync(join(layers.base(diffId), 'layer.json'), JSON.stringify(record));
  }

  test('first the blob that it was pulled as, with where that was', () => {
    store('docker.io/library/debian');
    expect(knownBlobs(layers, layer(digest('blob')))).toEqual([
      { digest: digest('blob'), mediaType: gzip, size: 7, repositories: ['docker.io/library/debian'] },
    ]);
  });

  test('then what it was pushed as, the last first; one that was made here has nothing else', () => {
    store('commit');
    const own = layer(diffId, 'application/vnd.oci.image.layer.v1.tar');
    expect(knownBlobs(layers, own)).toEqual([]);
    const blob = (text: string) => ({ digest: digest(text), mediaType: gzip, size: 1 });
    rememberBlob(layers, diffId, blob('a'), 'r/a');
    rememberBlob(layers, diffId, blob('b'), 'r/b');
    rememberBlob(layers, diffId, blob('a'), 'r/c');
    expect(knownBlobs(layers, own)).toEqual([
      { ...blob('a'), repositories: ['r/c', 'r/a'] },
      { ...blob('b'), repositories: ['r/b'] },
    ]);
    expect(readdirSync(layers.base(diffId)).sort()).toEqual(['layer.json', 'pushed.json']);
  });

  test('does not grow without end, and a damaged file is as good as none', () => {
    store('commit');
    for (let i = 0; i < 80; i++) {
      rememberBlob(layers, diffId, { digest: digest(`${i % 20}`), mediaType: gzip, size: 1 }, `r/${i}`);
    }
    const known = knownBlobs(layers, layer(diffId));
    expect(known).toHaveLength(8);
    expect(known[0]?.digest).toBe(digest('19'));
    const path = join(layers.base(diffId), 'pushed.json');
    expect(readFileSync(path, 'utf8').length).toBeLessThan(10_000);
    writeFileSync(path, '{"version": 1, "blobs": [{"digest": "nonsense"');
    expect(knownBlobs(layers, layer(diffId))).toEqual([]);
    rememberBlob(layers, diffId, { digest: digest('x'), mediaType: gzip, size: 1 }, 'r/x');
    expect(knownBlobs(layers, layer(diffId))).toHaveLength(1);
  });
});

describe('a blob that grows', () => {
  async function all(spool: Spool, offset: number): Promise<string> {
    const parts: Buffer[] = [];
    for await (const piece of spool.read(offset)) parts.push(piece);
    return Buffer.concat(parts).toString();
  }

  test('is read from anywhere, while it grows and afterwards', async () => {
    const spool = new Spool(directory);
    expect(readdirSync(directory)).toEqual([]);
    spool.append(Buffer.from('abc'));
    const [whole, rest] = [all(spool, 0), all(spool, 2)];
    await new Promise(setImmediate);
    spool.append(Buffer.from('def'));
    expect(spool.digest).toBeUndefined();
    spool.finish();
    expect([await whole, await rest, await all(spool, 4), await all(spool, 6)]).toEqual(['abcdef', 'cdef', 'ef', '']);
    expect([spool.size, spool.digest]).toEqual([6, digestOf('abcdef')]);
    spool.close();
  });

  test('that fails is no blob: its readers are told, and its writer', async () => {
    const spool = new Spool(directory);
    spool.append(Buffer.from('abc'));
    const reading = all(spool, 0);
    reading.catch(() => {});
    await new Promise(setImmediate);
    spool.fail(new Error('the layer is damaged'));
    await expect(reading).rejects.toThrow('the layer is damaged');
    expect(() => spool.append(Buffer.from('d'))).toThrow('the layer is damaged');
    spool.close();
  });
});

test('progress is docker’s, line by line', () => {
  const view = new ProgressView({ terminal: false, columns: 80, rows: 24 });
  const layer = { kind: 'layer', index: 0, id: '4ff3b67252f2' } as const;
  const events: PushEvent[] = [
    { kind: 'begin', repository: 'docker.io/library/debian' },
    { ...layer, status: 'Preparing' },
    { ...layer, status: 'Waiting' },
    { ...layer, status: 'Pushing', current: 5, total: 10 },
    { ...layer, status: 'Retrying', delay: 2 },
    { ...layer, status: 'Pushed' },
    { ...layer, index: 1, status: 'Mounted from library/debian' },
    { kind: 'pushed', tag: 'latest', digest: 'sha256:1234', size: 406 },
  ];
  expect(events.map((event) => view.show(event)?.text ?? '').join('')).toBe(
    'The push refers to repository [docker.io/library/debian]\n' +
      '4ff3b67252f2: Preparing\n4ff3b67252f2: Waiting\n4ff3b67252f2: Retrying in 2 seconds\n4ff3b67252f2: Pushed\n' +
      '4ff3b67252f2: Mounted from library/debian\nlatest: digest: sha256:1234 size: 406\n',
  );
});
