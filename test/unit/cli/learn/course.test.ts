import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { courseHome, lessonsOf, pageOf, titleOf } from '../../../../src/cli/learn/course.ts';
import { renderMarkdown } from '../../../../src/cli/learn/markdown.ts';

const home = await courseHome();
const lessons = lessonsOf(home);

test('there are ten lessons, each with all its parts', () => {
  expect(lessons.map(({ number }) => number)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
  for (const { directory } of lessons) {
    for (const part of ['README.md', 'README.ru.md', 'lesson.ts', 'solution.ts', 'check.ts']) {
      expect(existsSync(join(directory, part)), `${directory}/${part}`).toBe(true);
    }
  }
  // Nobody closes the last way out.
  const closed = lessons.filter(({ directory }) => existsSync(join(directory, 'breakout.ts')));
  expect(closed).toEqual(lessons.slice(0, -1));
});

test('no program of a lesson has 60 lines or more', () => {
  for (const { directory } of lessons) {
    for (const name of readdirSync(directory).filter((each) => each.endsWith('.ts'))) {
      const lines = readFileSync(join(directory, name), 'utf8').trimEnd().split('\n').length;
      if (name !== 'check.ts') expect(lines, `${directory}/${name}`).toBeLessThan(60);
    }
  }
});

test('both languages have the same parts and the same commands, and say that root is needed', () => {
  for (const lesson of lessons) {
    const [en, ru] = [pageOf(lesson, 'en'), pageOf(lesson, 'ru')];
    const count = (page: string, what: RegExp): number => page.match(what)?.length ?? 0;
    for (const what of [/^#+ /gm, /^```/gm, /^\d+\. /gm]) expect(count(ru, what), lesson.name).toBe(count(en, what));
    const commands = (page: string): string[] => page.match(/tsrun learn \w+ \d+/g) ?? [];
    expect(commands(ru), lesson.name).toEqual(commands(en));
    expect(titleOf(lesson, 'ru')).toMatch(new RegExp(`^${lesson.number}\\. .*[а-я]`));
    expect(en, lesson.name).toContain('Running this lesson needs root.');
    expect(ru, lesson.name).toContain('Запускать этот урок нужно от root.');
    expect(count(en, /\S+/g), lesson.name).toBeGreaterThan(250);
  }
});

test('no line of a page is wider than the terminal, code apart', () => {
  for (const lesson of lessons) {
    for (const language of ['en', 'ru'] as const) {
      const lines = renderMarkdown(pageOf(lesson, language), { width: 60, paint: (_, text) => text }).split('\n');
      expect(lines.filter((line) => line.length > 60 && !line.startsWith('    '))).toEqual([]);
    }
  }
});
