/** A disk with no room left: what runs can be stopped, killed and removed, and how it ended is known. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type Result, run, tsrun } from './tsrun.ts';

let directory: string;
let env: Record<string, string>;

async function system(command: string, ...args: string[]): Promise<void> {
  const { code, stderr } = await run(command, args);
  if (code !== 0) throw new Error(`${command} ${args.join(' ')}: ${stderr}`);
}

beforeEach(async () => {
  directory = mkdtempSync('/var/tmp/tsrun-full.');
  await system('mount', '-t', 'tmpfs', '-o', 'size=64m', 'tmpfs', directory);
  env = { TSRUN_ROOT: join(directory, 'root'), TSRUN_STATE: join(directory, 'state') };
  for (const path of Object.values(env)) mkdirSync(path, { mode: 0o700 });
  await ok(['pull', '-q', 'busybox']);
});

afterEach(async () => {
  await system('umount', '-l', directory);
  rmSync(directory, { recursive: true });
});

const on = (args: string[]): Promise<Result> => tsrun(args, { env });

async function ok(args: string[]): Promise<string> {
  const { code, stdout, stderr } = await on(args);
  expect({ args, code, stderr }).toEqual({ args, code: 0, stderr: '' });
  return stdout.trim();
}

/** Fills the disk to its last byte. */
function fill(): void {
  for (const size of [1 << 20, 4096, 1]) {
    try {
      for (;;) writeFileSync(join(directory, 'filling'), Buffer.alloc(size), { flag: 'a' });
    } catch (error) {
      expect(error).toMatchObject({ code: 'ENOSPC' });
    }
  }
}

const exits = (status: number): string[] => [
  'sh',
  '-c',
  `trap "exit ${status}" TERM; echo ready; while :; do sleep 0.05; done`,
];

test('stop, kill and rm -f do what they do, and policies are over', async () => {
  const policy = ['--restart', 'always'];
  const plain = await ok(['run', '-d', 'busybox', ...exits(3)]);
  const restarted = await ok(['run', '-d', ...policy, 'busybox', ...exits(4)]);
  const killed = await ok(['run', '-d', ...policy, 'busybox', ...exits(5)]);
  const removed = await ok(['run', '-d', ...policy, '-p', '127.0.0.1:0:80', 'busybox', ...exits(6)]);
  for (const id of [plain, restarted]) await expect.poll(() => ok(['logs', id]), { timeout: 10_000 }).toBe('ready');
  fill();
  expect(await ok(['stop', plain, restarted])).toBe(`${plain}\n${restarted}`);
  expect(await ok(['kill', killed])).toBe(killed);
  expect(await ok(['rm', '-f', removed])).toBe(removed);
  const state = (id: string): Promise<string> => ok(['inspect', '-f', '{{.State.Status}} {{.State.ExitCode}}', id]);
  expect(await state(plain)).toBe('exited 3');
  expect(await state(restarted)).toBe('exited 4');
  expect(await state(killed)).toBe('exited 137');
  expect(await ok(['rm', plain, restarted, killed])).toBe([plain, restarted, killed].join('\n'));
  expect(await ok(['ps', '-aq'])).toBe('');
  rmSync(join(directory, 'filling'));
});
