import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { announcePause } from '../../../src/container/list-cache.ts';
import { markMonitored } from '../../../src/container/locked-directory.ts';
import { bootId, processStartTime } from '../../../src/container/state.ts';
import { ContainerStore } from '../../../src/container/store.ts';
import { writeRecord } from '../../../src/container/write-record.ts';
import { containerRecord } from '../../fixtures/container-record.ts';

const count = 20;
let directory: string;
let store: ContainerStore;
let cache: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'list-cache.'));
  store = new ContainerStore(join(directory, 'root'), join(directory, 'state'));
  cache = join(store.root, 'cache/containers');
  mkdirSync(join(store.root, 'cache'), { recursive: true });
  for (let i = 0; i < count; i++) store.create(containerRecord(`c${i}`));
  // What has changed a moment ago is not kept.
  vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 60_000 });
});
afterEach(() => {
  vi.useRealTimers();
  rmSync(directory, { recursive: true });
});

const names = () => store.list().map(({ record }) => record.name);

test('what was listed once comes from the cache: the same containers', () => {
  const first = store.list();
  expect(existsSync(cache)).toBe(true);
  expect(store.list()).toEqual(first);
  // Told by a change that no command makes.
  writeFileSync(cache, readFileSync(cache, 'utf8').replace('"c7"', '"told by the cache"'));
  expect(names()).toContain('told by the cache');
});

test('a record that changed since is read', () => {
  const [first] = store.list();
  if (first === undefined) throw new Error('no container');
  store.update(first.record.id, (record) => ({ ...record, stopTimeout: 77 }));
  expect(store.list().find(({ record }) => record.id === first.record.id)?.record.stopTimeout).toBe(77);
  const failed = {
    pid: 0,
    startTime: '',
    bootId: '',
    monitorPid: 0,
    monitorStartTime: '',
    cgroup: '',
    network: { mode: '' },
  };
  writeRecord(join(first.directory, 'start.json'), { ...failed, error: 'no such file', errorCode: 127 });
  expect(store.list().find(({ record }) => record.id === first.record.id)?.state).toMatchObject({ exitCode: 127 });
});

test('one that runs comes from the cache as long as its process is there', async () => {
  const child = spawn('sleep', ['100'], { stdio: 'ignore' });
  const pid = child.pid ?? 0;
  try {
    const startTime = processStartTime(pid) ?? '';
    const [first] = store.list();
    if (first === undefined) throw new Error('no container');
    const monitor = { monitorPid: process.pid, monitorStartTime: processStartTime(process.pid) ?? '' };
    const start = { pid, startTime, bootId: bootId(), ...monitor, cgroup: '', network: { mode: 'none' } };
    writeRecord(join(first.directory, 'start.json'), start);
    rmSync(cache, { force: true });
    const listed = () => store.list().find(({ record }) => record.id === first.record.id);
    expect(listed()?.state).toMatchObject({ status: 'running', pid, unsupervised: false });
    writeFileSync(cache, readFileSync(cache, 'utf8').replace(`"${first.record.name}"`, '"told by the cache"'));
    expect(listed()).toMatchObject({ record: { name: 'told by the cache' }, state: { status: 'running', pid } });
    const ended = once(child, 'exit');
    child.kill('SIGKILL');
    await ended;
    // Its monitor, which this process stands for, has not said yet how it ended.
    expect(listed()?.state).toMatchObject({ status: 'running', unsupervised: false });
    writeRecord(join(first.directory, 'start.json'), { ...start, monitorPid: pid, monitorStartTime: startTime });
    expect(listed()?.state).toMatchObject({ status: 'exited', pid: 0, exitCode: 255 });
  } finally {
    child.kill('SIGKILL');
  }
});

test('while a monitor holds the lock nobody looks for it; what is about to be paused is read anew', () => {
  const [first] = store.list();
  if (first === undefined) throw new Error('no container');
  const { id } = first.record;
  const startTime = processStartTime(process.pid) ?? '';
  const monitor = { monitorPid: process.pid, monitorStartTime: startTime };
  const start = { pid: process.pid, startTime, bootId: bootId(), ...monitor, cgroup: '', network: { mode: 'none' } };
  writeRecord(join(first.directory, 'start.json'), start);
  const lock = store.lock(id, false);
  if (lock === undefined) throw new Error('no lock');
  markMonitored(lock);
  rmSync(cache, { force: true });
  store.list();
  // Only the cache knows of this monitor, which is not there.
  const inCache = readFileSync(cache, 'utf8');
  writeFileSync(cache, inCache.replace(`"monitorPid":${process.pid}`, `"monitorPid":${2 ** 22}`));
  const listed = () => store.list().find(({ record }) => record.id === id)?.state;
  expect(listed()).toMatchObject({ status: 'running', unsupervised: false });
  lock.release();
  expect(listed()).toMatchObject({ status: 'running', unsupervised: true });
  announcePause(first.directory);
  expect(listed()).toMatchObject({ status: 'running', unsupervised: false });
});

test('a container that is gone is not listed, and a new one is', () => {
  const [first] = store.list();
  if (first === undefined) throw new Error('no container');
  store.remove(first.record);
  store.create(containerRecord('new'));
  expect(names()).toHaveLength(count);
  expect(names()).toContain('new');
  expect(names()).not.toContain(first.record.name);
});

test.each([
  '',
  'no JSON',
  '{}',
  '{"format":3,"entries":[{}]}',
  '{"format":3,"entries":null}',
  '{"format":0,"entries":[]}',
])('a cache that does not read is none: %s', (text) => {
  writeFileSync(cache, text);
  expect(names()).toHaveLength(count);
  expect(JSON.parse(readFileSync(cache, 'utf8')).entries).toHaveLength(count);
});

test('what has just changed is not kept: it may change again within the same tick of the clock', () => {
  vi.useRealTimers();
  store.list();
  expect(existsSync(cache)).toBe(false);
});

test('a few containers have no cache', () => {
  for (const { record } of store.list().slice(5)) store.remove(record);
  rmSync(cache);
  expect(names()).toHaveLength(5);
  expect(existsSync(cache)).toBe(false);
});
