import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { removeContainer } from '../../../src/container/remove.ts';
import { ContainerStore } from '../../../src/container/store.ts';
import { containerRecord } from '../../fixtures/container-record.ts';

let directory: string;
let store: ContainerStore;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'remove.'));
  store = new ContainerStore(join(directory, 'root'), join(directory, 'state'));
});
afterEach(() => rmSync(directory, { recursive: true }));

const destroyed = (): string[] =>
  readFileSync(join(store.root, 'events.jsonl'), 'utf8')
    .split('\n')
    .filter((line) => line.includes('"Action":"destroy"'));

test('a container that was renamed after it was looked up leaves no name', async () => {
  const found = store.create(containerRecord('old'));
  store.rename(found.record.id, 'new', () => {});
  await removeContainer(store, found, false);
  expect(readdirSync(join(store.root, 'names'))).toEqual([]);
  expect(destroyed()).toHaveLength(1);
  expect(destroyed()[0]).toContain('"name":"new"');
});

test('a container that was run with --rm is destroyed once', async () => {
  await removeContainer(store, store.create(containerRecord('once', { remove: true })), false);
  expect(store.ids()).toEqual([]);
  expect(destroyed()).toHaveLength(1);
});
