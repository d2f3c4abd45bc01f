/** `tsrun learn`: the course on how containers work (`lessons/`), its tasks and their checks. */
import { spawn } from 'node:child_process';
import { existsSync, statSync } from 'node:fs';
import { constants } from 'node:os';
import { join, relative, resolve } from 'node:path';
import { TsrunError } from '../../error.ts';
import type { Command } from '../command.ts';
import type { Flag } from '../flag.ts';
import {
  courseHome,
  findLesson,
  handOut,
  type Lesson,
  learnerDirectory,
  lessonFile,
  lessonsOf,
  pageOf,
  titleOf,
} from '../learn/course.ts';
import { Engine } from '../learn/engine.ts';
import { renderMarkdown } from '../learn/markdown.ts';
import { noteSolved, solvedLessons } from '../learn/progress.ts';
import { words } from '../learn/words.ts';
import { languageFlag, languageOf } from '../options/language.ts';
import { print } from '../output.ts';
import { hasColours, painter } from '../style.ts';
import { terminalSize } from '../terminal.ts';

const directoryFlag: Flag = {
  name: 'dir',
  type: 'string',
  description: 'Directory of your copy of the lesson (by default the one in ./tsrun-lessons)',
};

export const learn: Command = {
  usage: '[OPTIONS] [LESSON]',
  description:
    'Show the lessons on how containers work, or the page of one, and give you a copy of its program.\n' +
    '"tsrun learn run", "tsrun learn check" and "tsrun learn breakout" go on from there',
  flags: [directoryFlag, languageFlag],
  args: { min: 0, max: 1 },
  async run({ flags, args: [typed] }) {
    const language = languageOf(flags);
    const home = await courseHome();
    const paint = painter(hasColours(1));
    const width = Math.min(terminalSize(1)?.columns ?? 100, 120);
    const markdown = (text: string): void => print(renderMarkdown(text, { width, paint }));
    const text = words[language];
    if (typed === undefined) {
      const solved = solvedLessons();
      markdown(text.intro);
      const row = (lesson: Lesson): string => {
        const mark = solved.has(lesson.name) ? paint('green', '[x]') : '[ ]';
        return `  ${mark} ${lesson.number < 10 ? ' ' : ''}${titleOf(lesson, language)}`;
      };
      print(`\n${lessonsOf(home).map(row).join('\n')}\n\n`);
      markdown(text.outro);
      return 0;
    }
    const lesson = findLesson(home, typed);
    const directory = resolve(flags.string('dir') ?? learnerDirectory(lesson));
    markdown(pageOf(lesson, language));
    const copied = handOut(home, lesson, directory);
    const path = relative(process.cwd(), join(directory, lessonFile));
    print(`\n${copied ? text.copied(path) : text.kept(path)}\n${text.next(lesson.number)}\n`);
    return 0;
  },
};

export const learnRun: Command = {
  usage: '[OPTIONS] LESSON [COMMAND] [ARG...]',
  description:
    'Run the program of a lesson: your copy where there is one, else that of the course.\nCOMMAND is what runs in its container, by default a shell',
  flags: [directoryFlag],
  args: { min: 1 },
  flagsFirst: true,
  async run({ flags, args: [typed = '', ...command] }) {
    const home = await courseHome();
    const lesson = findLesson(home, typed);
    needRoot();
    const own = ownFile(lesson, flags.string('dir'));
    const file = existsSync(own) || flags.has('dir') ? existing(own) : join(lesson.directory, lessonFile);
    return withEngine(home, async (engine) => {
      const words = await engine.command(file);
      return start(engine, [...words, ...command], { TSRUN_LESSON_RUN: JSON.stringify(words) });
    });
  },
};

export const learnCheck: Command = {
  usage: '[OPTIONS] LESSON [DIRECTORY]',
  description:
    'Say whether the task of a lesson is solved.\nYour copy is run, and the check looks at what the kernel shows of it',
  flags: [languageFlag],
  args: { min: 1, max: 2 },
  async run({ flags, args: [typed = '', directory] }) {
    const language = languageOf(flags);
    const home = await courseHome();
    const lesson = findLesson(home, typed);
    needRoot();
    const file = existing(ownFile(lesson, directory));
    const status = await withEngine(home, async (engine) => {
      const check = await engine.command(join(lesson.directory, 'check.ts'));
      const probe = join(lesson.directory, 'probe.ts');
      return start(engine, check, {
        TSRUN_LESSON_RUN: JSON.stringify(await engine.command(file)),
        TSRUN_LESSON_LANG: language,
        ...(existsSync(probe) ? { TSRUN_LESSON_PROBE: await engine.module(probe) } : {}),
      });
    });
    if (status !== 0) return status;
    noteSolved(lesson.name);
    print(`${words[language].solved(titleOf(lesson, language))}\n`);
    return 0;
  },
};

export const learnBreakout: Command = {
  usage: '[OPTIONS] LESSON',
  description:
    "Try the break-out of a lesson in its container, then in the next lesson's, which is to hold it.\n" +
    'With --in only in the container of that lesson: the exit code is that of the break-out',
  flags: [
    { name: 'in', type: 'string', description: 'Number of the lesson whose container it is tried in' },
    languageFlag,
  ],
  args: { min: 1, max: 1 },
  async run({ flags, args: [typed = ''] }) {
    const language = languageOf(flags);
    const home = await courseHome();
    const lesson = findLesson(home, typed);
    if (!existsSync(join(lesson.directory, 'breakout.ts'))) {
      throw new TsrunError('USAGE', `lesson ${lesson.number} has no break-out`, { hint: 'its page says what is left' });
    }
    needRoot();
    const asked = flags.string('in');
    if (asked !== undefined) return breakOut(home, lesson, findLesson(home, asked));
    const next = findLesson(home, String(lesson.number + 1));
    let asTaught = true;
    for (const container of [lesson, next]) {
      const works = (await breakOut(home, lesson, container)) === 0;
      const title = titleOf(container, language);
      print(`${works ? words[language].breaksOut(title) : words[language].holds(title)}\n`);
      if (works !== (container === lesson)) asTaught = false;
    }
    return asTaught ? 0 : 1;
  },
};

/** Runs the program of `container` with the break-out of `lesson` in the place of a command. */
async function breakOut(home: string, lesson: Lesson, container: Lesson): Promise<number> {
  return withEngine(home, async (engine) => {
    const attack = join(lesson.directory, 'breakout.ts');
    const command = await engine.command(join(home, 'lessons/attempt.ts'));
    return start(engine, command, {
      TSRUN_LESSON_RUN: JSON.stringify(await engine.command(join(container.directory, lessonFile))),
      TSRUN_LESSON_BREAKOUT: await engine.module(attack),
    });
  });
}

async function withEngine<T>(home: string, use: (engine: Engine) => Promise<T>): Promise<T> {
  const engine = new Engine(home);
  try {
    return await use(engine);
  } finally {
    engine.dispose();
  }
}

/** Runs a command with this terminal and answers its exit status. Signals from the terminal are its matter. */
function start(engine: Engine, [file = '', ...args]: string[], more: Record<string, string> = {}): Promise<number> {
  const ignore = (): void => {};
  process.on('SIGINT', ignore);
  const child = spawn(file, args, { stdio: 'inherit', env: { ...process.env, ...engine.environment, ...more } });
  const forward = (signal: NodeJS.Signals): void => void child.kill(signal);
  for (const signal of forwarded) process.on(signal, forward);
  return new Promise<number>((done, reject) => {
    child.once('error', reject);
    child.once('exit', (code, signal) => done(code ?? 128 + constants.signals[signal ?? 'SIGKILL']));
  }).finally(() => {
    process.off('SIGINT', ignore);
    for (const signal of forwarded) process.off(signal, forward);
  });
}

const forwarded = ['SIGTERM', 'SIGHUP', 'SIGUSR1', 'SIGUSR2'] as const;

function ownFile(lesson: Lesson, directory: string | undefined): string {
  return join(resolve(directory ?? learnerDirectory(lesson)), lessonFile);
}

function existing(path: string): string {
  if (existsSync(path) && statSync(path).isFile()) return path;
  throw new TsrunError('NOT_FOUND', `there is no "${path}"`, {
    hint: '`tsrun learn LESSON` gives you a copy in ./tsrun-lessons; name its directory where it is elsewhere',
  });
}

function needRoot(): void {
  if (process.geteuid?.() === 0) return;
  throw new TsrunError('PERMISSION', 'lessons make namespaces and mounts: running them needs root', {
    hint: `sudo tsrun ${process.argv.slice(2).join(' ')}`,
  });
}
