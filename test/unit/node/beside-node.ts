/** Runs the same thing with Node's module and with ours, in two directories that are alike, and compares what comes of it. */
import { createHash } from 'node:crypto';
import * as real from 'node:fs';
import { existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'vitest';
import { syscall } from '../../../src/linux/ffi.ts';

export type Fs = typeof real;

/** What came of it: a value, or an error with all that Node's have, with the directory's name taken out. */
export function outcome(directory: string, action: () => unknown): unknown {
  const neutral = (value: unknown): unknown =>
    typeof value === 'string' ? value.replaceAll(directory, '(directory)') : value;
  try {
    const value = action();
    return { value: Array.isArray(value) ? value.map(neutral) : neutral(value) };
  } catch (error) {
    const { name, message, code, errno, syscall, path, dest } = error as NodeJS.ErrnoException & { dest?: string };
    return { name, message: neutral(message), code, errno, syscall, path: neutral(path), dest: neutral(dest) };
  }
}

/** Everything below a directory, as text lines. */
export function tree(directory: string, at = ''): string[] {
  return real.readdirSync(join(directory, at)).flatMap((name) => {
    const path = join(at, name);
    const stats = real.lstatSync(join(directory, path), { throwIfNoEntry: false });
    // Its name is no UTF-8.
    if (stats === undefined) return [path];
    const line = `${path} ${stats.mode.toString(8)} ${stats.uid}:${stats.gid}`;
    if (stats.isDirectory()) return [line, ...tree(directory, path)];
    if (stats.isSymbolicLink())
      return [`${line} -> ${real.readlinkSync(join(directory, path)).replaceAll(directory, '(directory)')}`];
    if (!stats.isFile()) return [line];
    const content = real.readFileSync(join(directory, path));
    const shown = content.length < 100 ? content.toString('latin1') : createHash('sha1').update(content).digest('hex');
    return [`${line} ${stats.nlink} ${shown}`];
  });
}

/** In memory where there is such a place: what is stored a thousand times needs no disk. */
const quickPlace = existsSync('/dev/shm') ? '/dev/shm' : tmpdir();

/** A directory of its own for the time of `use`. */
export function within<Result>(use: (directory: string) => Result, place = tmpdir()): Result {
  const parent = mkdtempSync(join(place, 'tsrun-node-fs.'));
  const directory = join(parent, 'd');
  mkdirSync(directory);
  try {
    return use(directory);
  } finally {
    rmSync(parent, { recursive: true, force: true });
  }
}

/** Does it with both, each in a directory that `prepare` has filled: value or error and what is in the directory are the same. */
export function same(
  own: object,
  prepare: (directory: string) => void,
  action: (fs: Fs, directory: string) => unknown,
): void {
  const [expected, found] = [real, own as Fs].map((fs) =>
    within((directory) => {
      prepare(directory);
      const answer = outcome(directory, () => action(fs, directory));
      return { action: action.toString(), answer, tree: tree(directory) };
    }, quickPlace),
  );
  expect(found).toEqual(expected);
}

const nobody = 65534;

/** Does it as nobody, to whom permissions apply: this thread and no other, and as far as files go (man 2 setfsuid). */
export function asNobody<Result>(action: () => Result): Result {
  syscall('setfsgid', nobody);
  syscall('setfsuid', nobody);
  try {
    return action();
  } finally {
    syscall('setfsuid', 0);
    syscall('setfsgid', 0);
  }
}

/** Whether `asNobody` can. */
export const canBeNobody = process.geteuid?.() === 0 && asNobody(() => syscall('setfsuid', nobody) === nobody);
