import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, inject, test } from 'vitest';
import { run, tsrun, tsrunOk, tsrunPath } from './tsrun.ts';

interface Step {
  Step: number;
  Side: string;
  Phase: string;
  Title: string;
  Call: string;
  Shell: string;
  Traced: boolean;
}

async function explained(args: readonly string[]): Promise<{ StandIn: boolean; Steps: Step[]; CommandLine: string }> {
  const [command = '', ...rest] = args;
  return JSON.parse(await tsrunOk(['explain', command, '--format', 'json', ...rest]));
}

test('explain run makes nothing: no container, no network, no image', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'explain.'));
  try {
    const env = { TSRUN_ROOT: join(directory, 'root'), TSRUN_STATE: join(directory, 'state') };
    const result = await tsrun(['explain', 'run', '--lang=en', '-p', '80', 'not/there', 'true'], { env });
    expect(result.stderr).toBe('');
    expect(result.code).toBe(0);
    expect(result.stdout).toContain('The image is not here');
    expect(result.stdout).toContain('pivot_root(".", ".")');
    expect(readdirSync(directory)).toEqual([]);
  } finally {
    rmSync(directory, { recursive: true });
  }
});

test('explain run needs no root', async () => {
  const nobody = ['--reuid=65534', '--regid=65534', '--clear-groups', tsrunPath];
  const result = await run('setpriv', [...nobody, 'explain', 'run', '--lang=ru', 'busybox', 'true']);
  expect(result.stderr).toBe('');
  expect(result.code).toBe(0);
  expect(result.stdout).toContain('Что делает «tsrun run busybox true»');
  expect(result.stdout).toContain('clone3({flags=');
});

test('nor does it where the image is here, in a store that everybody may read', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'explain.'));
  try {
    const env = { TSRUN_ROOT: join(directory, 'root'), TSRUN_STATE: join(directory, 'state') };
    await tsrunOk(['pull', '-q', 'busybox'], { env });
    execFileSync('chmod', ['-R', 'a+rX', directory]);
    const nobody = ['--reuid=65534', '--regid=65534', '--clear-groups', tsrunPath];
    const args = ['explain', 'run', '--lang=en', '-u', 'nobody', 'busybox', 'true'];
    const result = await run('setpriv', [...nobody, ...args], { env });
    expect(result.stderr).toBe('');
    expect(result.code).toBe(0);
    expect(result.stdout).not.toContain('The image is not here');
    expect(result.stdout).toContain('setresuid(');
  } finally {
    rmSync(directory, { recursive: true });
  }
});

test('--pull gets the image, and its config is what is explained', async () => {
  const { StandIn, Steps } = await explained(['run', '--pull=missing', '-q', 'busybox', 'echo', 'hi']);
  expect(StandIn).toBe(false);
  expect(Steps.find(({ Call }) => Call.startsWith('execve("/bin/echo", ["echo", "hi"]'))).toBeDefined();
  // A layer is a directory, or a filesystem of two files, which a shell makes devices of.
  const layers = Steps.flatMap(({ Call, Shell }) => [
    ...Call.matchAll(/"lowerdir\+", "(\/[^"]+)"/g),
    ...Shell.matchAll(/losetup -r -f --show ([^)]+)\)/g),
  ]);
  expect(layers.length).toBeGreaterThan(0);
  for (const [, path = ''] of layers) expect([path, existsSync(path)]).toEqual([path, true]);
  expect(statSync(join(inject('root'), 'images.json')).isFile()).toBe(true);
});

test('what run would refuse, explain refuses in the same words', async () => {
  for (const flags of [
    ['--network', 'nowhere'],
    ['-u', 'nobody-of-that-name'],
    ['--security-opt', 'x=y'],
  ]) {
    const [explain, real] = await Promise.all([
      tsrun(['explain', 'run', ...flags, 'busybox', 'true']),
      tsrun(['run', '--rm', ...flags, 'busybox', 'true']),
    ]);
    expect(explain.stderr.replaceAll('tsrun explain run', 'tsrun run').replace(/^(Error|tsrun): /, '')).toBe(
      real.stderr.replace(/^(Error|tsrun): /, ''),
    );
    expect(explain.code).not.toBe(0);
  }
});

test('exec, stop and rm are explained for the container as it is', async () => {
  const id = await tsrunOk(['run', '-d', '--name', 'explain-it', 'busybox', 'sleep', '1000']);
  try {
    const exec = await explained(['exec', '-u', '1000', 'explain-it', 'id', '-u']);
    expect(exec.CommandLine).toBe('tsrun exec -u 1000 explain-it id -u');
    expect(exec.Steps.map(({ Call }) => Call)).toContain('setresuid(1000, 1000, 1000)');
    const refused = await tsrun(['explain', 'rm', 'explain-it']);
    expect(refused.stderr).toContain(`You cannot remove a running container ${id}`);
    const rm = await explained(['rm', '-f', 'explain-it']);
    expect(rm.Steps.at(-1)?.Title).toBe('remove the container');

    // What stop is said to do, and in which order, is what it does.
    const stop = await explained(['stop', '-t', '1', 'explain-it']);
    const debug = await tsrun(['--debug', 'stop', '-t', '1', 'explain-it']);
    const done = [...debug.stderr.matchAll(/^\[.*? ms\] \w+: (.*) \(\d+\.\d ms\)$/gm)].map(([, title]) => title);
    const own = stop.Steps.filter(({ Side, Traced }) => Side === 'command' && Traced).map(({ Title }) => Title);
    // sleep is process 1 of its namespace and takes no SIGTERM: it is killed.
    const asked = done.filter((title) => !title?.startsWith('send SIGKILL'));
    expect([...asked].sort()).toEqual([...own].sort());
    // A step that has others in it is told after them where it is done, before them where it is explained.
    expect([...asked.slice(0, 3), asked.at(-1)]).toEqual([...own.slice(0, 3), own.at(-1)]);
  } finally {
    await tsrunOk(['rm', '-f', 'explain-it']);
  }
  expect((await tsrun(['explain', 'exec', 'explain-it', 'true'])).code).not.toBe(0);
});

test('bad flags get one clear error', async () => {
  const result = await tsrun(['explain', 'run', '--lang', 'de', 'busybox']);
  expect(result.code).toBe(125);
  expect(result.stderr).toContain('invalid argument "de" for "--lang" flag: must be one of en, ru');
});
