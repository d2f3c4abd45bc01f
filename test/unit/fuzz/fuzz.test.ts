/** A short session of each target of test/fuzz, beginning with the inputs that found something once. `npm run fuzz` goes on. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { randomNumbers } from '../../fixtures/archives.ts';
import { mutate } from '../../fuzz/mutate.ts';
import { isWellFormed } from '../../fuzz/program.ts';
import { fuzz, targets } from '../../fuzz/session.ts';
import type { Target } from '../../fuzz/target.ts';

const keep = mkdtempSync(join(tmpdir(), 'fuzz-found.'));
afterAll(() => {
  for (const target of targets) target.close?.();
  rmSync(keep, { recursive: true });
});

/** What takes a process or a file for each input gets fewer. */
const inputsOf: Readonly<Record<string, number>> = { netlink: 30_000, program: 4, machine: 1, tar: 60 };

// Always the same inputs: what was not found in a session of hours is not to fail somebody's build by chance.
test.each(targets.map((target) => [target.name, target] as const))('%s', { timeout: 60_000 }, async (_, target) => {
  const { tried, finding } = await fuzz(target, { inputs: inputsOf[target.name] ?? 500, seed: 1, keep });
  expect(finding?.error).toBeUndefined();
  expect(tried).toBeGreaterThan(2);
});

test('a promise that is broken is found, and its input kept', async () => {
  const target: Target = {
    name: 'broken',
    words: ['bad'],
    seeds: () => [Buffer.from('good')],
    run: (input) => {
      if (input.includes('bad')) throw new Error('bad');
    },
  };
  const { finding } = await fuzz(target, { milliseconds: 10_000, seed: 1, keep });
  expect(finding).toMatchObject({ target: 'broken', path: expect.stringContaining(keep), error: expect.any(Error) });
});

test('mutations follow from their seed, and change something', () => {
  const make = (): Buffer => mutate(Buffer.from('a text'), [], ['word'], randomNumbers(5));
  expect(make()).toEqual(make());
  expect(make()).not.toEqual(Buffer.from('a text'));
  expect(isWellFormed(Buffer.alloc(10))).toBe(false);
});
