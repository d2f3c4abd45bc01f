import { spawn } from 'node:child_process';
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeAll, expect, inject, test } from 'vitest';
import { Engine } from '../../src/container/engine.ts';
import { Monitors } from '../../src/container/monitored.ts';
import { startContainer } from '../../src/container/start.ts';
import { ContainerStore } from '../../src/container/store.ts';
import { updateContainer } from '../../src/container/update.ts';
import { environment, tsrun, tsrunOk, tsrunPath } from './tsrun.ts';

const quiet = ['--network', 'none'];
beforeAll(async () => {
  await tsrunOk(['pull', '-q', 'busybox']);
});
afterEach(() => tsrun(['rm', '-f', 'first', 'second', 'third']));

const create = (name: string): Promise<string> => tsrunOk(['create', ...quiet, '--name', name, 'busybox', 'true']);
const run = (name: string, ...flags: string[]): Promise<string> =>
  tsrunOk(['run', '-d', ...quiet, '--init', '--name', name, ...flags, 'busybox', 'sleep', '1000']);
const inspect = (name: string, format: string): Promise<string> => tsrunOk(['inspect', '-f', format, name]);

test('events follow what happens, in the words of docker', async () => {
  const follow = spawn(
    tsrunPath,
    ['events', '--filter', 'container=ev', '--format', '{{.Action}} {{.Actor.Attributes.exitCode}}'],
    {
      env: environment(),
    },
  );
  let seen = '';
  follow.stdout.on('data', (bytes: Buffer) => {
    seen += bytes.toString();
  });
  const ended = new Promise<NodeJS.Signals | null>((resolve) => follow.once('exit', (_, signal) => resolve(signal)));
  await new Promise((resolve) => setTimeout(resolve, 700));
  await run('ev1');
  await tsrunOk(['pause', 'ev1']);
  await tsrunOk(['unpause', 'ev1']);
  await tsrunOk(['rename', 'ev1', 'ev2']);
  await tsrunOk(['update', '--restart', 'on-failure:1', 'ev2']);
  await tsrunOk(['restart', 'ev2']);
  await tsrunOk(['rm', '-f', 'ev2']);
  await expect.poll(() => seen, { timeout: 5000 }).toContain('destroy');
  follow.kill('SIGINT');
  await ended;
  const actions = seen
    .trim()
    .split('\n')
    .map((line) => line.replace(' <no value>', '').trim());
  expect(actions).toEqual(
    'create,start,pause,unpause,rename,update,kill,die 143,stop,start,restart,kill,die 137,destroy'.split(','),
  );
  const dies = await tsrunOk(['events', '--since', '20s', '--until', '0s', '-f', 'event=die', '-f', 'container=ev2']);
  // The monitor knows the new name.
  expect(dies.split('\n')[0]).toMatch(/^\S+ container die [0-9a-f]{64} \(exitCode=143, image=busybox, name=ev2\)$/);
});

test('pause and unpause, with the states in which docker refuses them; a paused container can be stopped', async () => {
  await run('first');
  // What lists take for the monitor, and what they see of a pause before it comes.
  const id = await inspect('first', '{{.Id}}');
  const isMonitored = (): boolean => {
    const monitors = new Monitors(inject('state'));
    try {
      return monitors.has(id);
    } finally {
      monitors.close();
    }
  };
  expect(isMonitored()).toBe(true);
  const changed = (): number => statSync(join(inject('root'), 'containers', id)).ctimeMs;
  const before = changed();
  expect(await tsrun(['pause', 'first'])).toMatchObject({ code: 0, stdout: 'first\n' });
  expect(changed()).toBeGreaterThan(before);
  expect(await tsrunOk(['ps', '--format', '{{.State}} {{.Status}}'])).toMatch(/^paused Up .* \(Paused\)$/);
  expect((await tsrun(['pause', 'first'])).stderr).toContain('is already paused');
  expect((await tsrun(['start', 'first'])).stderr).toContain('cannot start a paused container, try unpause instead');
  await tsrunOk(['unpause', 'first']);
  expect((await tsrun(['unpause', 'first'])).stderr).toContain('is not paused');
  await tsrunOk(['pause', 'first']);
  await tsrunOk(['stop', '-t', '5', 'first']);
  expect(await inspect('first', '{{.State.Status}} {{.State.ExitCode}}')).toBe('exited 143');
  expect(isMonitored()).toBe(false);
  expect((await tsrun(['pause', 'first'])).stderr).toContain('is not running');
});

test('rename: both names are unique at every moment', async () => {
  await Promise.all(['first', 'second'].map(create));
  expect(await tsrun(['rename', 'second', 'first'])).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('The container name "/first" is already in use by container'),
  });
  expect((await tsrun(['rename', 'second', 'second'])).stderr).toContain('Renaming a container with the same name');
  expect((await tsrun(['rename', 'second', 'a b'])).stderr).toContain('Invalid container name (/a b)');
  await tsrunOk(['rename', 'second', 'third']);
  expect(await inspect('third', '{{.Name}}')).toBe('/third');
  expect((await tsrun(['inspect', 'second'])).stderr).toContain('No such object: second');
  const racers = await Promise.all(['first', 'third'].map((name) => tsrun(['rename', name, 'second'])));
  expect(racers.map(({ code }) => code).sort()).toEqual([0, 1]);
});

test('update: record and policy change, contradictions and missing controllers change nothing', async () => {
  await create('third');
  await tsrunOk(['update', '--cpu-shares', '200', '--restart', 'unless-stopped', 'third']);
  expect(await inspect('third', '{{.HostConfig.CpuShares}} {{.HostConfig.RestartPolicy.Name}}')).toBe(
    '200 unless-stopped',
  );
  expect((await tsrun(['update', 'third'])).stderr).toContain('you must provide one or more flags');
  expect((await tsrun(['update', '--restart', 'bogus', 'third'])).stderr).toContain("invalid restart policy 'bogus'");
  const memory = await tsrun(['update', '-m', '20m', 'third']);
  expect(memory).toMatchObject({ code: 1, stderr: expect.stringContaining('Memory limit should be smaller than') });
  expect(await inspect('third', '{{.HostConfig.Memory}}')).toBe('0');
});

test('update --restart reaches the monitor of a container that runs', async () => {
  await run('first');
  await tsrunOk(['update', '--restart', 'always', 'first']);
  process.kill(Number(await inspect('first', '{{.State.Pid}}')), 'SIGKILL');
  await expect.poll(() => inspect('first', '{{.RestartCount}} {{.State.Status}}'), { timeout: 5000 }).toBe('1 running');
  await tsrunOk(['update', '--restart', 'no', 'first']);
  process.kill(Number(await inspect('first', '{{.State.Pid}}')), 'SIGKILL');
  await expect.poll(() => inspect('first', '{{.State.Status}}'), { timeout: 5000 }).toBe('exited');
});

test('update in the moment of a start is heeded by the new monitor', async () => {
  const id = await tsrunOk(['create', ...quiet, '--init', '--name', 'first', 'busybox', 'sleep', '1000']);
  const engine = new Engine(new ContainerStore(inject('root'), inject('state')));
  const container = engine.containers.resolve(id);
  const { monitor, lock } = await startContainer(engine.containers, container, {
    foreground: undefined,
    layers: engine.images.openLayers(container.record.image.layers),
    onNotice: () => {},
    // The program and with it the monitor's policy are made: nothing of the container can be seen yet.
    transform: (program) => {
      updateContainer(engine.containers, id, { restart: { name: 'always', maximumRetryCount: 0 } }, () => {});
      return program;
    },
  });
  monitor.close();
  lock.release();
  process.kill(Number(await inspect('first', '{{.State.Pid}}')), 'SIGKILL');
  await expect.poll(() => inspect('first', '{{.RestartCount}} {{.State.Status}}'), { timeout: 5000 }).toBe('1 running');
});

test('restart keeps a container that was run with --rm', async () => {
  await run('second', '--rm');
  const before = await inspect('second', '{{.State.Pid}}');
  expect(await tsrun(['restart', '-t', '5', 'second', 'nope'])).toMatchObject({ code: 1, stdout: 'second\n' });
  expect(await inspect('second', '{{.State.Pid}}')).not.toBe(before);
  await tsrunOk(['stop', 'second']);
  expect((await tsrun(['inspect', 'second'])).code).toBe(1);
});

test('container prune removes what does not run', async () => {
  await run('first');
  await create('second');
  const id = await tsrunOk(['create', ...quiet, '-l', 'old', 'busybox', 'true']);
  const asked = await tsrun(['container', 'prune'], { stdin: 'n\n' });
  expect(asked.stdout).toBe(
    'WARNING! This will remove all stopped containers.\nAre you sure you want to continue? [y/N] Total reclaimed space: 0B\n',
  );
  expect(await tsrunOk(['container', 'prune', '-f', '--filter', 'label=old', '--filter', 'until=1h'])).toBe(
    'Total reclaimed space: 0B',
  );
  expect(await tsrunOk(['container', 'prune', '-f', '--filter', 'label=old'])).toBe(
    `Deleted Containers:\n${id}\n\nTotal reclaimed space: 0B`,
  );
  await tsrunOk(['container', 'prune', '-f']);
  expect(await tsrunOk(['ps', '-a', '--format', '{{.Names}}'])).toBe('first');
});

test('a container of --rm that could not start is destroyed, and neither started nor died', async () => {
  const failed = await tsrun(['run', '--rm', '--network', 'none', '--name', 'unstartable', 'busybox', '/nonexistent']);
  expect(failed.code).toBe(127);
  const all = ['events', '--since', '30s', '--until', '0s', '-f', 'container=unstartable', '-f', 'type=container'];
  expect((await tsrunOk([...all, '--format', '{{.Action}}'])).split('\n')).toEqual(['create', 'attach', 'destroy']);
});
