/** The course: where its files are, which lessons it has, and the learner's copies of them. */

import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { codeOf, TsrunError } from '../../error.ts';
import { artifactBytes, isExecutable } from '../../linux/artifacts.ts';
import { sha256 } from '../../linux/hash.ts';
import type { Language } from '../options/language.ts';

export interface Lesson {
  number: number;
  /** `03-chroot`: the name of its directory. */
  name: string;
  directory: string;
}

/** The file that a learner gets and changes. */
export const lessonFile = 'lesson.ts';

/** Beside the program that runs: a checkout, an installed package, or the sources themselves (tests). */
function besideProgram(): string | undefined {
  const places = isExecutable ? [join(dirname(process.execPath), '..')] : ['..', '../../..'];
  return places
    .map((place) => resolve(import.meta.dirname, place))
    .find((place) => existsSync(join(place, 'lessons/kit.ts')) && existsSync(join(place, 'src/linux/ffi.ts')));
}

/** What scripts/build.mjs puts into the executable: files of the repository by their path. */
const embeddedCourse = '/$bunfs/root/course.js';

/**
 * The directory with `lessons/`, and with `src/`, which lessons import. The executable alone writes its own copy into the
 * user's cache once; it is complete or not there.
 */
export async function courseHome(): Promise<string> {
  const beside = besideProgram();
  if (beside !== undefined) return beside;
  if (!isExecutable) {
    throw new TsrunError('UNSUPPORTED', 'the lessons are not there', {
      hint: 'this installation has no directory lessons/: take dist/tsrun, which has them in it, or a checkout of the repository',
    });
  }
  const { default: files } = (await import(embeddedCourse)) as { default: Record<string, string> };
  const digest = sha256(JSON.stringify(files)).toString('hex').slice(0, 16);
  const home = join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'tsrun', `course-${digest}`);
  if (!existsSync(home)) unpack(files, home);
  return home;
}

function unpack(files: Record<string, string>, home: string): void {
  mkdirSync(dirname(home), { recursive: true, mode: 0o700 });
  const temporary = mkdtempSync(`${home}.`);
  const write = (path: string, content: string | Uint8Array): void => {
    mkdirSync(dirname(join(temporary, path)), { recursive: true });
    writeFileSync(join(temporary, path), content);
  };
  for (const [path, text] of Object.entries(files)) write(path, text);
  for (const name of ['tsrun-monitor', 'tsrun-syscall.bin']) write(join('dist', name), artifactBytes(name));
  try {
    renameSync(temporary, home);
  } catch (error) {
    rmSync(temporary, { recursive: true, force: true });
    // Another command was faster.
    if (codeOf(error) !== 'ENOTEMPTY' && codeOf(error) !== 'EEXIST') throw error;
  }
}

/** All lessons in their order. */
export function lessonsOf(home: string): Lesson[] {
  return readdirSync(join(home, 'lessons'))
    .filter((name) => /^\d\d-/.test(name))
    .sort()
    .map((name) => ({ number: Number(name.slice(0, 2)), name, directory: join(home, 'lessons', name) }));
}

/** The lesson of a number that was typed. Throws `USAGE`. */
export function findLesson(home: string, typed: string): Lesson {
  const lessons = lessonsOf(home);
  const found = lessons.find(({ number, name }) => typed === name || (/^\d+$/.test(typed) && Number(typed) === number));
  if (found !== undefined) return found;
  throw new TsrunError('USAGE', `there is no lesson ${JSON.stringify(typed)}`, {
    hint: `the lessons are 1 to ${lessons.length}; \`tsrun learn\` lists them`,
  });
}

/** The page of a lesson in Markdown. */
export function pageOf({ directory }: Lesson, language: Language): string {
  return readFileSync(join(directory, language === 'en' ? 'README.md' : `README.${language}.md`), 'utf8');
}

/** The lessons where they can be had without writing anything. */
export function lessonsAtHand(): Lesson[] {
  const home = besideProgram();
  return home === undefined ? [] : lessonsOf(home);
}

/** The heading of its page: `3. A root of its own`. */
export function titleOf(lesson: Lesson, language: Language): string {
  return /^# (.+)$/m.exec(pageOf(lesson, language))?.[1] ?? lesson.name;
}

/** Where a learner's copy is unless told otherwise. */
export function learnerDirectory({ name }: Lesson): string {
  return resolve('tsrun-lessons', name);
}

/** Copies the lesson's file to where the learner will change it. Returns whether it did: what is there is never overwritten. */
export function handOut(home: string, lesson: Lesson, directory: string): boolean {
  const target = join(directory, lessonFile);
  if (existsSync(target)) return false;
  mkdirSync(directory, { recursive: true });
  copyFileSync(join(lesson.directory, lessonFile), target);
  // So that an editor finds what lessons import.
  const settings = join(dirname(directory), 'tsconfig.json');
  if (!existsSync(settings)) writeFileSync(settings, `${JSON.stringify(compilerSettings(home), null, 2)}\n`);
  return true;
}

/** What `tsrun/…` means, for editors and for the engine that runs lessons. */
export function compilerSettings(home: string): object {
  return {
    compilerOptions: {
      target: 'es2023',
      module: 'nodenext',
      strict: true,
      noEmit: true,
      allowImportingTsExtensions: true,
      paths: { 'tsrun/lessons/*': [join(home, 'lessons/*')], 'tsrun/*': [join(home, 'src/*')] },
    },
  };
}
