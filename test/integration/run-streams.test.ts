import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { beforeAll, expect, test } from 'vitest';
import { environment, run, tsrun, tsrunOk, tsrunPath } from './tsrun.ts';

const flags = ['run', '--rm', '--network', 'none'];
const gigabyte = 1_000_000_000;

beforeAll(async () => {
  await tsrunOk(['pull', '-q', 'busybox']);
});

/** sha256 of `count` zero bytes. */
function zeros(count: number): string {
  const hash = createHash('sha256');
  const block = Buffer.alloc(1_000_000);
  for (let done = 0; done < count; done += block.length) hash.update(block);
  return hash.digest('hex');
}

test('stdout and stderr are two streams, stdin passes through to its end', async () => {
  expect(await tsrun([...flags, '-i', 'busybox', 'sh', '-c', 'cat; echo err >&2'], { stdin: 'in' })).toMatchObject({
    stdout: 'in',
    stderr: 'err\n',
    code: 0,
  });
  expect((await tsrun([...flags, 'busybox', 'cat'], { stdin: 'ignored' })).stdout).toBe('');
  expect((await tsrun([...flags, '-a', 'stderr', 'busybox', 'sh', '-c', 'echo out; echo err >&2'])).stdout).toBe('');
});

test('with stdin alone attached, the id is what is printed', async () => {
  const result = await tsrun([...flags, '-i', '-a', 'stdin', 'busybox', 'sh', '-c', 'cat >&2'], { stdin: 'in' });
  expect(result).toMatchObject({ code: 0, stdout: expect.stringMatching(/^[0-9a-f]{64}\n$/), stderr: '' });
});

test('a gigabyte comes out of a container whole', { timeout: 120_000 }, async () => {
  const script = `${tsrunPath} ${flags.join(' ')} busybox head -c ${gigabyte} /dev/zero | sha256sum`;
  expect((await run('bash', ['-o', 'pipefail', '-c', script], { timeout: 110_000 })).stdout.split(' ')[0]).toBe(
    zeros(gigabyte),
  );
});

test('a gigabyte goes into a container whole', { timeout: 120_000 }, async () => {
  const script = `head -c ${gigabyte} /dev/zero | ${tsrunPath} ${flags.join(' ')} -i busybox sha256sum`;
  expect((await run('bash', ['-o', 'pipefail', '-c', script], { timeout: 110_000 })).stdout.split(' ')[0]).toBe(
    zeros(gigabyte),
  );
});

test('a reader that sleeps holds the container up, not the memory', { timeout: 60_000 }, async () => {
  const child = spawn(tsrunPath, [...flags, '--name', 'slow', 'busybox', 'sh', '-c', `head -c 50000000 /dev/zero`], {
    env: environment(),
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await delay(2500);
  const monitors = (await run('pgrep', ['-P', String(child.pid)])).stdout.trim().split('\n');
  const resident = Number(/VmRSS:\s*(\d+) kB/.exec(readFileSync(`/proc/${monitors[0]}/status`, 'utf8'))?.[1]);
  expect(resident).toBeLessThan(1024);
  const hash = createHash('sha256');
  for await (const chunk of child.stdout) hash.update(chunk);
  expect(hash.digest('hex')).toBe(zeros(50_000_000));
});

test('a reader that leaves ends the client quietly, and not the container', async () => {
  const script = `${tsrunPath} ${flags.join(' ')} --name left-reader busybox yes | head -1; echo \${PIPESTATUS[0]}`;
  const result = await run('bash', ['-c', script]);
  expect(result).toMatchObject({ stdout: 'y\n141\n', stderr: '' });
  expect(await tsrunOk(['rm', '-f', 'left-reader'])).toBe('left-reader');
});

test('signals are passed on unless told otherwise', async () => {
  const child = spawn(
    tsrunPath,
    [...flags, 'busybox', 'sh', '-c', 'trap "echo usr1; exit 6" USR1; echo up; while :; do sleep 0.05; done'],
    { env: environment(), stdio: ['ignore', 'pipe', 'inherit'] },
  );
  let output = '';
  child.stdout.on('data', (chunk: Buffer) => {
    output += chunk.toString();
    // The container's output comes before tsrun has taken note that its command runs.
    if (chunk.includes('up')) setTimeout(() => child.kill('SIGUSR1'), 500);
  });
  const code = await new Promise((resolve) => child.once('close', resolve));
  expect([code, output]).toEqual([6, 'up\nusr1\n']);
});

test('the log keeps both streams, rotates, and is not kept with --log-driver none', async () => {
  await tsrunOk([
    'run',
    '--name',
    'logged',
    '--network',
    'none',
    '--log-opt',
    'max-size=10k',
    '--log-opt',
    'max-file=2',
    'busybox',
    'sh',
    '-c',
    'for i in $(seq 1000); do echo line $i; done; echo err >&2',
  ]);
  try {
    const logs = await tsrun(['logs', 'logged']);
    expect(logs.stderr).toBe('err\n');
    expect(logs.stdout.endsWith('line 999\nline 1000\n')).toBe(true);
    expect(logs.stdout.startsWith('line 1\n')).toBe(false);
    expect(await tsrunOk(['logs', '--tail', '2', 'logged'])).toMatch(/line 1000$/);
    expect(await tsrunOk(['logs', '-t', '--tail', '1', 'logged'], {})).toMatch(/^$|^\d{4}-\d\d-\d\dT.*Z line 1000$/);
  } finally {
    await tsrunOk(['rm', 'logged']);
  }
});
