/**
 * kill -9 of any process of tsrun at any moment. TSRUN_CRASH_SECONDS says for how long (60 without it, an hour by hand),
 * TSRUN_CRASH_SEED repeats the order of commands of an earlier run.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { findCommand } from '../../src/cli/commands.ts';
import { layers, leftovers, takeStock } from './stock.ts';
import { tsrun, tsrunOk } from './tsrun.ts';
import { begin, killHard, monitors, nextCommand, Random, type Running, reapers } from './workload.ts';

const seconds = Number(process.env.TSRUN_CRASH_SECONDS || 60);
const seed = Number(process.env.TSRUN_CRASH_SEED || Date.now() % 1_000_000);
/** Commands at one time. */
const lanes = 4;
/** Commands between two times of taking stock, and the least that a slow machine runs. */
const stock = 60;

let intact: Map<string, string[]>;

beforeAll(async () => {
  // Layers of other tests would be compared each time.
  await tsrunOk(['system', 'prune', '-af']);
  await tsrunOk(['pull', '-q', 'busybox']);
  intact = layers();
});

afterAll(async () => {
  await tsrun(['rmi', '-f', 'tsrun/layers', 'crash-image:0', 'crash-image:1']);
});

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
  const isOver = (): boolean => Date.now() > deadline && rounds >= stock;
  try {
    while (!isOver()) {
      const batch = rounds + stock;
      const lane = async (): Promise<void> => {
        while (rounds < batch && !isOver()) {
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
      await takeStock(intact);
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
