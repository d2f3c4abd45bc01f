import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeAll, expect, inject, test } from 'vitest';
import { tsrun, tsrunOk } from './tsrun.ts';

beforeAll(() => tsrunOk(['pull', '-q', 'busybox']));

const quiet = ['--network', 'none'];
const script = (text: string): string[] => ['busybox', 'sh', '-c', text];
const inspect = (name: string, format: string): Promise<string> => tsrunOk(['inspect', '-f', format, name]);
const until = (name: string, format: string, expected: string): Promise<void> =>
  expect.poll(() => inspect(name, format), { timeout: 10_000, interval: 50 }).toBe(expected);

afterEach(() => tsrun(['rm', '-f', 'again']));

test('on-failure:2 runs it three times; the foreground has the first run, the log all', async () => {
  const first = await tsrun([
    'run',
    ...quiet,
    '--name',
    'again',
    '--restart',
    'on-failure:2',
    ...script('echo up; exit 3'),
  ]);
  expect(first).toMatchObject({ code: 3, stdout: 'up\n', stderr: '' });
  await until('again', '{{.State.Status}}', 'exited');
  expect(await inspect('again', '{{.RestartCount}} {{.State.ExitCode}} {{.HostConfig.RestartPolicy.Name}}')).toBe(
    '2 3 on-failure',
  );
  expect((await tsrun(['logs', 'again'])).stdout).toBe('up\nup\nup\n');
});

test('on-failure leaves alone what ends well', async () => {
  await tsrunOk(['run', '-d', ...quiet, '--name', 'again', '--restart', 'on-failure', ...script('exit 0')]);
  await until('again', '{{.State.Status}} {{.RestartCount}}', 'exited 0');
});

test('while it waits it is restarting: ps says so, rm refuses, stop ends the waiting', async () => {
  await tsrunOk(['run', '-d', ...quiet, '--name', 'again', '--restart', 'always', ...script('exit 4')]);
  await until('again', '{{gt .RestartCount 3}} {{.State.Status}}', 'true restarting');
  expect(
    await tsrunOk(['ps', '--filter', 'status=restarting', '--format', '{{.Names}} {{.State}} {{.Status}}']),
  ).toMatch(/^again restarting Restarting \(4\) .* ago$/);
  // On a busy machine it may run between two looks; each time it waits twice as long.
  await until('again', '{{.State.Running}} {{.State.Restarting}} {{.State.Pid}}', 'true true 0');
  await expect
    .poll(() => tsrun(['rm', 'again']), { timeout: 10_000 })
    .toMatchObject({ code: 1, stderr: expect.stringContaining('You cannot remove a restarting container') });
  expect((await tsrun(['pause', 'again'])).stderr).toContain('is restarting, wait until the container is running');
  expect(await tsrun(['stop', 'again'])).toMatchObject({ code: 0, stdout: 'again\n' });
  // On a busy machine it may be about to run once more, and is killed before it does.
  expect(await inspect('again', '{{.State.Status}} {{.State.ExitCode}}')).toMatch(/^exited (4|137)$/);
  await tsrunOk(['rm', 'again']);
});

test('stop and kill by hand end the policy, start makes it hold again', async () => {
  const trapped = 'trap "exit 0" TERM; touch /ready; while :; do sleep 0.05; done';
  await tsrunOk(['run', '-d', ...quiet, '--name', 'again', '--restart', 'always', ...script(trapped)]);
  await tsrunOk(['stop', 'again']);
  expect(await inspect('again', '{{.State.Status}} {{.RestartCount}}')).toBe('exited 0');
  await tsrunOk(['start', 'again']);
  await tsrunOk(['kill', 'again']);
  expect(await inspect('again', '{{.State.Status}} {{.RestartCount}} {{.State.ExitCode}}')).toBe('exited 0 137');
  await tsrunOk(['start', 'again']);
  process.kill(Number(await inspect('again', '{{.State.Pid}}')), 'SIGKILL');
  await until('again', '{{.RestartCount}} {{.State.Status}}', '1 running');
});

test('a network, its address and a published port stay over a restart; so does what was written', async () => {
  const flags = ['-p', '127.0.0.1:0:80', '--restart', 'always'];
  await tsrunOk(['run', '-d', '--name', 'again', ...flags, ...script('echo x >>/runs; exec sleep 1000')]);
  const facts = '{{.NetworkSettings.IPAddress}} {{json .NetworkSettings.Ports}}';
  const before = await inspect('again', facts);
  process.kill(Number(await inspect('again', '{{.State.Pid}}')), 'SIGKILL');
  await until('again', '{{.RestartCount}} {{.State.Status}}', '1 running');
  expect(await inspect('again', facts)).toBe(before);
  const pid = await inspect('again', '{{.State.Pid}}');
  await expect.poll(() => readFileSync(`/proc/${pid}/root/runs`, 'utf8')).toBe('x\nx\n');
});

test('processes of a run that outlive it, in the pid namespace of the host, are gone before the next', async () => {
  const text =
    'echo x >>/runs; if [ $(wc -l </runs) = 1 ]; then (trap "" TERM HUP; exec sleep 987) & exit 1; fi; exec sleep 986';
  await tsrunOk([
    'run',
    '-d',
    ...quiet,
    '--pid',
    'host',
    '--name',
    'again',
    '--restart',
    'on-failure',
    ...script(text),
  ]);
  await until('again', '{{.RestartCount}} {{.State.Status}}', '1 running');
  const id = await inspect('again', '{{.Id}}');
  const mount = /^\S+ \S+ \S+ \S+ (\S+) .* - cgroup2 /m.exec(readFileSync('/proc/self/mountinfo', 'utf8'))?.[1] ?? '';
  const pids = () =>
    readFileSync(join(mount, 'tsrun', id, 'cgroup.procs'), 'utf8')
      .trim()
      .split('\n');
  await expect.poll(pids).toEqual([await inspect('again', '{{.State.Pid}}')]);
});

test('a restart that cannot start is the end, and says why', async () => {
  const text = 'sleep 0.2; rm /bin/sh; exit 4';
  await tsrunOk(['run', '-d', ...quiet, '--name', 'again', '--restart', 'always', ...script(text)]);
  await until('again', '{{.State.Status}} {{.State.ExitCode}}', 'exited 4');
  expect(await inspect('again', '{{.State.Error}}')).toContain('ENOENT');
});

test('a monitor that is killed while it waits leaves a container that has exited, and can be started and removed', async () => {
  const id = await tsrunOk(['run', '-d', ...quiet, '--name', 'again', '--restart', 'always', ...script('exit 4')]);
  await until('again', '{{gt .RestartCount 3}} {{.State.Status}}', 'true restarting');
  const { monitorPid } = JSON.parse(readFileSync(join(inject('root'), 'containers', id, 'start.json'), 'utf8'));
  process.kill(monitorPid, 'SIGKILL');
  await until('again', '{{.State.Status}} {{.State.ExitCode}}', 'exited 4');
  await tsrunOk(['start', 'again']);
  await tsrunOk(['rm', '-f', 'again']);
  expect(existsSync(join(inject('root'), 'containers', id))).toBe(false);
});

test('what a boot starts: what ran when stop-all came, and not what was stopped by hand', async () => {
  const make = (name: string, policy: string): Promise<string> =>
    tsrunOk(['run', '-d', ...quiet, '--init', '--name', name, '--restart', policy, 'busybox', 'sleep', '1000']);
  const names = ['ever', 'unless', 'by-hand', 'never'];
  try {
    await make('ever', 'always');
    await make('unless', 'unless-stopped');
    await make('by-hand', 'unless-stopped');
    await make('never', 'no');
    await tsrunOk(['stop', 'by-hand']);
    expect((await tsrunOk(['system', 'stop-all'])).split('\n').sort()).toEqual(['ever', 'never', 'unless']);
    expect(await tsrunOk(['ps', '-q'])).toBe('');
    expect(await tsrunOk(['system', 'start-all'])).toBe('ever\nunless');
    expect(await tsrunOk(['ps', '--format', '{{.Names}}'])).toBe('unless\never');
  } finally {
    await tsrunOk(['rm', '-f', ...names]);
  }
});
