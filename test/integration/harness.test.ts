import { execFileSync, spawn } from 'node:child_process';
import { mkdirSync, rmSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { expect, inject, test } from 'vitest';
import { newSince, snapshot } from './leaks.ts';
import { Terminal } from './terminal.ts';
import { run } from './tsrun.ts';

test('a mount that a test leaves is named', async () => {
  const before = await snapshot();
  const point = `${inject('root')}/point`;
  mkdirSync(point);
  execFileSync('mount', ['-t', 'tmpfs', 'none', point]);
  expect(await newSince(before)).toContainEqual(expect.stringContaining(`mount on ${point}`));
  execFileSync('umount', [point]);
  rmSync(point, { recursive: true });
  expect((await newSince(before)).join()).not.toContain(point);
});

test('a network namespace that a process keeps is named with the process', async () => {
  const before = await snapshot();
  const child = spawn('unshare', ['--net', 'sleep', '100'], { stdio: 'ignore' });
  await expect.poll(async () => (await newSince(before)).join('\n')).toContain('network namespace net:[');
  expect(await newSince(before)).toContainEqual(expect.stringMatching(/^process \d+ .*`sleep 100`$/));
  child.kill();
  await expect.poll(async () => (await newSince(before)).join()).not.toContain('`sleep 100`');
});

test('a network interface that a test leaves is named', async () => {
  const before = await snapshot();
  execFileSync('ip', ['link', 'add', 'tsrunleak0', 'type', 'veth', 'peer', 'name', 'tsrunleak1']);
  expect(await newSince(before)).toEqual(
    expect.arrayContaining(['network interface tsrunleak0', 'network interface tsrunleak1']),
  );
  execFileSync('ip', ['link', 'delete', 'tsrunleak0']);
  expect((await newSince(before)).join()).not.toContain('tsrunleak');
});

test('the runner hands over stdin, output and exit status, with and without a terminal', async () => {
  const plain = await run('sh', ['-c', 'cat; echo err >&2; exit 3'], { stdin: 'in' });
  expect(plain).toEqual({ code: 3, signal: null, stdout: 'in', stderr: 'err\n' });
  const tty = await run('sh', ['-c', 'tty -s && echo terminal; exit 4'], { tty: true });
  expect(tty).toMatchObject({ code: 4, stdout: 'terminal\r\n' });
});

test('the terminal types, resizes and reports how a command ended', async () => {
  using terminal = new Terminal(['sh', '-c', 'read x; stty size; echo "got $x"; exit 5'], { columns: 90, rows: 20 });
  terminal.resize(70, 15);
  await delay(100);
  terminal.type('some text');
  terminal.press('Enter');
  await terminal.waitFor('got some text');
  expect(terminal.screen()).toContain('15 70');
  expect(await terminal.exit()).toBe(5);
});
