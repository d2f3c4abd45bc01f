/** `run --step` in a real terminal: what it shows, its shell, and that giving up leaves nothing. */
import { beforeAll, expect, inject, test } from 'vitest';
import { Terminal } from './terminal.ts';
import { run, tsrun, tsrunOk, tsrunPath } from './tsrun.ts';

beforeAll(async () => void (await tsrunOk(['pull', '-q', 'busybox'])));

const size = { columns: 120, rows: 60 };
const prompt = 'q: undo everything';

/** A terminal in which `run --step` goes on, and where it stands. */
class Steps {
  readonly terminal: Terminal;
  private number = 0;

  constructor(args: readonly string[], options = size) {
    this.terminal = Terminal.tsrun(['run', '--step', ...args], options);
  }

  /** The screen of the next stop, without those before it. */
  async next(): Promise<{ phase: string; side: string; text: string }> {
    this.number++;
    const screen = await this.terminal.waitFor(new RegExp(`Stop ${this.number}: [\\s\\S]*${prompt}`));
    const text = screen.slice(screen.lastIndexOf(`Stop ${this.number}: `));
    const [, phase = '', side = ''] = /^Stop \d+: before "([^"]+)" \((.*)\)/.exec(text) ?? [];
    return { phase, side, text };
  }

  /** Goes on to the first stop before a phase of a side. */
  async goTo(phase: string, side: string): Promise<string> {
    for (;;) {
      const stop = await this.next();
      if (stop.phase === phase && stop.side === side) return stop.text;
      this.terminal.press('Enter');
    }
  }

  [Symbol.dispose](): void {
    this.terminal.close();
  }
}

const child = "the container's first process";

test('it stops before each phase, shows what is there, and goes on to the command', async () => {
  using steps = new Steps([
    '--rm',
    '--hostname',
    'box',
    'busybox',
    '/bin/sh',
    '-c',
    'read line; echo "$line, $(hostname)"; exit 3',
  ]);
  const { terminal } = steps;
  const seen: Record<string, string[]> = {};
  for (;;) {
    const { phase, side, text } = await steps.next();
    seen[side] ??= [];
    seen[side].push(phase);
    if (phase === 'Network') expect(text).toContain('nothing of the container yet');
    if (phase === 'Cgroup') expect(text).toMatch(/eth0 up 172\.[\d.]+\/16\n.*route default by 172\.[\d.]+ on eth0/);
    if (phase === 'Namespaces' && side === child) expect(text).toMatch(/process \d+ on the host, 1 in its own pid/);
    if (phase === 'Devices') expect(text).toMatch(/\+ ROOT\/proc proc proc/);
    if (phase === 'The command') expect(text).toMatch(/seccomp filters: 1|mounts: \d+, as before/);
    terminal.press('Enter');
    if (phase === 'The command') break;
  }
  await terminal.waitFor('The command runs.');
  terminal.type('typed');
  terminal.press('Enter');
  await terminal.waitFor('typed, box');
  expect(await terminal.exit()).toBe(3);
  expect(seen['the command line']).toEqual(['Image', 'Network', 'Cgroup', 'Monitor']);
  expect(seen['the monitor']).toEqual(['Namespaces']);
  expect(seen[child]?.slice(0, 5)).toEqual(['Namespaces', 'Mounts', 'Root filesystem', 'Mounts', 'Devices']);
  expect(seen[child]?.at(-1)).toBe('The command');
});

test('its shell is in what exists so far: of the host first, of the image with no more than its rights then', async () => {
  using steps = new Steps(['--rm', 'busybox', 'true']);
  const { terminal } = steps;
  const shell = async (command: string, shows: RegExp): Promise<void> => {
    terminal.type('s');
    await terminal.waitFor(/"exit" leads back\.\n[\s\S]*[#$] ?$/);
    terminal.type(`${command}; exit`);
    terminal.press('Enter');
    await terminal.waitFor(shows);
    await terminal.waitFor(new RegExp(`Back\\.\\n[\\s\\S]*${prompt}`));
  };
  await steps.goTo('Cgroup', 'the command line');
  await shell('echo links $(ls /sys/class/net | wc -l), $(grep -c eth0 /proc/net/dev) eth0', /links \d+, 1 eth0/);
  terminal.press('Enter');
  await steps.goTo('Devices', child);
  await shell(`echo pid $$, $(mount | grep -c "overlay on ${inject('state')}/") overlay`, /pid \d+, 1 overlay/);
  terminal.press('Enter');
  await steps.goTo('Input and output', child);
  terminal.press('Enter');
  await steps.goTo('Input and output', child);
  await shell(
    'echo $(ls -d /bin/busybox); grep CapBnd /proc/self/status',
    /\/bin\/busybox\nCapBnd:\s+00000000a80425fb/,
  );
  terminal.type('q');
  expect(await terminal.exit()).toBe(130);
});

test.each([
  ['Image', 'the command line'],
  ['Cgroup', 'the command line'],
  ['Namespaces', 'the monitor'],
  ['Root filesystem', child],
  ['Security', child],
])('given up before "%s" (%s) nothing is left, not even the container', async (phase, side) => {
  const volumes = await tsrunOk(['volume', 'ls', '-q']);
  using steps = new Steps(['-p', '127.0.0.1:18383:80', '-v', '/data', 'busybox', 'true']);
  await steps.goTo(phase, side);
  steps.terminal.type('q');
  expect(await steps.terminal.exit()).toBe(130);
  const screen = steps.terminal.screen();
  expect(screen).toContain('Everything is undone.');
  expect(screen).toContain('given up');
  expect(await tsrunOk(['ps', '-aq'])).toBe('');
  expect(await tsrunOk(['volume', 'ls', '-q'])).toBe(volumes);
});

test('a restart by the policy does not stop: nobody is there to go on', async () => {
  using steps = new Steps([
    '-d',
    '--restart',
    'on-failure:1',
    '--name',
    'again',
    'busybox',
    'sh',
    '-c',
    'echo run; exit 1',
  ]);
  await steps.goTo('The command', child);
  steps.terminal.press('Enter');
  expect(await steps.terminal.exit()).toBe(0);
  try {
    expect(await tsrunOk(['wait', 'again'])).toBe('1');
    expect(await tsrunOk(['logs', 'again'])).toBe('run\nrun');
  } finally {
    await tsrunOk(['rm', '-f', 'again']);
  }
});

test('it speaks Russian', async () => {
  using terminal = Terminal.tsrun(['run', '--step', '--lang', 'ru', 'busybox', 'true'], size);
  await terminal.waitFor(/Остановка 1: перед «Образ» \(командная строка\)[\s\S]*q: отменить всё/);
  terminal.press('C-c');
  expect(await terminal.exit()).toBe(130);
});

test('without a terminal it is refused, and so it is beside --trace', async () => {
  const result = await run('setsid', ['-w', tsrunPath, 'run', '--step', 'busybox', 'true']);
  expect(result.code).toBe(125);
  expect(result.stderr).toContain('--step needs a terminal');
  const both = await tsrun(['run', '--step', '--trace', 'busybox', 'true']);
  expect(both.code).toBe(125);
  expect(both.stderr).toContain('conflicting options: --step and --trace');
  expect(await tsrunOk(['ps', '-aq'])).toBe('');
});
