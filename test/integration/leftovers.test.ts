/** What was made for a container goes with it: its cgroup, whoever removes it and whatever its records say; what it has published. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeAll, expect, inject, test } from 'vitest';
import { cgroupPath } from '../../src/cgroup/index.ts';
import { Engine } from '../../src/container/engine.ts';
import type { StartObserver } from '../../src/container/start.ts';
import { ContainerStore } from '../../src/container/store.ts';
import { runOptions } from '../fixtures/run-options.ts';
import { tsrun, tsrunOk } from './tsrun.ts';

const directoryOf = (id: string): string => join(inject('root'), 'containers', id);
const socketOf = (id: string): string => join(inject('state'), 'containers', id, 'attach.sock');

let lingering: ChildProcess | undefined;

beforeAll(async () => {
  await tsrunOk(['pull', '-q', 'busybox']);
});

afterEach(() => {
  lingering?.kill('SIGKILL');
  lingering = undefined;
});

/** A container that was not started, and the cgroup that a killed command has made for it. */
async function abandoned(...options: string[]): Promise<{ id: string; cgroup: string }> {
  const id = await tsrunOk(['create', '--network', 'none', ...options, 'busybox', 'true']);
  const cgroup = cgroupPath(id);
  mkdirSync(join(cgroup, 'below'), { recursive: true });
  return { id, cgroup };
}

/** Something that the container would not have ended without: a process in its cgroup. */
async function linger(cgroup: string): Promise<ChildProcess> {
  const child = spawn('sleep', ['1000']);
  lingering = child;
  await once(child, 'spawn');
  writeFileSync(join(cgroup, 'cgroup.procs'), String(child.pid));
  return child;
}

test.each([
  ['rm', (id: string) => ['rm', id]],
  ['container prune', () => ['container', 'prune', '-f']],
  ['system prune', () => ['system', 'prune', '-f']],
])('%s of a container whose record knows of no cgroup', async (_, words) => {
  const { id, cgroup } = await abandoned();
  await tsrunOk(words(id));
  expect(existsSync(directoryOf(id))).toBe(false);
  expect(existsSync(cgroup)).toBe(false);
});

test('rm of a container whose start has failed, and left a process', async () => {
  const { id, cgroup } = await abandoned();
  const failed = { pid: 0, startTime: '', bootId: '', monitorPid: 0, monitorStartTime: '', cgroup: '' };
  const record = { ...failed, network: { mode: 'none' }, error: 'it could not be undone', errorCode: 128 };
  writeFileSync(join(directoryOf(id), 'start.json'), JSON.stringify(record));
  const child = await linger(cgroup);
  const ended = once(child, 'exit');
  await tsrunOk(['rm', id]);
  expect(existsSync(cgroup)).toBe(false);
  expect(await ended).toEqual([null, 'SIGKILL']);
});

test('rm -f of a container that is damaged takes its processes along', async () => {
  const { id, cgroup } = await abandoned();
  const ended = once(await linger(cgroup), 'exit');
  writeFileSync(join(directoryOf(id), 'container.json'), '{');
  await tsrunOk(['rm', '-f', id]);
  expect(existsSync(cgroup)).toBe(false);
  expect(await ended).toEqual([null, 'SIGKILL']);
});

test('the next command sweeps what a killed start has left, and what is left of a container that is gone', async () => {
  const { id, cgroup } = await abandoned();
  mkdirSync(join(inject('state'), 'containers', id), { recursive: true });
  writeFileSync(socketOf(id), '');
  await tsrunOk(['run', '--rm', '--network', 'none', 'busybox', 'true']);
  expect(existsSync(cgroup)).toBe(false);
  expect(existsSync(socketOf(id))).toBe(false);

  mkdirSync(cgroup);
  writeFileSync(socketOf(id), '');
  const ended = once(await linger(cgroup), 'exit');
  const named = await tsrunOk(['inspect', '-f', '{{.Name}}', id]);
  rmSync(directoryOf(id), { recursive: true });
  rmSync(join(inject('root'), 'names', named.replace('/', '')));
  await tsrunOk(['run', '--rm', '--network', 'none', 'busybox', 'true']);
  expect(existsSync(cgroup)).toBe(false);
  expect(existsSync(join(inject('state'), 'containers', id))).toBe(false);
  expect(await ended).toEqual([null, 'SIGKILL']);
});

test('a start takes away first what a killed one has left, and starts', async () => {
  const { id, cgroup } = await abandoned('--rm');
  mkdirSync(join(inject('state'), 'containers', id), { recursive: true });
  writeFileSync(socketOf(id), '');
  const ended = once(await linger(cgroup), 'exit');
  await tsrunOk(['start', '-a', id]);
  expect(await ended).toEqual([null, 'SIGKILL']);
  expect(existsSync(cgroup)).toBe(false);
  expect(existsSync(directoryOf(id))).toBe(false);
});

/** Runs a container whose start fails, in a cgroup that cannot be removed then: it is read-only. Returns what is left of it. */
async function startThatCannotBeUndone(remove: boolean): Promise<{ id: string; cgroup: string; notices: string[] }> {
  process.env.TSRUN_MIRRORS = `docker.io=http://${inject('registry')}`;
  const engine = new Engine(new ContainerStore(inject('root'), inject('state')));
  const notices: string[] = [];
  let cgroup = '';
  let id = '';
  const observer: StartObserver = {
    begin: () => {
      cgroup = cgroupPath(id);
      mkdirSync(join(cgroup, 'below'));
      execFileSync('mount', ['--bind', cgroup, cgroup]);
      execFileSync('mount', ['-o', 'remount,bind,ro', cgroup]);
      throw new Error('it fails');
    },
    ready: () => {},
    settled: () => {},
  };
  const io = { notice: (line: string) => void notices.push(line), pulling: () => () => {}, observer };
  const options = runOptions({ image: 'busybox', command: ['true'], network: 'none', remove });
  try {
    const running = engine.run(options, io, ({ record }) => {
      id = record.id;
    });
    await expect(running).rejects.toThrow('it fails');
    expect(existsSync(join(cgroup, 'below'))).toBe(true);
  } finally {
    execFileSync('umount', [cgroup]);
  }
  return { id, cgroup, notices };
}

test('what a failed start could not take away is taken away by the next command', async () => {
  const kept = await startThatCannotBeUndone(false);
  await tsrunOk(['run', '--rm', '--network', 'none', 'busybox', 'true']);
  expect(existsSync(kept.cgroup)).toBe(false);
  const inspected = await tsrunOk(['inspect', '-f', '{{.State.Status}} {{.State.Error}}', kept.id]);
  expect(inspected).toBe('created it fails');
  await tsrunOk(['rm', kept.id]);

  const removed = await startThatCannotBeUndone(true);
  expect(removed.notices.join()).toContain('cannot remove container');
  expect(existsSync(directoryOf(removed.id))).toBe(true);
  await tsrunOk(['run', '--rm', '--network', 'none', 'busybox', 'true']);
  expect(existsSync(removed.cgroup)).toBe(false);
  expect(existsSync(directoryOf(removed.id))).toBe(false);
});

test('ports go at the second attempt where the first one failed, though the start has not written down where they lead', async () => {
  await tsrunOk(['network', 'create', 'first']);
  const id = await tsrunOk(['run', '-d', '-p', '23195:80', '--network', 'first', 'busybox', 'sleep', '1000']);
  // They follow the way out to the second network.
  await tsrunOk(['network', 'connect', '--gw-priority', '1', 'bridge', id]);
  const published = (): string => execFileSync('nft', ['list', 'table', 'inet', 'tsrun'], { encoding: 'utf8' });
  expect(published()).toContain('23195');

  const [before, during] = ['networks.json', 'networks.ending.json'].map((name) => join(directoryOf(id), name));
  if (before === undefined || during === undefined) throw new Error('unreachable');
  const text = readFileSync(before, 'utf8');
  // No interface can have such a name: the kernel refuses to look for it.
  writeFileSync(before, text.replace(/"hostInterface":"ts/, `$&${'x'.repeat(40)}`));
  expect(await tsrun(['rm', '-f', id])).toMatchObject({ code: 1, stderr: expect.stringContaining('ERANGE') });
  // At once: its monitor may be at its own attempt.
  writeFileSync(`${during}.mended`, text);
  for (const path of [before, during]) if (existsSync(path)) renameSync(`${during}.mended`, path);
  await tsrunOk(['rm', '-f', id]);
  expect(published()).not.toContain('23195');
  await tsrunOk(['network', 'rm', 'first']);
});
