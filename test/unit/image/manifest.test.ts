import { describe, expect, test } from 'vitest';
import { chooseEntry, type Index, type Manifest, parseManifest } from '../../../src/image/manifest.ts';
import { formatPlatform, parsePlatform } from '../../../src/image/platform.ts';

const digest = (digit: string) => `sha256:${digit.repeat(64)}`;
const oci = 'application/vnd.oci.image';
const docker = 'application/vnd.docker';
const manifestType = `${oci}.manifest.v1+json`;
const indexType = `${oci}.index.v1+json`;

function parse(document: unknown, contentType = ''): Manifest | Index {
  const bytes = Buffer.from(typeof document === 'string' ? document : JSON.stringify(document));
  return parseManifest(bytes, contentType, { name: 'manifest of "x"', code: 'REGISTRY' });
}

const ociManifest = {
  schemaVersion: 2,
  config: { mediaType: `${oci}.config.v1+json`, digest: digest('c'), size: 10 },
  layers: [
    { mediaType: `${oci}.layer.v1.tar+gzip`, digest: digest('1'), size: 100 },
    { mediaType: `${oci}.layer.v1.tar+zstd`, digest: digest('2'), size: 200 },
  ],
};

const ociIndex = {
  schemaVersion: 2,
  mediaType: indexType,
  manifests: [
    { mediaType: manifestType, digest: digest('a'), size: 1, platform: { os: 'linux', architecture: 'amd64' } },
    {
      mediaType: manifestType,
      digest: digest('b'),
      size: 2,
      platform: { os: 'linux', architecture: 'arm64', variant: 'v8' },
    },
    {
      mediaType: manifestType,
      digest: digest('c'),
      size: 3,
      platform: { os: 'linux', architecture: 'arm', variant: 'v7' },
    },
    {
      mediaType: manifestType,
      digest: digest('d'),
      size: 4,
      platform: { os: 'linux', architecture: 'arm', variant: 'v5' },
    },
    {
      mediaType: manifestType,
      digest: digest('e'),
      size: 5,
      platform: { os: 'unknown', architecture: 'unknown' },
      annotations: { 'vnd.docker.reference.type': 'attestation-manifest' },
    },
  ],
};

describe('manifests', () => {
  test('an OCI manifest without a media type of its own', () => {
    const parsed = parse(ociManifest, manifestType);
    expect(parsed).toEqual({ kind: 'manifest', config: ociManifest.config, layers: ociManifest.layers });
  });

  test("docker's schema 2", () => {
    const parsed = parse({
      schemaVersion: 2,
      mediaType: `${docker}.distribution.manifest.v2+json`,
      config: { mediaType: `${docker}.container.image.v1+json`, digest: digest('c'), size: 10 },
      layers: [{ mediaType: `${docker}.image.rootfs.diff.tar.gzip`, digest: digest('1'), size: 100 }],
    });
    expect(parsed).toMatchObject({ kind: 'manifest', layers: [{ digest: digest('1'), size: 100 }] });
  });

  test('parameters and capitals of the content type say nothing', () => {
    expect(parse(ociManifest, 'Application/vnd.OCI.image.manifest.v1+JSON; charset=utf-8').kind).toBe('manifest');
    expect(parse(ociManifest, 'text/plain').kind).toBe('manifest');
    expect(parse({ ...ociIndex, mediaType: undefined }, 'application/json').kind).toBe('index');
  });

  test('an image without layers has none', () => {
    expect(parse({ ...ociManifest, layers: null })).toMatchObject({ layers: [] });
  });
});

describe('what is refused', () => {
  const layer = ociManifest.layers[0];
  const withLayer = (change: object) => ({ ...ociManifest, layers: [{ ...layer, ...change }] });
  test.each<[string, unknown, string, RegExp]>([
    ['no JSON', '{', '', /is not valid JSON/],
    ['empty', '', '', /is not valid JSON/],
    ['no object', [1], '', /must be an object/],
    ['null', 'null', '', /must be an object/],
    ['no version', {}, '', /schemaVersion must be a whole number/],
    ['version 3', { ...ociManifest, schemaVersion: 3 }, '', /schemaVersion must be 2/],
    ['version as text', { ...ociManifest, schemaVersion: '2' }, '', /schemaVersion must be a whole number/],
    ['both kinds', { ...ociManifest, manifests: [] }, '', /has the fields of both/],
    ['a manifest served as an index', ociManifest, indexType, /is served as an index but has the fields of a manifest/],
    [
      'an index served as a manifest',
      { ...ociIndex, mediaType: undefined },
      manifestType,
      /is served as a manifest but/,
    ],
    ['served as one, says the other', { ...ociManifest, mediaType: manifestType }, indexType, /was served as/],
    ['another type', { ...ociManifest, mediaType: 'text/html' }, '', /neither a manifest nor an index/],
    ['no config', { ...ociManifest, config: undefined }, manifestType, /config must be an object/],
    [
      'an artifact',
      { ...ociManifest, config: { ...ociManifest.config, mediaType: 'application/vnd.cncf.helm.config.v1+json' } },
      '',
      /artifact, not an image/,
    ],
    [
      'a huge config',
      { ...ociManifest, config: { ...ociManifest.config, size: 5e6 } },
      '',
      /config has more than 4194304 bytes/,
    ],
    ['layers as object', { ...ociManifest, layers: {} }, '', /layers must be an array/],
    ['digest with a path', withLayer({ digest: 'sha256:../../../etc/passwd' }), '', /layers\[0\]\.digest is no digest/],
    ['short digest', withLayer({ digest: 'sha256:abc' }), '', /invalid checksum digest length/],
    ['digest in capitals', withLayer({ digest: digest('A') }), '', /layers\[0\]\.digest is no digest/],
    ['unknown algorithm', withLayer({ digest: `md5:${'0'.repeat(32)}` }), '', /unsupported digest algorithm/],
    [
      'digest of a prototype',
      withLayer({ digest: `constructor:${'0'.repeat(64)}` }),
      '',
      /unsupported digest algorithm/,
    ],
    ['digest as number', withLayer({ digest: 5 }), '', /must be a string/],
    ['negative size', withLayer({ size: -1 }), '', /layers\[0\]\.size must be a whole number/],
    ['size of 2^53', withLayer({ size: 2 ** 53 }), '', /size must be a whole number/],
    ['fraction', withLayer({ size: 1.5 }), '', /size must be a whole number/],
    ['size as text', withLayer({ size: '1' }), '', /size must be a whole number/],
    ['encrypted', withLayer({ mediaType: `${oci}.layer.v1.tar+gzip+encrypted` }), '', /it is encrypted/],
    ['no layer', withLayer({ mediaType: 'text/plain' }), '', /no layer of a filesystem/],
    ['too many layers', { ...ociManifest, layers: Array(501).fill(layer) }, '', /layers has 501 items, more than 500/],
    ['too many platforms', { ...ociIndex, manifests: Array(1001).fill(ociIndex.manifests[0]) }, '', /more than 1000/],
    ['deeply nested', `${'['.repeat(100_000)}${']'.repeat(100_000)}`, '', /must be an object/],
  ])('%s', (_name, document, contentType, message) => {
    expect(() => parse(document, contentType)).toThrow(message);
    expect(() => parse(document, contentType)).toThrow(expect.objectContaining({ code: 'REGISTRY' }));
  });

  test('schema 1, however it is called', () => {
    const old = { schemaVersion: 1, name: 'x', fsLayers: [] };
    for (const type of ['', `${docker}.distribution.manifest.v1+prettyjws`, 'application/json']) {
      expect(() => parse(old, type)).toThrow(expect.objectContaining({ code: 'UNSUPPORTED' }));
    }
  });

  test('fields of a prototype are not fields', () => {
    expect(() => parse('{"__proto__": {"schemaVersion": 2}, "config": {}}')).toThrow(/schemaVersion must be/);
  });
});

describe('the choice of a platform', () => {
  const index = parse(ociIndex) as Index;
  const choose = (platform: string) => chooseEntry(index, parsePlatform(platform), 'debian:latest').digest;

  test('attestations are no images', () => {
    expect(index.entries.map((entry) => entry.platform && formatPlatform(entry.platform))).toEqual([
      'linux/amd64',
      'linux/arm64',
      'linux/arm/v7',
      'linux/arm/v5',
    ]);
  });

  test('the very platform, or the best that it runs', () => {
    expect(choose('linux/amd64')).toBe(digest('a'));
    expect(choose('linux/arm64')).toBe(digest('b'));
    expect(choose('linux/arm/v7')).toBe(digest('c'));
    expect(choose('linux/arm/v6')).toBe(digest('d'));
    expect(choose('linux/amd64/v3')).toBe(digest('a'));
  });

  test('the first of equals', () => {
    const twice = {
      ...ociIndex,
      manifests: [ociIndex.manifests[1], ociIndex.manifests[0], { ...ociIndex.manifests[0], digest: digest('9') }],
    };
    expect(chooseEntry(parse(twice) as Index, parsePlatform('amd64'), 'x').digest).toBe(digest('a'));
  });

  test('none: the error names those that there are', () => {
    expect(() => choose('linux/s390x')).toThrow(
      'no image for linux/s390x in "debian:latest": it has linux/amd64, linux/arm64, linux/arm/v7, linux/arm/v5',
    );
    const none = parse({ ...ociIndex, manifests: [] }) as Index;
    expect(() => chooseEntry(none, parsePlatform('amd64'), 'x')).toThrow('it holds no image at all');
  });

  test('the only entry may leave its platform to the config', () => {
    const only = parse({
      ...ociIndex,
      manifests: [{ mediaType: manifestType, digest: digest('a'), size: 1 }],
    }) as Index;
    expect(chooseEntry(only, parsePlatform('amd64'), 'x').digest).toBe(digest('a'));
  });
});
