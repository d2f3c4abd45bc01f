import { beforeAll, expect, test } from 'vitest';
import { Terminal } from './terminal.ts';
import { tsrun, tsrunOk, tsrunPath } from './tsrun.ts';

beforeAll(async () => {
  await tsrunOk(['pull', '-q', 'busybox']);
  await tsrunOk(['pull', '-q', 'debian']);
});

test('`tsrun run debian ash` as typed on a terminal is an interactive shell', async () => {
  using terminal = Terminal.tsrun(['run', '--rm', '--network', 'none', 'debian', 'ash'], { columns: 100, rows: 30 });
  await terminal.waitFor(/running \/bin\/dash/);
  await terminal.waitFor(/^#/m);
  terminal.type('tty; stty size; echo $((6*7)); readlink /proc/$$/exe');
  terminal.press('Enter');
  const screen = await terminal.waitFor('/usr/bin/dash');
  expect(screen).toContain('/dev/pts/0');
  expect(screen).toContain('30 100');
  expect(screen).toContain('\n42');
  terminal.resize(70, 20);
  terminal.type('sleep 0.2; stty size');
  terminal.press('Enter');
  await terminal.waitFor('20 70');
  terminal.press('C-c');
  terminal.type('exit 9');
  terminal.press('Enter');
  expect(await terminal.exit()).toBe(9);
});

test('Ctrl-C goes to the foreground process of the container, and the terminal is itself again afterwards', async () => {
  const command = 'run --rm --network none busybox sh';
  using terminal = new Terminal([
    'sh',
    '-c',
    `${process.cwd()}/bin/tsrun ${command}; echo "status $?"; stty -a | grep -o "[-]*icanon"`,
  ]);
  await terminal.waitFor('/ #');
  terminal.type('sleep 100');
  terminal.press('Enter');
  terminal.press('C-c');
  terminal.type('echo after-$?');
  terminal.press('Enter');
  await terminal.waitFor('after-130');
  terminal.press('C-d');
  const screen = await terminal.waitFor('icanon');
  expect(screen).toContain('status 0');
  expect(screen).toMatch(/^icanon$/m);
});

test('without a terminal Ctrl-C is passed on as a signal, and the container decides', async () => {
  const script = 'trap "echo caught; exit 7" INT; echo up; while :; do sleep 0.1; done';
  using terminal = Terminal.tsrun([
    'run',
    '--rm',
    '--network',
    'none',
    '-i=false',
    '-t=false',
    'busybox',
    'sh',
    '-c',
    script,
  ]);
  await terminal.waitFor('up');
  terminal.press('C-c');
  expect(await terminal.exit()).toBe(7);
  expect(terminal.screen()).toContain('caught');
});

test('the terminal is raw before the command runs, so that its answers to questions are not echoed', async () => {
  const script = `${tsrunPath} run --rm --network none -it -v $(tty):/caller busybox stty -F /caller -a`;
  using terminal = new Terminal(['sh', '-c', script]);
  expect(await terminal.exit()).toBe(0);
  expect(terminal.screen()).toContain('-icanon');
  expect(terminal.screen()).toMatch(/ -echo /);
});

test('with -t alone Ctrl-C is the signal of the container', async () => {
  const script = 'trap "echo caught; exit 7" INT; echo up; while :; do sleep 0.1; done';
  using terminal = Terminal.tsrun(['run', '--rm', '--network', 'none', '-t', 'busybox', 'sh', '-c', script]);
  await terminal.waitFor('up');
  terminal.press('C-c');
  expect(await terminal.exit()).toBe(7);
});

test('the detach keys leave the container running', async () => {
  using terminal = Terminal.tsrun(['run', '--name', 'left', '--network', 'none', 'busybox', 'sh']);
  try {
    await terminal.waitFor('/ #');
    terminal.press('C-p', 'C-q');
    expect(await terminal.exit()).toBe(0);
    expect(await tsrunOk(['ps', '--format', '{{.Names}} {{.State}}'])).toBe('left running');
  } finally {
    await tsrun(['rm', '-f', 'left']);
  }
});

test('other detach keys, and keys that only begin them', async () => {
  using terminal = Terminal.tsrun(['run', '--rm', '--network', 'none', '--detach-keys', 'ctrl-x,x', 'busybox', 'sh']);
  await terminal.waitFor('/ #');
  terminal.press('C-p', 'C-q');
  terminal.type('exit 4');
  terminal.press('Enter');
  expect(await terminal.exit()).toBe(4);
});

test('-t without -i shows output and takes no input; output goes through with both streams as one', async () => {
  const result = await tsrun([
    'run',
    '--rm',
    '--network',
    'none',
    '-t',
    'busybox',
    'sh',
    '-c',
    'test -t 0 && test -t 1 && echo terminal; echo err >&2',
  ]);
  expect(result).toMatchObject({ code: 0, stdout: 'terminal\r\nerr\r\n', stderr: '' });
});
