import { existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { ContainerStore, newId } from '../../../src/container/store.ts';
import { AT_FDCWD, O_DIRECTORY, O_RDONLY } from '../../../src/linux/constants.ts';
import { close, flock, openat } from '../../../src/linux/fs.ts';
import { containerRecord as record } from '../../fixtures/container-record.ts';

let directory: string;
let store: ContainerStore;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'store.'));
  store = new ContainerStore(join(directory, 'root'), join(directory, 'state'));
});
afterEach(() => rmSync(directory, { recursive: true }));

/** What a `create` leaves that was killed just before its last step. */
function killedBeforeItsEnd(name: string): { id: string; unfinished: string } {
  const { record: made, directory: complete } = store.create(record(name));
  const unfinished = join(store.root, 'containers', `.creating-${made.id}`);
  renameSync(complete, unfinished);
  return { id: made.id, unfinished };
}

test('the name of a create that was killed can be taken', () => {
  killedBeforeItsEnd('web');
  const made = store.create(record('web'));
  expect(store.resolve('web').record.id).toBe(made.record.id);
});

test('the name of a create that is under way cannot', () => {
  const { unfinished } = killedBeforeItsEnd('web');
  const fd = openat(AT_FDCWD, unfinished, O_RDONLY | O_DIRECTORY);
  try {
    flock(fd, 'exclusive', true);
    expect(() => store.create(record('web'))).toThrow(/name "\/web" is already in use/);
    store.sweepUnfinished();
    expect(existsSync(unfinished)).toBe(true);
  } finally {
    close(fd);
  }
});

test('a sweep takes away what killed commands left, and the name, but nobody else’s', () => {
  killedBeforeItsEnd('web');
  const { id } = killedBeforeItsEnd('db');
  const other = store.create(record('db'));
  mkdirSync(join(store.root, 'containers', `.removing-${id}`, 'upper'), { recursive: true });
  mkdirSync(join(store.root, 'containers', `.creating-${newId()}`));
  store.sweepUnfinished();
  expect(readdirSync(join(store.root, 'containers'))).toEqual([other.record.id]);
  expect(readdirSync(join(store.root, 'names'))).toEqual(['db']);
});

test('an update changes the record that is there, and not one that is gone', () => {
  const { record: made } = store.create(record('web'));
  store.update(made.id, (old) => ({ ...old, stopTimeout: 3 }));
  store.update(made.id, (old) => ({ ...old, stopTimeout: old.stopTimeout + 1 }));
  expect(store.read(made.id)?.record.stopTimeout).toBe(4);
  expect(() => store.update(newId(), (old) => old)).toThrow(/No such container/);
});

test('an update that throws leaves the record as it was', () => {
  const { record: made, directory: path } = store.create(record('web'));
  expect(() =>
    store.update(made.id, () => {
      throw new Error('refused');
    }),
  ).toThrow('refused');
  expect(store.read(made.id)?.record).toEqual(made);
  writeFileSync(join(path, 'container.json'), '{}');
  expect(() => store.update(made.id, (old) => old)).toThrow(/is damaged/);
});

test('a container that goes while it is renamed is not there, and neither of its names is', () => {
  const { record: made } = store.create(record('web'));
  const rename = (): unknown => store.rename(made.id, 'db', () => store.remove(made));
  expect(rename).toThrow(`No such container: ${made.id}`);
  expect(readdirSync(join(store.root, 'names'))).toEqual([]);
  expect(readdirSync(join(store.root, 'containers'))).toEqual([]);
});

test('a container that was renamed a moment ago takes its new name with it', () => {
  const { record: made } = store.create(record('web'));
  store.rename(made.id, 'db', () => {});
  store.remove(made);
  expect(readdirSync(join(store.root, 'names'))).toEqual([]);
});
