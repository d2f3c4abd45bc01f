import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { bootId, computeState, readStart } from '../../../src/container/state.ts';
import { processStartTime } from '../../../src/linux/process.ts';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'state.'));
});
afterEach(() => rmSync(directory, { recursive: true }));

const write = (name: string, value: object): void => writeFileSync(join(directory, name), JSON.stringify(value));
const own = { pid: process.pid, startTime: processStartTime(process.pid) ?? '' };

/** A start whose first process is gone; its monitor is this process, or gone too. */
function start(monitored: boolean, alive = false): void {
  write('start.json', {
    ...(alive ? own : { pid: process.pid, startTime: '1' }),
    bootId: bootId(),
    monitorPid: process.pid,
    monitorStartTime: monitored ? own.startTime : '1',
    startedAt: '2026-01-01T00:00:00.000Z',
    cgroup: '',
    network: { mode: 'none' },
  });
}

const again = { monitorPid: process.pid, restartCount: 2, startedAt: '2026-01-01T00:01:00.000000000Z' };
const waiting = { ...again, pid: 0, startTime: '', exitCode: 4, oomKilled: false, finishedAt: '2026-01-01T00:02:00Z' };

test('a container that waits for its restart is restarting as long as its monitor lives', () => {
  start(true);
  write('run.json', waiting);
  expect(computeState(directory)).toMatchObject({
    status: 'restarting',
    pid: 0,
    exitCode: 4,
    restartCount: 2,
    startedAt: again.startedAt,
    finishedAt: waiting.finishedAt,
  });
  start(false);
  expect(computeState(directory)).toMatchObject({ status: 'exited', exitCode: 4, finishedAt: waiting.finishedAt });
});

test('the health of what has ended, or waits to be started again, is docker’s unhealthy', () => {
  const health = { Status: 'healthy', FailingStreak: 0, Log: [] };
  start(true);
  write('health.json', health);
  expect(computeState(directory).health).toEqual(health);
  write('run.json', waiting);
  expect(computeState(directory).health?.Status).toBe('unhealthy');
  write('exit.json', { exitCode: 0, signal: 0, oomKilled: false, finishedAt: waiting.finishedAt });
  expect(computeState(directory).health?.Status).toBe('unhealthy');
});

test('the process of a restart takes the place of the first one', () => {
  start(true);
  write('run.json', { ...again, ...own });
  expect(computeState(directory)).toMatchObject({ status: 'running', pid: process.pid, restartCount: 2 });
  expect(readStart(directory)).toMatchObject(own);
  start(false);
  expect(computeState(directory)).toMatchObject({ status: 'running', unsupervised: true });
});

test('what the monitor of another start has written counts no more', () => {
  start(true, true);
  write('run.json', { ...waiting, monitorPid: process.pid + 1 });
  expect(computeState(directory)).toMatchObject({ status: 'running', pid: process.pid, restartCount: 0 });
});

test('the end is the last word, and says why a restart failed', () => {
  start(false);
  write('run.json', waiting);
  write('exit.json', { exitCode: 4, signal: 0, oomKilled: false, finishedAt: 'x', failedStep: 229, failedErrno: 2 });
  expect(computeState(directory)).toMatchObject({
    status: 'exited',
    exitCode: 4,
    restartCount: 2,
    error: 'cannot start it again: ENOENT in step 230 of its start',
  });
});
