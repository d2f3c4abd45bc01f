import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type Volume, VolumeStore } from '../../../../src/container/volumes/store.ts';

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'tsrun-volumes-'));
});
afterEach(() => rmSync(root, { recursive: true }));

type Look = () => Volume | undefined;

/** A store in which others do something before or after each look for a volume, in their order. */
class BusyStore extends VolumeStore {
  constructor(
    directory: string,
    private readonly looks: ((look: Look) => Volume | undefined)[],
  ) {
    super(directory);
  }

  override read(name: string): Volume | undefined {
    const look = (): Volume | undefined => super.read(name);
    const next = this.looks.shift();
    return next === undefined ? look() : next(look);
  }
}

/** Somebody makes the volume when the first look has not found it. */
function madeAfterwards(other: VolumeStore): (look: Look) => undefined {
  return (look) => {
    expect(look()).toBeUndefined();
    other.ensure({ name: 'vol', labels: { of: 'other' } });
  };
}

test('a volume that somebody makes and removes meanwhile is made all the same', () => {
  const other = new VolumeStore(root);
  const removedBefore = (look: Look): Volume | undefined => {
    other.remove('vol');
    return look();
  };
  const store = new BusyStore(root, [madeAfterwards(other), removedBefore]);
  expect(store.ensure({ name: 'vol' })).toMatchObject({ isNew: true, volume: { record: { labels: {} } } });
  expect(other.read('vol')).toMatchObject({ record: { name: 'vol', labels: {} } });
  expect(readdirSync(other.directory)).toEqual(['vol']);
});

test('a volume that somebody makes meanwhile is the one', () => {
  const other = new VolumeStore(root);
  const { volume, isNew } = new BusyStore(root, [madeAfterwards(other)]).ensure({ name: 'vol' });
  expect(isNew).toBe(false);
  expect(volume).toEqual(other.read('vol'));
  expect(volume.record.labels).toEqual({ of: 'other' });
  expect(readdirSync(other.directory)).toEqual(['vol']);
});

test('a directory without a record is told, and left as it is', () => {
  const store = new VolumeStore(root);
  mkdirSync(join(store.directory, 'vol'), { recursive: true });
  writeFileSync(join(store.directory, 'vol/file'), '');
  expect(() => store.ensure({ name: 'vol' })).toThrow('is there, and has no volume.json');
  expect(readdirSync(store.directory)).toEqual(['vol']);
  expect(readdirSync(join(store.directory, 'vol'))).toEqual(['file']);
});
