/** The init mode (native/init.c) as an ordinary process: what it does for its command and its orphans. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { expect, test } from 'vitest';
import { artifact } from '../../../src/linux/artifacts.ts';

interface Init {
  child: ChildProcess;
  /** Resolves when stdout has had `text`. */
  said(text: string): Promise<void>;
  ended: Promise<{ code: number | null; signal: NodeJS.Signals | null; stdout: string; stderr: string }>;
}

function init(args: string[], env: Record<string, string> = { PATH: '/usr/bin:/bin' }): Init {
  const child = spawn(artifact('tsrun-monitor'), args, { argv0: 'tsrun-init', env, stdio: ['ignore', 'pipe', 'pipe'] });
  const output = { stdout: '', stderr: '' };
  child.stdout.on('data', (chunk) => {
    output.stdout += chunk;
  });
  child.stderr.on('data', (chunk) => {
    output.stderr += chunk;
  });
  return {
    child,
    said: async (text) => {
      while (!output.stdout.includes(text)) await once(child.stdout, 'data');
    },
    ended: once(child, 'close').then(([code, signal]) => ({ code, signal, ...output })),
  };
}

test('the exit status of the command is that of init', async () => {
  expect(await init(['sh', '-c', 'echo out; exit 42']).ended).toMatchObject({ code: 42, stdout: 'out\n' });
  expect(await init(['--', '/bin/sh', '-c', 'kill -KILL $$']).ended).toMatchObject({ code: 137 });
});

test('a command that cannot be run explains itself with 127 or 126', async () => {
  expect(await init(['nonexistent']).ended).toMatchObject({
    code: 127,
    stderr: 'tsrun-init: "nonexistent": not found\n',
  });
  expect(await init(['/etc/passwd']).ended).toMatchObject({
    code: 126,
    stderr: 'tsrun-init: "/etc/passwd": permission denied\n',
  });
  expect(await init(['sh', '-c', 'exit 1'], { PATH: '/nonexistent:/dev/null' }).ended).toMatchObject({ code: 127 });
});

test('PATH is that of the environment, or a default', async () => {
  expect(await init(['sh', '-c', 'exit 3'], {}).ended).toMatchObject({ code: 3 });
  expect(await init(['sh', '-c', 'exit 3'], { PATH: '/nonexistent:/bin' }).ended).toMatchObject({ code: 3 });
});

test('signals reach the command, with no signal blocked there', async () => {
  const shell = init([
    'sh',
    '-c',
    'trap "echo got TERM" TERM; trap "echo got HUP" HUP; trap "echo got USR1; exit 9" USR1; grep SigBlk /proc/self/status; echo ready; while :; do sleep 0.02; done',
  ]);
  await shell.said('ready');
  shell.child.kill('SIGTERM');
  await shell.said('got TERM');
  shell.child.kill('SIGHUP');
  await shell.said('got HUP');
  shell.child.kill('SIGUSR1');
  const { code, stdout } = await shell.ended;
  expect(code).toBe(9);
  expect(stdout).toContain('SigBlk:\t0000000000000000\n');
});

test('a command without a handler dies of the signal, and init reports 128+n', async () => {
  const sleeping = init(['sh', '-c', 'echo ready; exec sleep 100']);
  await sleeping.said('ready');
  sleeping.child.kill('SIGINT');
  expect(await sleeping.ended).toMatchObject({ code: 130, signal: null });
});

test('orphans are adopted and reaped', async () => {
  const script = `
    sh -c 'sleep 0.05 & echo orphan $!; exit 0' > /dev/null
    (sh -c 'echo $$ > /dev/null; sleep 0.05' &) ; sleep 0.3
    echo zombies $(ps -o stat= --ppid $PPID | grep -c Z)`;
  expect(await init(['sh', '-c', script]).ended).toMatchObject({ code: 0, stdout: 'zombies 0\n' });
});
