import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { noteSolved, solvedLessons } from '../../../../src/cli/learn/progress.ts';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'progress.'));
  vi.stubEnv('XDG_STATE_HOME', directory);
});
afterEach(() => {
  vi.unstubAllEnvs();
  rmSync(directory, { recursive: true });
});

test('what is solved is remembered, each once', () => {
  expect(solvedLessons()).toEqual(new Set());
  noteSolved('02-b');
  noteSolved('01-a');
  noteSolved('02-b');
  expect([...solvedLessons()]).toEqual(['01-a', '02-b']);
});

test('a file that does not read is as good as none', () => {
  mkdirSync(join(directory, 'tsrun'));
  for (const text of ['', '{', '[]', '{"solved":3}', 'null']) {
    writeFileSync(join(directory, 'tsrun/learn.json'), text);
    expect(solvedLessons()).toEqual(new Set());
  }
});
