/**
 * kill -9 of any process of tsrun at any moment. TSRUN_CRASH_SECONDS says for how long (a minute without it, an hour by
 * hand), TSRUN_CRASH_SEED repeats the order of commands of an earlier run.
 */
import { createHash } from 'node:crypto';
import { existsSync, lstatSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { findCommand } from '../../src/cli/commands.ts';
import { tsrun, tsrunOk } from './tsrun.ts';
import { begin, killHard, monitors, nextCommand, Random, type Running, reapers } from './workload.ts';

const seconds = Number(process.env.TSRUN_CRASH_SECONDS || 60);
const seed = Number(process.env.TSRUN_CRASH_SEED || Date.now() % 1_000_000);
/** Commands at one time. */
const lanes = 4;
/** Commands between two times of taking stock. */
const stock = 60;

const listings = [
  ['ps', '-a'],
  ['ps', '-as'],
  ['images', '-a'],
  ['info'],
  ['network', 'ls'],
  ['volume', 'ls'],
  ['system', 'df'],
].filter(([first = '', second = '']) => findCommand(first) !== undefined || findCommand(`${first} ${second}`));

/** Every file below a directory: mode, owner and content. */
function fingerprint(directory: string): string[] {
  return readdirSync(directory, { recursive: true, encoding: 'utf8' })
    .sort()
    .map((name) => {
      const path = join(directory, name);
      const { mode, uid, gid, size } = lstatSync(path);
      const kind = mode & 0o170000;
      const content =
        kind === 0o100000
          ? createHash('sha256').update(readFileSync(path)).digest('hex')
          : kind === 0o120000
            ? readlinkSync(path)
            : '';
      return `${name} ${mode.toString(8)} ${uid}:${gid} ${kind === 0o100000 ? size : ''} ${content}`;
    });
}

let intact: Map<string, string[]>;

function layers(): Map<string, string[]> {
  const directory = join(inject('root'), 'layers');
  const names = readdirSync(directory).filter((name) => /^[0-9a-f]{64}$/.test(name));
  return new Map(names.map((name) => [name, fingerprint(join(directory, name, 'fs'))]));
}

beforeAll(async () => {
  await tsrunOk(['pull', '-q', 'busybox']);
  intact = layers();
});

afterAll(async () => {
  await tsrun(['rmi', '-f', 'tsrun/layers', 'crash-image:0', 'crash-image:1']);
});

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
async function takeStock(): Promise<void> {
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
async function leftovers(): Promise<string[]> {
  const { stdout } = await tsrun(['doctor', '--format', 'json']);
  const { Checks }: { Checks: Record<string, string>[] } = JSON.parse(stdout);
  return Checks.filter(({ Area, Status }) => Area === 'leftovers' && Status !== 'ok').map(
    ({ Name, Detail }) => `${Name}: ${Detail}`,
  );
}

/** What a user does who wants it gone. */
async function removeEverything(): Promise<void> {
  const ids = (await tsrunOk(['ps', '-aq', '--no-trunc'])).split('\n').filter(Boolean);
  for (const id of ids) await tsrunOk(['rm', '-f', '-v', id]);
  if (findCommand('network rm')) await tsrun(['network', 'rm', 'crash-net-0', 'crash-net-1']);
  if (findCommand('volume rm')) await tsrun(['volume', 'rm', '-f', 'crash-vol-0', 'crash-vol-1']);
  if (findCommand('system prune')) await tsrunOk(['system', 'prune', '-f']);
}

test(`nothing is lost or left when processes are killed at random (seed ${seed})`, {
  timeout: (seconds + 300) * 1000,
}, async () => {
  const random = new Random(seed);
  const deadline = Date.now() + seconds * 1000;
  const history: string[] = [];
  let rounds = 0;
  let killed = 0;
  try {
    while (Date.now() < deadline) {
      const batch = rounds + stock;
      const lane = async (): Promise<void> => {
        while (rounds < batch && Date.now() < deadline) {
          rounds++;
          const running = begin(nextCommand(random));
          const hit = await strike(random, running);
          const { code, stderr } = await running.ended;
          history.push(`${running.words.join(' ')}: ${hit || code}`);
          if (hit !== '') killed++;
          // A fault of tsrun's own, or a damaged record, is no answer to anything.
          expect(stderr, running.words.join(' ')).not.toMatch(/fault of tsrun itself|is damaged|CORRUPT/);
        }
      };
      await Promise.all(Array.from({ length: lanes }, lane));
      await takeStock();
    }
    await removeEverything();
    expect(await tsrunOk(['ps', '-aq'])).toBe('');
    expect(await tsrunOk(['run', '--rm', 'busybox', 'echo', 'works'])).toBe('works');
    expect(await leftovers()).toEqual([]);
  } catch (error) {
    const last = history.slice(-40).join('\n  ');
    throw new Error(`seed ${seed}, after ${rounds} commands, ${killed} killed:\n  ${last}`, { cause: error });
  }
  console.log(`${rounds} commands, ${killed} killed`);
  if (seconds >= 60) expect(rounds).toBeGreaterThan(100);
  expect(killed).toBeGreaterThan(rounds / 10);
});

/** Perhaps kills the command, or some monitor, or something that cleans up, at some moment. */
async function strike(random: Random, { child, ended }: Running): Promise<string> {
  const victim = random.next();
  const moment = random.next() ** 2 * 700;
  if (victim > 0.65) return '';
  await Promise.race([ended, delay(moment)]);
  if (victim < 0.4) return child.exitCode === null && killHard(child.pid) ? 'killed' : '';
  const others = victim < 0.55 ? monitors() : reapers();
  if (others.length === 0) return '';
  return killHard(random.pick(others)) ? `a ${victim < 0.55 ? 'monitor' : 'reap'} was killed` : '';
}
