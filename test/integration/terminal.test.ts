/** How commands behave where their output goes: terminals, narrow and plain ones, pipes that end, disks that are full. */
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Terminal } from './terminal.ts';
import { run, tsrun, tsrunOk, tsrunPath } from './tsrun.ts';

beforeAll(async () => {
  await tsrunOk(['pull', '-q', 'busybox']);
  await tsrunOk(['create', '--name', 'web', 'busybox', 'true']);
});
afterAll(() => tsrunOk(['rm', 'web']));

test('Ctrl-C at a question is no answer, and ends the command as a signal does', async () => {
  using terminal = Terminal.tsrun(['system', 'prune']);
  await terminal.waitFor('[y/N]');
  terminal.press('C-c');
  expect(await terminal.exit()).toBe(130);
  expect(await tsrunOk(['ps', '-aq'])).not.toBe('');
});

test.each([
  ['wait', 'up'],
  ['logs', '-f', 'up'],
])('Ctrl-C ends `%s` as a signal does', async (...args) => {
  await tsrunOk([
    'run',
    '-d',
    '--name',
    'up',
    '--network',
    'none',
    'busybox',
    'sh',
    '-c',
    'echo ready; exec sleep 1000',
  ]);
  try {
    using terminal = new Terminal(['sh', '-c', `echo begun; exec ${tsrunPath} ${args.join(' ')}`]);
    await terminal.waitFor(args[0] === 'logs' ? 'ready' : 'begun');
    await delay(300);
    terminal.press('C-c');
    expect(await terminal.exit()).toBe(130);
    expect(await tsrunOk(['ps', '-q', '--filter', 'name=up'])).not.toBe('');
  } finally {
    await tsrunOk(['rm', '-f', 'up']);
  }
});

test('a question is answered with a line', async () => {
  using terminal = Terminal.tsrun(['system', 'prune', '--filter', 'label=nope']);
  await terminal.waitFor('[y/N]');
  terminal.type('y');
  terminal.press('Enter');
  // An interrupted pull may have left a whole layer that no image has.
  await terminal.waitFor('Total reclaimed space: ');
  expect(await terminal.exit()).toBe(0);
});

test('the progress of a pull fits a terminal of 40 columns', async () => {
  await tsrun(['rmi', 'tsrun/layers']);
  // The shell waits: tmux may lose the last words of what ends at once.
  using terminal = new Terminal(['sh', '-c', `${tsrunPath} pull tsrun/layers; echo done; sleep 1000`], { columns: 40 });
  const screen = await terminal.waitFor('done');
  const lines = screen.split('\n').filter((line) => /^[0-9a-f]{12}: /.test(line));
  expect(lines.length).toBeGreaterThan(1);
  // A line for each layer, once: one that is too long would have been drawn again below itself.
  expect(new Set(lines).size).toBe(lines.length);
  for (const line of lines) expect(line).toMatch(/^[0-9a-f]{12}: (Pull complete|Already exists)\s*$/);
  await tsrunOk(['rmi', 'tsrun/layers']);
});

test.each([{ NO_COLOR: '1' }, { TERM: 'dumb' }])('no colours with %o', async (env) => {
  expect((await tsrun(['doctor'], { tty: true })).stdout).toContain('\x1b[');
  expect((await tsrun(['doctor'], { tty: true, env })).stdout).not.toContain('\x1b[');
});

test('a reader that leaves ends the command without a word', async () => {
  const names = Array.from({ length: 100 }, () => 'web').join(' ');
  const script = `{ "$0" inspect ${names}; echo "exit $?" >&2; } | head -c 10 >/dev/null`;
  expect((await run('sh', ['-c', script, tsrunPath])).stderr).toBe('exit 141\n');
});

test.each(['ps -a', 'images', 'inspect web', 'version', 'system df'])('%s with stdout closed', async (command) => {
  const result = await run('sh', ['-c', `"$0" ${command} >&-`, tsrunPath]);
  expect(result).toMatchObject({ code: 0, stderr: '' });
});

test('what cannot be written is said', async () => {
  const result = await run('sh', ['-c', '"$0" ps -a >/dev/full', tsrunPath]);
  expect(result).toMatchObject({ code: 1, stderr: 'tsrun: cannot write to stdout: ENOSPC\n' });
});

test('a table is as wide as what is in it, whatever the terminal', async () => {
  const { stdout } = await run('sh', ['-c', 'stty cols 40; exec "$0" ps -a', tsrunPath], { tty: true });
  expect(stdout.split('\r\n')[0]).toMatch(/^CONTAINER ID {3}IMAGE {5}COMMAND {3}CREATED .* NAMES$/);
});
