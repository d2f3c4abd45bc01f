import { beforeEach, describe, expect, test } from 'vitest';
import { type Catalogue, formatCatalogue, type ImageEntry, parseCatalogue } from '../../../src/image/catalogue.ts';
import type { Digest } from '../../../src/image/digest.ts';
import { findImage } from '../../../src/image/lookup.ts';
import { type RemovalRequest, removeFromCatalogue } from '../../../src/image/removal.ts';

const digest = (text: string) => `sha256:${text.padEnd(64, '0')}` as Digest;
const busybox = digest('412bdff557f0');
const debian = digest('41da03bb3303');
const manifest = digest('09381f');
const container = { id: '95b33ccf958caacce683f540049dfad15b8e8601956023b606e59fc95633f6a0', running: false };

function entry(...layers: string[]): ImageEntry {
  return {
    manifest,
    documents: [manifest],
    created: '2024-01-01T00:00:00Z',
    platform: { os: 'linux', architecture: 'amd64', variant: '' },
    bytes: 2 * layers.length,
    layers: layers.map((name) => ({
      digest: digest(`b${name}`),
      mediaType: 'application/vnd.oci.image.layer.v1.tar',
      size: 1,
      diffId: digest(`d${name}`),
      chainId: digest(`c${name}`),
      bytes: 2,
    })),
  };
}

let catalogue: Catalogue;

beforeEach(() => {
  catalogue = { references: new Map(), images: new Map(), removing: new Set() };
});

function add(id: Digest, image: ImageEntry, ...names: string[]): void {
  catalogue.images.set(id, image);
  for (const name of names) catalogue.references.set(name, id);
}

/** rmi as the command calls it, with its output as lines. */
function rmi(typed: string, options: Partial<RemovalRequest> = {}): string[] {
  const found = findImage(catalogue, typed);
  if (found === undefined) return ['No such image'];
  const request = { ...found, typed, force: false, users: [], ...options };
  return removeFromCatalogue(catalogue, request).map((removal) =>
    'untagged' in removal ? `Untagged: ${removal.untagged}` : `Deleted: ${removal.deleted}`,
  );
}

const latest = 'docker.io/library/busybox:latest';
const byDigest = `docker.io/library/busybox@${manifest}`;

describe('as docker does it', () => {
  test('the last name takes the image with it, its digest before, its layers from the top', () => {
    add(busybox, entry('1', '2'), latest, byDigest);
    expect(rmi('busybox')).toEqual([
      'Untagged: busybox:latest',
      `Untagged: busybox@${manifest}`,
      `Deleted: ${busybox}`,
      `Deleted: ${digest('c2')}`,
      `Deleted: ${digest('c1')}`,
    ]);
    expect(catalogue.images.size).toBe(0);
    expect(catalogue.references.size).toBe(0);
    expect([...catalogue.removing]).toEqual([digest('c2'), digest('c1')]);
  });

  test('layers that another image has stay', () => {
    add(busybox, entry('1', '2'), latest);
    add(debian, entry('1', '3'), 'docker.io/library/debian:latest');
    expect(rmi('busybox')).toEqual(['Untagged: busybox:latest', `Deleted: ${busybox}`, `Deleted: ${digest('c2')}`]);
  });

  test('one of several names is only untagged', () => {
    add(busybox, entry('1'), latest, byDigest, 'docker.io/foo/bar:1');
    expect(rmi('foo/bar:1')).toEqual(['Untagged: foo/bar:1']);
    expect(catalogue.images.has(busybox)).toBe(true);
    expect([...catalogue.references.keys()]).toEqual([latest, byDigest]);
  });

  test("a repository's last tag takes its digests along, and a foreign tag keeps the image", () => {
    add(busybox, entry('1'), latest, byDigest, 'docker.io/foo/baz:1');
    expect(rmi('busybox')).toEqual(['Untagged: busybox:latest', `Untagged: busybox@${manifest}`]);
    expect(catalogue.images.has(busybox)).toBe(true);
  });

  test('by digest: the tag stays', () => {
    add(busybox, entry('1'), latest, byDigest);
    expect(rmi(`busybox@${manifest}`)).toEqual([`Untagged: busybox@${manifest}`]);
    expect(rmi('busybox')).toContain(`Deleted: ${busybox}`);
  });

  test('an image that only has a digest', () => {
    add(busybox, entry('1'), byDigest);
    expect(rmi('busybox')).toEqual(['No such image']);
    expect(rmi('412bdff557f0')).toEqual([
      `Untagged: busybox@${manifest}`,
      `Deleted: ${busybox}`,
      `Deleted: ${digest('c1')}`,
    ]);
  });

  test('by id with several names: only by force, then all of them', () => {
    add(busybox, entry('1'), latest, byDigest, 'docker.io/foo/x:1', 'docker.io/foo/x:2');
    expect(() => rmi('412bdff557f0')).toThrow(
      'conflict: unable to delete 412bdff557f0 (must be forced) - image is referenced in multiple repositories',
    );
    expect(catalogue.references.size).toBe(4);
    expect(rmi('412bdff557f0', { force: true })).toEqual([
      'Untagged: busybox:latest',
      'Untagged: foo/x:1',
      'Untagged: foo/x:2',
      `Untagged: busybox@${manifest}`,
      `Deleted: ${busybox}`,
      `Deleted: ${digest('c1')}`,
    ]);
  });

  test('an image without a name goes by id', () => {
    add(busybox, entry('1'));
    expect(rmi(busybox)).toEqual([`Deleted: ${busybox}`, `Deleted: ${digest('c1')}`]);
  });
});

describe('while a container uses the image', () => {
  const running = { ...container, running: true };

  test('its only name stays', () => {
    add(busybox, entry('1'), latest, byDigest);
    expect(() => rmi('busybox', { users: [container] })).toThrow(
      expect.objectContaining({
        code: 'CONFLICT',
        message:
          'conflict: unable to remove repository reference "busybox" (must force) - ' +
          'container 95b33ccf958c is using its referenced image 412bdff557f0',
      }),
    );
    expect(catalogue.references.size).toBe(2);
  });

  test('one of several names goes', () => {
    add(busybox, entry('1'), latest, 'docker.io/foo/baz:1');
    expect(rmi('busybox', { users: [container] })).toEqual(['Untagged: busybox:latest']);
    expect(() => rmi('foo/baz:1', { users: [container] })).toThrow(
      /unable to remove repository reference "foo\/baz:1"/,
    );
  });

  test('by id', () => {
    add(busybox, entry('1'), latest);
    expect(() => rmi('412b', { users: [container] })).toThrow(
      'conflict: unable to delete 412bdff557f0 (must be forced) - image is being used by stopped container 95b33ccf958c',
    );
    expect(() => rmi('412b', { users: [running], force: true })).toThrow(
      'conflict: unable to delete 412bdff557f0 (cannot be forced) - image is being used by running container 95b33ccf958c',
    );
  });

  test('by force: a stopped one lets it go, a running one only its name', () => {
    add(busybox, entry('1'), latest);
    expect(rmi('busybox', { users: [running], force: true })).toEqual(['Untagged: busybox:latest']);
    expect(catalogue.images.has(busybox)).toBe(true);
    expect(rmi('412b', { users: [container], force: true })).toEqual([
      `Deleted: ${busybox}`,
      `Deleted: ${digest('c1')}`,
    ]);
  });
});

describe('what a word on the command line means', () => {
  beforeEach(() => {
    add(busybox, entry('1'), latest, byDigest, 'docker.io/library/41:latest');
    add(debian, entry('2'), 'docker.io/library/debian:12');
  });

  test.each([
    ['busybox', busybox],
    ['busybox:latest', busybox],
    ['docker.io/library/busybox', busybox],
    [`busybox@${manifest}`, busybox],
    [`busybox:whatever@${manifest}`, busybox],
    [busybox, busybox],
    [busybox.slice(7), busybox],
    ['412bdff557f0', busybox],
    ['412', busybox],
    ['sha256:412', busybox],
    ['41d', debian],
    ['debian:12', debian],
    // a name comes before the beginning of an id
    ['41', busybox],
  ])('%s', (text, id) => {
    expect(findImage(catalogue, text)?.id).toBe(id);
  });

  test.each(['debian', 'nope', '5', digest('ff'), `debian@${manifest}`])('%s is nothing', (text) => {
    expect(findImage(catalogue, text)).toBeUndefined();
  });

  test('the beginning of several ids is ambiguous', () => {
    expect(() => findImage(catalogue, '4')).toThrow('multiple IDs found with provided prefix: 4');
    expect(() => findImage(catalogue, 'sha256:41')).toThrow(expect.objectContaining({ code: 'CONFLICT' }));
  });

  test('what can be neither is refused', () => {
    expect(() => findImage(catalogue, 'FOO')).toThrow(/must be lowercase/);
  });
});

describe('images.json', () => {
  test('reads as it was written', () => {
    add(busybox, entry('1', '2'), latest, byDigest);
    catalogue.removing.add(digest('c9'));
    expect(parseCatalogue(formatCatalogue(catalogue), '/x/images.json')).toEqual(catalogue);
  });

  test.each<[string, string | ((content: Record<string, unknown>) => unknown), RegExp]>([
    ['empty', '', /is not valid JSON/],
    ['zeros, as after a power cut', '\0'.repeat(100), /is not valid JSON/],
    ['cut off', '{"version": 1, "ima', /is not valid JSON/],
    ['another version', (content) => ({ ...content, version: 2 }), /version is not 1/],
    ['a list', () => [], /must be an object/],
    [
      'a name of nothing',
      (content) => ({ ...content, references: { 'docker.io/library/x:1': digest('f') } }),
      /names an image that is not there/,
    ],
    [
      'a name that is none',
      (content) => ({ ...content, references: { '../../etc': busybox } }),
      /is not the full name of an image/,
    ],
    ['a short name', (content) => ({ ...content, references: { busybox } }), /is not the full name of an image/],
    ['a path as chain id', (content) => ({ ...content, removing: ['sha256:../..'] }), /removing\[0\] is no digest/],
    ['an image of a strange id', (content) => ({ ...content, images: { x: entry('1') } }), /has no digest as its name/],
    [
      'an image without layers',
      (content) => ({ ...content, references: {}, images: { [busybox]: { manifest } } }),
      /must be a string|must be an object/,
    ],
  ])('%s is damage, and the file is named', (_name, change, message) => {
    add(busybox, entry('1'), latest);
    const content = JSON.parse(formatCatalogue(catalogue)) as Record<string, unknown>;
    const text = typeof change === 'string' ? change : JSON.stringify(change(content));
    expect(() => parseCatalogue(text, '/x/images.json')).toThrow(message);
    expect(() => parseCatalogue(text, '/x/images.json')).toThrow(
      expect.objectContaining({ code: 'CORRUPT', message: expect.stringContaining('/x/images.json: ') }),
    );
  });
});
