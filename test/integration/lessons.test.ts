import { copyFileSync, existsSync, linkSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { checkout } from '../../scripts/images/paths.ts';
import { until } from './monitor-fixture.ts';
import { type Result, run, tsrun } from './tsrun.ts';

const course = join(checkout, 'lessons');
const lessons = readdirSync(course)
  .filter((name) => /^\d\d-/.test(name))
  .sort();

/** What the next lesson's container answers to a break-out. */
const held: Record<string, RegExp> = {
  '01-not-in-javascript': /cannot open '\/proc\/self\/task\/\*\/root\/etc\/passwd'/,
  '02-a-program': /cannot take the cover off \/etc: EINVAL/,
  '03-chroot': /cannot open '\/etc\/passwd'/,
  '04-pivot-root': /cannot open '\/tmp\/proc\/\d+\/root\/etc\/passwd'/,
  '05-pid-namespace': /cannot find the queue of the host: ENOENT/,
  '06-cgroup': /cannot make \/usr writable: EPERM/,
  '07-capabilities': /cannot look for a key of root: EPERM/,
  '08-seccomp': /cannot open a setting of the host for writing: EROFS/,
  '09-user-namespace': /cannot talk to a service of the host: ECONNREFUSED/,
};

let directory: string;
let environment: Record<string, string>;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'lessons.'));
  environment = { XDG_STATE_HOME: join(directory, 'state'), XDG_CACHE_HOME: join(directory, 'cache') };
});
afterEach(async () => {
  rmSync(directory, { recursive: true });
  // The kernel takes keys away when it finds the time.
  await until(() => !readFileSync('/proc/keys', 'utf8').includes('tsrun-lesson'), 20_000);
  // What the kernel keeps beside namespaces, and what only lesson 10 makes.
  expect(readFileSync('/proc/sysvipc/msg', 'utf8')).not.toMatch(/^\s*1953722990\s/m);
  expect(readdirSync('/sys/class/net').filter((name) => name.includes('lesson'))).toEqual([]);
});

const learn = (...args: string[]): Promise<Result> => tsrun(['learn', ...args], { env: environment, cwd: directory });

/** A learner's directory with a file of the course in the place of their own. */
function copyOf(lesson: string, file: string): string {
  const target = join(directory, 'tsrun-lessons', lesson);
  mkdirSync(target, { recursive: true });
  copyFileSync(join(course, lesson, file), join(target, 'lesson.ts'));
  return target;
}

describe.each(lessons)('%s', (lesson) => {
  const number = String(Number(lesson.slice(0, 2)));

  test('its program ends as the command does, and its check wants the task to be solved, and is content with the solution', async () => {
    expect((await learn('run', number, 'sh', '-c', 'exit 7')).code).toBe(7);
    copyOf(lesson, 'lesson.ts');
    // One language for each half of the lessons: a check says one sentence of the two.
    const language = Number(number) % 2 === 0 ? 'ru' : 'en';
    const before = await learn('check', '--lang', language, number);
    expect(before, before.stderr).toMatchObject({ code: 1 });
    expect(before.stdout).toMatch(language === 'ru' ? /[А-Яа-я]{3}/ : /^[A-Z/].{30}/);
    copyOf(lesson, 'solution.ts');
    const after = await learn('check', number);
    expect(after, after.stdout + after.stderr).toMatchObject({ code: 0 });
    expect((await learn()).stdout).toContain(`[x] ${number.padStart(2)}. `);
  });

  const reason = held[lesson];
  test.runIf(reason !== undefined)('its break-out works, and the next lesson closes it', async () => {
    const { code, stdout, stderr } = await learn('breakout', '--lang', 'en', number);
    expect(stdout).toMatch(/The break-out works in .*\n[\s\S]*The break-out fails in /);
    expect(stderr).toMatch(reason ?? /^/);
    expect(code).toBe(0);
  });
});

test('a page comes with a copy of the program, which is never overwritten', async () => {
  const first = await learn('2', '--lang', 'en');
  const path = join(directory, 'tsrun-lessons/02-a-program/lesson.ts');
  expect(first.stdout).toContain('Your copy: tsrun-lessons/02-a-program/lesson.ts');
  expect(readFileSync(path, 'utf8')).toBe(readFileSync(join(course, '02-a-program/lesson.ts'), 'utf8'));
  copyOf('02-a-program', 'solution.ts');
  expect((await learn('2', '--lang', 'ru')).stdout).toContain('остаётся как есть');
  expect(readFileSync(path, 'utf8')).toBe(readFileSync(join(course, '02-a-program/solution.ts'), 'utf8'));
  // What runs is the learner's own.
  expect((await learn('run', '2', 'ls', '/etc')).stdout).toBe('lesson\n');
});

test('bad input says what to do', async () => {
  expect(Object.keys(held)).toEqual(lessons.slice(0, -1));
  expect((await learn('11')).stderr).toMatch(/there is no lesson "11"\n {2}the lessons are 1 to 10/);
  expect((await learn('check', '3')).stderr).toMatch(/there is no ".*lesson\.ts"\n {2}`tsrun learn LESSON` gives/);
  expect((await learn('breakout', '10')).stderr).toContain('lesson 10 has no break-out');
  const own = copyOf('03-chroot', 'lesson.ts');
  copyFileSync(join(course, '03-chroot/README.md'), join(own, 'lesson.ts'));
  const broken = await learn('check', '3');
  expect(broken.code).not.toBe(0);
  expect(broken.stdout + broken.stderr).toMatch(/lesson\.ts/);
});

test('under Node the lessons run too', async () => {
  environment = { ...environment, TSRUN_RUNTIME: 'node' };
  const measured = await learn('run', '1');
  expect(measured.stdout).toMatch(
    /threads in the new mount namespace: 1\nreadFileSync: ENOENT\nreadFile: {5}the file of/,
  );
  expect(measured.stdout).toMatch(/a second later: (still waits|signal \d+)\n/);
  copyOf('03-chroot', 'solution.ts');
  expect(await learn('check', '3')).toMatchObject({ code: 0 });
  expect((await learn('breakout', '2')).code).toBe(0);
});

const executable = join(checkout, 'dist/tsrun');
test.runIf(existsSync(executable))('the executable alone has the course in it', async () => {
  const elsewhere = mkdtempSync(join(checkout, 'dist/alone.'));
  try {
    linkSync(executable, join(elsewhere, 'tsrun'));
    copyOf('02-a-program', 'solution.ts');
    const alone = (...args: string[]): Promise<Result> =>
      run(join(elsewhere, 'tsrun'), ['learn', ...args], { env: environment, cwd: directory });
    expect((await alone('--lang', 'en')).stdout.match(/\[ \]/g)).toHaveLength(lessons.length);
    const answer = await alone('check', '2', '--lang', 'en');
    expect(answer, answer.stderr).toMatchObject({ code: 0, stdout: 'solved: 2. A program of system calls\n' });
    expect(readdirSync(join(directory, 'cache/tsrun'))).toEqual([expect.stringMatching(/^course-[0-9a-f]{16}$/)]);
    expect((await alone('breakout', '3')).code).toBe(0);
  } finally {
    rmSync(elsewhere, { recursive: true });
  }
});
