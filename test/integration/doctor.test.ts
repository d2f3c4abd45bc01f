import { mkdirSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, expect, inject, test } from 'vitest';
import { run, tsrun, tsrunPath } from './tsrun.ts';

interface Examination {
  Checks: Record<'Area' | 'Name' | 'Status' | 'Detail' | 'Meaning' | 'Remedy', string>[];
  Problems: number;
  Warnings: number;
}

async function examine(): Promise<Examination & { code: number }> {
  const result = await tsrun(['doctor', '--format', 'json']);
  return { ...JSON.parse(result.stdout), code: result.code };
}

const damaged = 'a'.repeat(64);
const inRoot = (...names: string[]): string => join(inject('root'), ...names);

afterEach(() => {
  for (const name of [damaged, '.creating-1', '.removing-2'])
    rmSync(inRoot('containers', name), { recursive: true, force: true });
});

test('a machine that runs these tests has no problem', async () => {
  const { Checks, Problems, code } = await examine();
  expect(Checks.filter(({ Status }) => Status === 'problem')).toEqual([]);
  expect([Problems, code]).toEqual([0, 0]);
  expect([...new Set(Checks.map(({ Area }) => Area))]).toEqual([
    'kernel',
    'cgroups',
    'network',
    'storage',
    'limits',
    'leftovers',
    'clock',
  ]);
  // Whatever is not well says what to do.
  for (const { Name, Status, Meaning, Remedy } of Checks) {
    if (Status === 'warning') expect([Name, Meaning, Remedy]).not.toContain('');
  }
});

test('damaged records are named, and are a problem', async () => {
  mkdirSync(inRoot('containers', damaged), { recursive: true });
  writeFileSync(inRoot('containers', damaged, 'container.json'), '{');
  const result = await tsrun(['doctor', '-q']);
  expect(result.code).toBe(1);
  expect(result.stdout).toMatch(/^ {2}problem record:/m);
  expect(result.stdout.replace(/\n +/g, '')).toContain(`${damaged}/container.json"is damaged: it is no JSON`);
  expect(result.stdout).toMatch(/\n1 problem, /);
  // What it says to do helps.
  expect((await tsrun(['rm', damaged])).code).toBe(1);
  expect(await tsrun(['rm', '-f', damaged.slice(0, 12)])).toMatchObject({ code: 0, stderr: '' });
  expect((await tsrun(['doctor', '-q'])).code).toBe(0);
});

test('what crashes left is found, nothing of it is touched, and --repair takes it away', async () => {
  const old = new Date(Date.now() - 3_600_000);
  mkdirSync(inRoot('containers/.creating-1'), { recursive: true });
  mkdirSync(inRoot('containers/.removing-2'), { recursive: true });
  utimesSync(inRoot('containers/.creating-1'), old, old);
  for (const _ of [1, 2]) {
    const { Checks, code } = await examine();
    const found = Checks.find(({ Name }) => Name === 'unfinished files');
    expect(found).toMatchObject({ Status: 'warning', Remedy: 'tsrun doctor --repair' });
    expect(found?.Detail).toContain('.creating-1');
    expect(code).toBe(0);
  }
  const repaired = await tsrun(['doctor', '--repair']);
  expect(repaired.stdout).toContain('unfinished files: none');
});

test('a data root that nothing can be executed from', async () => {
  const script = `mount -t tmpfs -o noexec none "$1" && TSRUN_ROOT=$1/root exec "$0" doctor -q`;
  const result = await run('unshare', ['--mount', 'sh', '-c', script, tsrunPath, '/mnt']);
  expect(result.code).toBe(1);
  expect(result.stdout).toContain('it is mounted noexec');
  expect(result.stdout).toContain('do: mount -o remount,exec /mnt');
});

test('without root it says what it could not look at', async () => {
  const result = await run('setpriv', ['--reuid=65534', '--clear-groups', tsrunPath, 'doctor', '-q']);
  expect(result.code).toBe(0);
  expect(result.stdout).toMatch(/ unknown bridge, nf_tables and firewalls: /);
  expect(result.stdout).toMatch(/, \d not looked at\n$/);
});

test('a narrow terminal holds every line', async () => {
  const { stdout } = await run('sh', ['-c', 'stty cols 50; exec "$0" doctor', tsrunPath], { tty: true });
  const lines = stdout.replace(/\x1b\[\d+m/g, '').split('\r\n');
  expect(lines.length).toBeGreaterThan(30);
  // A word that is longer than the line stays whole: a command must be copied as it is.
  expect(lines.filter((line) => line.length > 50 && /\S \S/.test(line.slice(10)))).toEqual([]);
});
