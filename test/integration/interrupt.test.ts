/** Ctrl-C at any moment: a command has either done what it was to do, or nothing of it is there. */
import { type ChildProcess, execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { leftovers } from './stock.ts';
import { Terminal } from './terminal.ts';
import { run, tsrun, tsrunOk } from './tsrun.ts';
import { begin } from './workload.ts';

/** Moments at which a command is interrupted, beside the one at which it is over. */
const moments = 4;

let directory: string;
const at = (name: string): string => join(directory, name);

beforeAll(async () => {
  directory = mkdtempSync('/var/tmp/tsrun-interrupt.');
  mkdirSync(at('tree'));
  for (let i = 0; i < 200; i++) writeFileSync(at(`tree/${i}`), Buffer.alloc(20_000, i));
  mkdirSync(at('out'));
  await tsrunOk(['pull', '-q', 'busybox']);
  const fill = 'mkdir /files; for i in $(seq 300); do dd if=/dev/urandom of=/files/$i bs=20k count=1 2>/dev/null; done';
  await tsrunOk(['run', '--network', 'none', '--name', 'full', 'busybox', 'sh', '-c', fill]);
  await tsrunOk(['commit', 'full', 'interrupted-base']);
  await tsrunOk(['save', '-o', at('image.tar'), 'interrupted-base']);
  await tsrunOk(['export', '-o', at('tree.tar'), 'full']);
  await tsrunOk(['rmi', 'interrupted-base']);
}, 120_000);

afterAll(async () => {
  await tsrun(['rm', '-f', 'full']);
  rmSync(directory, { recursive: true });
});

/** As a terminal's Ctrl-C: for all processes of the job. */
function interrupt({ pid, exitCode, signalCode }: ChildProcess): void {
  if (pid !== undefined && exitCode === null && signalCode === null) process.kill(-pid, 'SIGINT');
}

/** Runs a command and interrupts it after `milliseconds`; returns whether it came to its end. */
async function interrupted(words: string[], milliseconds: number): Promise<boolean> {
  const { child, ended } = begin(words);
  const timer = setTimeout(() => interrupt(child), milliseconds);
  const { code, stderr } = await ended;
  clearTimeout(timer);
  expect({ words, stderr: stderr.match(/fault of tsrun|is damaged/)?.[0] }).toEqual({ words, stderr: undefined });
  // null: the signal ended it, as it does where nothing has to be undone.
  if (code !== 0) expect({ words, code: code ?? 130, stderr }).toMatchObject({ words, code: 130 });
  return code === 0;
}

interface Case {
  words: string[];
  /** Takes that away, or what a container is that was made and not started. */
  undo?: string[];
  /** What must not stand when it has not; exit code 1 of this command. */
  absent?: string[];
}

const cases: Record<string, () => Case> = {
  pull: () => ({
    words: ['pull', '-q', 'tsrun/layers'],
    undo: ['rmi', 'tsrun/layers'],
    absent: ['image', 'inspect', 'tsrun/layers'],
  }),
  run: () => ({
    words: ['run', '-d', '-p', '23190:80', '--name', 'ctrl-c', 'busybox', 'sleep', '1000'],
    undo: ['rm', '-f', 'ctrl-c'],
  }),
  create: () => ({
    words: ['create', '--name', 'ctrl-c', '-v', 'ctrl-c-volume:/etc', 'busybox', 'true'],
    undo: ['rm', '-f', '-v', 'ctrl-c'],
  }),
  'cp into a container': () => ({ words: ['cp', at('tree'), 'full:/tmp'] }),
  'cp out of a container': () => ({ words: ['cp', 'full:/files', at('copied')] }),
  save: () => ({ words: ['save', '-o', at('out/saved.tar'), 'busybox'] }),
  export: () => ({ words: ['export', '-o', at('out/exported.tar'), 'full'] }),
  load: () => ({
    words: ['load', '-q', '-i', at('image.tar')],
    undo: ['rmi', 'interrupted-base'],
    absent: ['image', 'inspect', 'interrupted-base'],
  }),
  import: () => ({
    words: ['import', at('tree.tar'), 'ctrl-c-image'],
    undo: ['rmi', 'ctrl-c-image'],
    absent: ['image', 'inspect', 'ctrl-c-image'],
  }),
  commit: () => ({
    words: ['commit', 'full', 'ctrl-c-image'],
    undo: ['rmi', 'ctrl-c-image'],
    absent: ['image', 'inspect', 'ctrl-c-image'],
  }),
};

test.each(Object.keys(cases))('%s', { timeout: 120_000 }, async (name) => {
  const { words, undo, absent } = cases[name]?.() ?? { words: [] };
  const images = await tsrunOk(['images', '-aq']);
  const start = Date.now();
  await tsrunOk(words);
  const whole = Date.now() - start;
  if (undo !== undefined) await tsrunOk(undo);
  const written = readdirSync(at('out')).map((file) => statSync(join(at('out'), file)).size);
  for (const file of readdirSync(at('out'))) rmSync(join(at('out'), file));
  for (let moment = 0; moment < moments; moment++) {
    // The first hundred milliseconds are Node's own start.
    const done = await interrupted(words, Math.round((whole * (moment + 0.5)) / moments));
    if (!done && absent !== undefined) expect(await tsrun(absent)).toMatchObject({ code: 1 });
    // What was being written has its name when it is complete, and none before; the command may be interrupted after that.
    const files = readdirSync(at('out'));
    if (done) expect(files.length).toBe(written.length);
    for (const file of files) {
      expect(written).toEqual([statSync(join(at('out'), file)).size]);
      expect(await run('tar', ['-tf', join(at('out'), file)])).toMatchObject({ code: 0 });
      rmSync(join(at('out'), file));
    }
    if (undo !== undefined) await tsrun(undo);
  }
  expect(await leftovers()).toEqual([]);
  expect(await tsrunOk(['images', '-aq'])).toBe(images);
  await tsrun(['volume', 'rm', '-f', 'ctrl-c-volume']);
  // The container that was copied from and to is free, and whole.
  await tsrunOk(['start', 'full']);
  await tsrunOk(['wait', 'full']);
});

test('a program that a build has started is interrupted with it, and says nothing of its own', async () => {
  mkdirSync(at('bin'));
  const waiting = at('waiting');
  writeFileSync(at('bin/xz'), `#!/bin/sh\ntouch ${waiting}\nexec sleep 100\n`, { mode: 0o755 });
  writeFileSync(at('Dockerfile'), 'FROM busybox\n');
  execFileSync('tar', ['-C', directory, '-cJf', at('context.tar.xz'), 'Dockerfile']);
  const { child, ended } = begin(['build', at('context.tar.xz')], { PATH: `${at('bin')}:${process.env.PATH}` });
  await expect.poll(() => existsSync(waiting), { timeout: 20_000 }).toBe(true);
  interrupt(child);
  const { code, stderr } = await ended;
  expect({ code, stderr }).toMatchObject({ code: 130 });
  expect(stderr).not.toMatch(/fault of tsrun|cannot decompress/);
});

test('a window that is closed: the shell hears SIGHUP, and nobody of tsrun waits for a terminal that is gone', async () => {
  const shell = 'trap "echo hung up >/tmp/said; exit 7" HUP; echo ready; while :; do sleep 0.05; done';
  const terminal = Terminal.tsrun([
    'run',
    '-it',
    '--name',
    'window',
    '--network',
    'none',
    'busybox',
    'sh',
    '-c',
    shell,
  ]);
  try {
    await terminal.waitFor('ready');
    terminal.close();
    const state = (): Promise<string> => tsrunOk(['inspect', '-f', '{{.State.Status}} {{.State.ExitCode}}', 'window']);
    await expect.poll(state, { timeout: 10_000 }).toBe('exited 7');
  } finally {
    terminal.close();
    await tsrun(['rm', '-f', 'window']);
  }
});
