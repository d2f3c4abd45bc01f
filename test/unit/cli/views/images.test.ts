import { expect, test } from 'vitest';
import { omitted, toJson } from '../../../../src/cli/format/value.ts';
import { compileImageFilter, globPattern } from '../../../../src/cli/views/image-filter.ts';
import { imageDocument } from '../../../../src/cli/views/image-inspect.ts';
import { imageNames, imageRow } from '../../../../src/cli/views/image-row.ts';
import type { StoredImage } from '../../../../src/image/index.ts';
import { imageId } from './container.ts';

const digest = `sha256:${'d'.repeat(64)}`;
const now = new Date('2026-01-02T00:00:00Z');

function image(change: Partial<Pick<StoredImage, 'references' | 'repoDigests' | 'created'>> = {}): StoredImage {
  return {
    id: imageId as StoredImage['id'],
    manifestDigest: digest as StoredImage['manifestDigest'],
    references: ['docker.io/library/debian:12', 'docker.io/library/debian:latest'],
    repoDigests: [`docker.io/library/debian@${digest}`],
    platform: { os: 'linux', architecture: 'amd64', variant: '' },
    created: '2026-01-01T00:00:00Z',
    layers: [],
    size: 163_840_000,
    config: {
      platform: { os: 'linux', architecture: 'amd64', variant: '' },
      created: '2026-01-01T00:00:00Z',
      author: 'someone',
      execution: {
        user: '',
        env: ['PATH=/bin'],
        entrypoint: [],
        cmd: ['bash'],
        workingDir: '',
        labels: { a: '1' },
        exposedPorts: ['80/tcp'],
        volumes: [],
        stopSignal: '',
        shell: [],
        onBuild: [],
      },
      diffIds: ['sha256:aa' as StoredImage['id']],
      history: [],
    },
    ...change,
  };
}

const shown = (of: StoredImage, digests = false): string[] =>
  imageNames(of, digests).map(({ repository, tag, digest: d }) => `${repository} ${tag} ${d.slice(0, 9)}`);

test('an image has a line for each tag, and for each digest of a repository without tags', () => {
  expect(shown(image())).toEqual(['debian 12 <none>', 'debian latest <none>']);
  expect(shown(image(), true)).toEqual(['debian 12 sha256:dd', 'debian latest sha256:dd']);
  expect(shown(image({ references: [] }))).toEqual(['debian <none> sha256:dd']);
  expect(shown(image({ references: [], repoDigests: [] }))).toEqual(['<none> <none> <none>']);
  const elsewhere = image({ references: ['localhost:5000/x:1'], repoDigests: [`docker.io/library/debian@${digest}`] });
  expect(shown(elsewhere)).toEqual(['localhost:5000/x 1 <none>', 'debian <none> sha256:dd']);
});

test('the fields of a line', () => {
  const [name] = imageNames(image(), false);
  if (name === undefined) throw new Error('no names');
  expect(imageRow(image(), name, { truncate: true, now })).toMatchObject({
    Repository: 'debian',
    Tag: '12',
    ID: '412bdff557f0',
    CreatedSince: '24 hours ago',
    Size: '164MB',
    VirtualSize: '163.8MB',
    Containers: 'N/A',
  });
  expect(imageRow(image({ created: '' }), name, { truncate: false, now })).toMatchObject({
    ID: imageId,
    CreatedSince: 'N/A',
    CreatedAt: '',
  });
});

test.each<[string[], boolean]>([
  [['reference=debian'], true],
  [['reference=deb*'], true],
  [['reference=debian:12'], true],
  [['reference=debian:13'], false],
  [['reference=*:latest'], true],
  [['reference=*/*:latest'], false],
  [['reference=docker.io/library/debian'], true],
  [['reference=ubuntu', 'reference=debian'], true],
  [[`reference=debian@${digest}`], false],
  [['label=a'], true],
  [['label=a=2'], false],
  [['dangling=true'], false],
  [['dangling=false'], true],
  [['since=older'], true],
  [['before=older'], false],
  [['until=2026-06-01'], true],
])('%j', (texts, expected) => {
  const filter = compileImageFilter(texts, () => image({ created: '2025-01-01T00:00:00Z' }));
  expect(filter.matches(image()) && imageNames(image(), false).some(filter.matchesName)).toBe(expected);
});

test('filters that are none', () => {
  expect(() => compileImageFilter(['foo=1'], () => image())).toThrow("Invalid filter 'foo'");
  expect(() => compileImageFilter(['dangling=x'], () => image())).toThrow("Invalid filter 'dangling=[x]'");
});

test('patterns are those of path.Match', () => {
  expect(globPattern('a*c').test('abbc')).toBe(true);
  expect(globPattern('a*c').test('a/c')).toBe(false);
  expect(globPattern('[a-c]?').test('bx')).toBe(true);
  expect(globPattern('a.c').test('abc')).toBe(false);
  expect(globPattern('\\*').test('*')).toBe(true);
  expect(() => globPattern('[a')).toThrow('syntax error in pattern');
});

test('inspect has docker’s fields', () => {
  const document = JSON.parse(toJson(imageDocument(image(), (chainId) => `/layers/${chainId}`)));
  expect(imageDocument(image(), (chainId) => chainId)[omitted]).toEqual({ Variant: '', OsVersion: '' });
  expect(document).toMatchObject({
    Id: imageId,
    RepoTags: ['debian:12', 'debian:latest'],
    RepoDigests: [`debian@${digest}`],
    Created: '2026-01-01T00:00:00Z',
    Author: 'someone',
    Architecture: 'amd64',
    Os: 'linux',
    Size: 163_840_000,
    Config: { Cmd: ['bash'], Entrypoint: null, Env: ['PATH=/bin'], Labels: { a: '1' }, ExposedPorts: { '80/tcp': {} } },
    RootFS: { Type: 'layers', Layers: ['sha256:aa'] },
  });
});
