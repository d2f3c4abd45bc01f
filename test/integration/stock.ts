/** Taking stock of a store that many commands have worked on: does everything read, does `ps` tell what is so, is anything left. */
import { createHash } from 'node:crypto';
import { existsSync, lstatSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { expect, inject } from 'vitest';
import { findCommand } from '../../src/cli/commands.ts';
import { tsrun, tsrunOk } from './tsrun.ts';
import { reapers } from './workload.ts';

const listings = [
  ['ps', '-a'],
  ['ps', '-as'],
  ['images', '-a'],
  ['info'],
  ['network', 'ls'],
  ['volume', 'ls'],
  ['system', 'df'],
].filter(([first = '', second = '']) => findCommand(first) !== undefined || findCommand(`${first} ${second}`));

/** Every file below a directory: mode, owner and content. No link is followed. */
function fingerprint(directory: string, below = ''): string[] {
  return readdirSync(join(directory, below), { withFileTypes: true }).flatMap((entry) => {
    const name = join(below, entry.name);
    const path = join(directory, name);
    const { mode, uid, gid, size } = lstatSync(path);
    const line = `${name} ${mode.toString(8)} ${uid}:${gid}`;
    if (entry.isDirectory()) return [line, ...fingerprint(directory, name)];
    if (entry.isSymbolicLink()) return [`${line} ${readlinkSync(path)}`];
    if (!entry.isFile()) return [line];
    return [`${line} ${size} ${createHash('sha256').update(readFileSync(path)).digest('hex')}`];
  });
}

/** The files of every layer that is there, whatever form it has, by the layer's name. */
export function layers(): Map<string, string[]> {
  const directory = join(inject('root'), 'layers');
  const names = readdirSync(directory).filter((name) => /^[0-9a-f]{64}$/.test(name));
  return new Map(names.map((name) => [name, fingerprint(join(directory, name))]));
}

/** Processes of a container, as its cgroup has them. */
function processesOf(id: string): string[] {
  for (const line of readFileSync('/proc/self/mountinfo', 'utf8').split('\n')) {
    if (!line.includes(' - cgroup2 ')) continue;
    const path = join(line.split(' ')[4] ?? '', 'tsrun', id, 'cgroup.procs');
    if (existsSync(path)) return readFileSync(path, 'utf8').split('\n').filter(Boolean);
  }
  return [];
}

/** What `ps` says beside what the kernel says; empty when they agree. */
async function lies(): Promise<string[]> {
  const listed = await tsrunOk(['ps', '-a', '--no-trunc', '--format', '{{.ID}} {{.State}} {{.Names}}']);
  return listed
    .split('\n')
    .filter(Boolean)
    .flatMap((line) => {
      const [id = '', state = '', name = ''] = line.split(' ');
      if (state === 'restarting') return [];
      const alive = processesOf(id).length > 0;
      const said = state === 'running' || state === 'paused';
      return alive === said ? [] : [`${name} is ${state}, and has ${alive ? '' : 'no '}processes`];
    });
}

/** Nothing is under way: every command reads the store, and tells what is so. */
export async function takeStock(intact: ReadonlyMap<string, string[]>): Promise<void> {
  await expect.poll(reapers, { timeout: 15_000 }).toEqual([]);
  for (const words of listings) {
    const { code, stderr } = await tsrun(words);
    expect({ words, code, stderr: stderr.replace(/^WARNING.*\n/gm, '') }).toEqual({ words, code: 0, stderr: '' });
  }
  let found = await lies();
  for (let attempt = 0; attempt < 20 && found.length > 0; attempt++) {
    await delay(200);
    found = await lies();
  }
  expect(found).toEqual([]);
  const now = layers();
  for (const [name, files] of intact) expect(now.get(name), `layer ${name}`).toEqual(files);
}

/** What `doctor` finds that crashes have left. */
export async function leftovers(): Promise<string[]> {
  const { stdout } = await tsrun(['doctor', '--format', 'json']);
  const { Checks }: { Checks: Record<string, string>[] } = JSON.parse(stdout);
  return Checks.filter(({ Area, Status }) => Area === 'leftovers' && Status !== 'ok').map(
    ({ Name, Detail }) => `${Name}: ${Detail}`,
  );
}
