/** Which lessons a learner has solved: one file in the user's own state (XDG base directory specification). */
import { mkdirSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { writeWhole } from '../../container/write-record.ts';
import { readIfThere } from '../../linux/optional.ts';

function path(): string {
  return join(process.env.XDG_STATE_HOME || join(homedir(), '.local/state'), 'tsrun/learn.json');
}

/** The names of the lessons that were solved. A file that does not read as such is as good as none. */
export function solvedLessons(): Set<string> {
  try {
    const parsed: unknown = JSON.parse(readIfThere(path()) ?? '{}');
    const solved = typeof parsed === 'object' && parsed !== null && 'solved' in parsed ? parsed.solved : [];
    return new Set(Array.isArray(solved) ? solved.filter((name) => typeof name === 'string') : []);
  } catch {
    return new Set();
  }
}

/** Notes that a lesson is solved. */
export function noteSolved(name: string): void {
  const solved = [...solvedLessons().add(name)].sort();
  mkdirSync(dirname(path()), { recursive: true, mode: 0o700 });
  writeWhole(path(), (temporary) => writeFileSync(temporary, `${JSON.stringify({ solved })}\n`));
}
