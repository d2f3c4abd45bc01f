import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { announcePause } from '../../../src/container/list-cache.ts';
import { openMark } from '../../../src/container/monitored.ts';
import { bootId } from '../../../src/container/state.ts';
import { ContainerStore } from '../../../src/container/store.ts';
import { writeRecord } from '../../../src/container/write-record.ts';
import { isSettled } from '../../../src/linux/change-times.ts';
import { close } from '../../../src/linux/fs.ts';
import { processStartTime } from '../../../src/linux/process.ts';
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

/** Changes the cache as no command does, so that it can be told from the records. It says where it is how long. */
function alter(from: string, to: string): void {
  const text = readFileSync(cache, 'utf8');
  if (from.length !== to.length || !text.includes(from)) throw new Error(`cannot alter ${from}`);
  writeFileSync(cache, text.replace(from, to));
}

test('what was listed once comes from the cache: the same containers', () => {
  const first = store.list();
  expect(existsSync(cache)).toBe(true);
  expect(store.list()).toEqual(first);
  alter('"c7"', '"k7"');
  expect(names()).toContain('k7');
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
    const kept = first.record.name.replace('c', 'k');
    alter(`"${first.record.name}"`, `"${kept}"`);
    expect(listed()).toMatchObject({ record: { name: kept }, state: { status: 'running', pid } });
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

/** The first container runs, with this process as its monitor. */
function runFirst(): { id: string; directory: string } {
  const [first] = store.list();
  if (first === undefined) throw new Error('no container');
  const startTime = processStartTime(process.pid) ?? '';
  const monitor = { monitorPid: process.pid, monitorStartTime: startTime };
  const start = { pid: process.pid, startTime, bootId: bootId(), ...monitor, cgroup: '', network: { mode: 'none' } };
  writeRecord(join(first.directory, 'start.json'), start);
  rmSync(cache, { force: true });
  return first;
}

test('while a monitor has its mark nobody looks for it; what is about to be paused is read anew', () => {
  const { id, directory } = runFirst();
  mkdirSync(store.state, { recursive: true });
  const mark = openMark(store.state, id);
  store.list();
  // Only the cache knows of this monitor, which is not there.
  const pid = String(process.pid);
  alter(`"monitorPid":${pid}`, `"monitorPid":${'-1'.padEnd(pid.length)}`);
  const listed = () => store.list().find(({ record }) => record.id === id)?.state;
  expect(listed()).toMatchObject({ status: 'running', unsupervised: false });
  close(mark);
  expect(listed()).toMatchObject({ status: 'running', unsupervised: true });
  const done = announcePause(directory);
  expect(listed()).toMatchObject({ status: 'running', unsupervised: false });
  // Nobody keeps what is announced, however long ago.
  rmSync(cache);
  store.list();
  expect(readFileSync(cache, 'utf8')).not.toContain(id);
  done();
  rmSync(cache);
  store.list();
  expect(readFileSync(cache, 'utf8')).toContain(id);
});

test('cells are made once, as long as the container, its state and their key stay the same', () => {
  const { id, directory } = runFirst();
  mkdirSync(store.state, { recursive: true });
  const mark = openMark(store.state, id);
  let made = 0;
  const list = (key: string | undefined) => {
    const cellsOf = (): string[] => [`made ${++made}`];
    return store.list(undefined, undefined, { key, cellsOf }).map(({ cells }) => cells?.length ?? 0);
  };
  const none = Array.from({ length: count }, () => 0);
  const all = none.map(() => 1);
  // What may be called something else in a moment is not kept.
  expect(list(undefined)).toEqual(none);
  expect(list(undefined)).toEqual(none);
  expect(made).toBe(0);
  // The first one with a key makes them, and lists without cells keep them.
  expect(list('a')).toEqual(none);
  expect(made).toBe(count);
  store.list();
  expect(list('a')).toEqual(all);
  expect(made).toBe(count);
  expect(list('b')).toEqual(none);
  expect(made).toBe(2 * count);
  expect(list('b')).toEqual(all);
  // Its monitor was killed.
  close(mark);
  expect(store.list(undefined, undefined, { key: 'b', cellsOf: () => [] }).find((each) => each.id === id)?.cells).toBe(
    undefined,
  );
  writeRecord(join(directory, 'health.json'), { Status: 'healthy', FailingStreak: 0, Log: [] });
  expect(list('b').reduce((sum, length) => sum + length)).toBe(count - 1);
});

test('a line of the cache that does not read is replaced by the records', () => {
  store.list();
  alter('{"record":{"id":', '{"record":{!id":');
  expect(names().toSorted()).toEqual(Array.from({ length: count }, (_, i) => `c${i}`).toSorted());
  expect(existsSync(cache)).toBe(false);
  store.list();
  expect(existsSync(cache)).toBe(true);
});

test('times of change are trusted when the clock of files has ticked since', () => {
  expect(isSettled(5000.25, 5050)).toBe(false);
  expect(isSettled(5000.25, 5101)).toBe(true);
  // A filesystem that keeps seconds only.
  expect(isSettled(5000, 6999)).toBe(false);
  expect(isSettled(5000, 7000)).toBe(true);
  expect(isSettled(9000.5, 5000)).toBe(false);
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
  '{"format":4}',
  '{"format":4,"rows":[{}],"lengths":[3]}\n{}',
  '{"format":4,"rows":[{},{}],"lengths":[2]}\n{}\n',
  `{"format":4,"rows":[${'{},'.repeat(19)}{}],"lengths":[${'2,'.repeat(19)}2]}\n${'{}\n'.repeat(20)}`,
  '{"format":0,"rows":[],"lengths":[]}\n',
])('a cache that does not read is none: %s', (text) => {
  writeFileSync(cache, text);
  expect(names()).toHaveLength(count);
  expect(JSON.parse(readFileSync(cache, 'utf8').split('\n')[0] ?? '').rows).toHaveLength(count);
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
