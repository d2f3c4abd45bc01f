import { readdirSync, writeFileSync } from 'node:fs';
import { afterEach, beforeAll, expect, test } from 'vitest';
import { tsrun, tsrunOk } from './tsrun.ts';

beforeAll(() => tsrunOk(['pull', '-q', 'busybox']));
afterEach(() => tsrun(['rm', '-f', 'checked']));

const often = ['--health-interval', '100ms', '--health-retries', '2'];
const run = (...flags: string[]): Promise<string> =>
  tsrunOk(['run', '-d', '--network', 'none', '--name', 'checked', ...often, ...flags, 'busybox', 'sleep', '1000']);
const inspect = (format: string): Promise<string> => tsrunOk(['inspect', '-f', format, 'checked']);
const status = (expected: string): Promise<void> =>
  expect.poll(() => inspect('{{.State.Health.Status}}'), { timeout: 10_000, interval: 50 }).toBe(expected);

test('starting, unhealthy, healthy: in ps, inspect, filters and events, with the output of the last five checks', async () => {
  await run(
    '--health-cmd',
    'echo said; test -e /ok',
    '--health-start-period',
    '700ms',
    '--health-start-interval',
    '100ms',
  );
  expect(await tsrunOk(['ps', '--format', '{{.Status}}'])).toContain('(health: starting)');
  await status('unhealthy');
  expect(await tsrunOk(['ps', '--filter', 'health=unhealthy', '--format', '{{.Status}}'])).toContain('(unhealthy)');
  const pid = await inspect('{{.State.Pid}}');
  writeFileSync(`/proc/${pid}/root/ok`, '');
  await status('healthy');
  expect(await tsrunOk(['ps', '--filter', 'health=healthy', '--format', '{{.Status}}'])).toContain('(healthy)');
  const health = JSON.parse(await inspect('{{json .State.Health}}'));
  expect(health).toMatchObject({ Status: 'healthy', FailingStreak: 0 });
  expect(health.Log).toHaveLength(5);
  expect(health.Log.at(-1)).toMatchObject({ ExitCode: 0, Output: 'said\n' });
  expect(JSON.parse(await inspect('{{json .Config.Healthcheck}}'))).toEqual({
    Test: ['CMD-SHELL', 'echo said; test -e /ok'],
    Interval: 1e8,
    StartPeriod: 7e8,
    StartInterval: 1e8,
    Retries: 2,
  });
  const events = ['events', '--since', '20s', '--until', '0s', '-f', 'event=health_status', '-f', 'container=checked'];
  expect(await tsrunOk([...events, '--format', '{{.Action}}'])).toBe(
    'health_status: unhealthy\nhealth_status: healthy',
  );
});

test('a check that takes too long is killed; its output is kept to 4096 bytes and is valid JSON whatever it is', async () => {
  // Not UTF-8, a quote and a backslash, then more than is kept.
  const text = `printf '\\303"\\\\'; yes x | head -c 9000 | tr -d '\\n'; sleep 1000`;
  await run('--health-cmd', text, '--health-timeout', '3s');
  await status('unhealthy');
  const { ExitCode, Output } = JSON.parse(await inspect('{{json .State.Health}}')).Log[0];
  expect(ExitCode).toBe(-1);
  expect(Output).toBe(`Health check exceeded timeout (3s): \ufffd"\\${'x'.repeat(4093)}...`);
});

test('the first check is far away: it is starting from its first moment, after a restart too', async () => {
  const far = ['--health-cmd', 'true', '--health-interval', '1h'];
  await tsrunOk(['run', '-d', '--network', 'none', '--name', 'checked', ...far, 'busybox', 'sleep', '1000']);
  await status('starting');
  await tsrunOk(['restart', '-t', '0', 'checked']);
  await status('starting');
});

test('a check that writes much to stderr alone is read', async () => {
  // More than a pipe holds, and nothing on stdout that would wake anybody.
  await run('--health-cmd', 'yes | head -c 300000 >&2', '--health-timeout', '20s');
  await status('healthy');
});

test('a check that never stops writing ends with its time, and the container is served meanwhile', async () => {
  await run('--health-cmd', 'yes', '--health-timeout', '400ms');
  await status('unhealthy');
  expect(JSON.parse(await inspect('{{json .State.Health}}')).Log[0].ExitCode).toBe(-1);
});

test('many checks leave no descriptor in the monitor', async () => {
  await run('--health-cmd', 'true');
  await status('healthy');
  const monitor = await tsrunOk(['inspect', '-f', '{{.State.Pid}}', 'checked']);
  const parent = Number(
    /^PPid:\s*(\d+)/m.exec((await import('node:fs')).readFileSync(`/proc/${monitor}/status`, 'utf8'))?.[1],
  );
  const count = (): number => readdirSync(`/proc/${parent}/fd`).length;
  const before = count();
  await new Promise((resolve) => setTimeout(resolve, 700));
  // A check may be under way.
  expect(count()).toBeLessThanOrEqual(before + 4);
});

test('--health-on-failure=restart starts it again', async () => {
  await run(
    '--health-cmd',
    'test -e /ok || { touch /ok; false; }',
    '--health-on-failure',
    'restart',
    '--health-retries',
    '1',
  );
  await expect.poll(() => inspect('{{.RestartCount}}'), { timeout: 10_000 }).toBe('1');
  await status('healthy');
});

test('--health-on-failure=kill ends it; what has ended is not healthy', async () => {
  await run('--health-cmd', 'test ! -e /broken', '--health-on-failure', 'kill');
  await status('healthy');
  await tsrunOk(['exec', 'checked', 'touch', '/broken']);
  expect(await tsrunOk(['wait', 'checked'])).toBe('137');
  expect(await inspect('{{.State.Status}} {{.State.Health.Status}}')).toBe('exited unhealthy');
  expect(await tsrunOk(['ps', '-aq', '--filter', 'health=healthy'])).toBe('');
});

test('flags that contradict one another', async () => {
  const create = (...flags: string[]) => tsrun(['create', ...flags, 'busybox', 'true']);
  expect((await create('--no-healthcheck', '--health-cmd', 'true')).stderr).toContain(
    '--no-healthcheck conflicts with --health-* options',
  );
  expect((await create('--health-interval', '-1s')).stderr).toContain('--health-interval cannot be negative');
  expect((await create('--health-timeout', 'soon')).stderr).toContain('time: invalid duration');
});
