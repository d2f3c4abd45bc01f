import { spawn } from 'node:child_process';
import { beforeAll, expect, test } from 'vitest';
import { Terminal } from './terminal.ts';
import { environment, tsrun, tsrunOk, tsrunPath } from './tsrun.ts';

const none = ['--network', 'none'];

beforeAll(async () => {
  await tsrunOk(['pull', '-q', 'busybox']);
});

async function start(name: string, flags: readonly string[], ...command: string[]): Promise<void> {
  await tsrunOk(['run', '-d', '--name', name, ...none, ...flags, 'busybox', ...command]);
}

test('several clients see the output, and end with the status of the container', async () => {
  await start('many', ['-i'], 'sh', '-c', 'read x; echo out $x; echo err >&2; exit 6');
  try {
    const watcher = tsrun(['attach', '--no-stdin', 'many']);
    const second = tsrun(['start', '-a', 'many']);
    await new Promise((resolve) => setTimeout(resolve, 1000));
    const typist = await tsrun(['attach', 'many'], { stdin: 'line\n' });
    for (const result of [typist, await watcher, await second]) {
      expect(result).toMatchObject({ code: 6, stdout: 'out line\n', stderr: 'err\n' });
    }
  } finally {
    await tsrun(['rm', '-f', 'many']);
  }
});

test('signals are the containers, unless that is not wanted', async () => {
  const script = 'trap "echo caught; exit 9" TERM; while :; do echo up; sleep 0.1; done';
  await start('target', [], 'sh', '-c', script);
  try {
    const attach = async (flags: string[], signal: NodeJS.Signals): Promise<number | null> => {
      const child = spawn(tsrunPath, ['attach', ...flags, 'target'], {
        env: environment(),
        stdio: ['ignore', 'pipe', 'ignore'],
      });
      // It is attached, and about to listen for signals.
      await new Promise((resolve) => child.stdout.once('data', resolve));
      await new Promise((resolve) => setTimeout(resolve, 500));
      child.kill(signal);
      child.stdout.resume();
      return new Promise((resolve) => child.once('close', (code) => resolve(code)));
    };
    expect(await attach(['--sig-proxy=false'], 'SIGTERM')).not.toBe(9);
    expect(await tsrunOk(['inspect', '--format', '{{.State.Status}}', 'target'])).toBe('running');
    expect(await attach([], 'SIGTERM')).toBe(9);
  } finally {
    await tsrun(['rm', '-f', 'target']);
  }
});

test('a terminal is left by its keys, and by a hangup: the container goes on', async () => {
  await start('shell', ['-it'], 'sh');
  try {
    using first = Terminal.tsrun(['attach', 'shell']);
    await new Promise((resolve) => setTimeout(resolve, 1000));
    first.type('echo $((6*7))');
    first.press('Enter');
    await first.waitFor('42');
    first.press('C-p', 'C-q');
    expect(await first.exit()).toBe(1);
    expect(first.screen()).toContain('read escape sequence');
    using second = Terminal.tsrun(['attach', 'shell']);
    // The shell is made to show its prompt again.
    await second.waitFor('/ #');
    // Its terminal is gone: SIGHUP.
    second.close();
    expect(await tsrunOk(['inspect', '--format', '{{.State.Status}}', 'shell'])).toBe('running');
    expect(await tsrun(['attach', 'shell'], { stdin: 'x' })).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('the input device is not a TTY'),
    });
  } finally {
    await tsrun(['rm', '-f', 'shell']);
  }
});

test('what cannot be attached to says so with the words of docker', async () => {
  await tsrunOk(['create', '--name', 'made', ...none, 'busybox', 'true']);
  try {
    expect(await tsrun(['attach', 'made'])).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('You cannot attach to a stopped container, start it first'),
    });
    expect((await tsrun(['attach', 'nobody'])).stderr).toContain('Error: No such container: nobody');
  } finally {
    await tsrun(['rm', 'made']);
  }
});
