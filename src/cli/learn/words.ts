/** What `tsrun learn` says around the pages, in each language. */
import type { Language } from '../options/language.ts';

interface Words {
  intro: string;
  outro: string;
  solved: (name: string) => string;
  copied: (path: string) => string;
  kept: (path: string) => string;
  next: (number: number) => string;
  breaksOut: (title: string) => string;
  holds: (title: string) => string;
}

export const words: Record<Language, Words> = {
  en: {
    intro:
      'How containers work, in ten lessons. Each has a page, a program, a task, and a break-out that the next lesson closes.',
    outro: '`tsrun learn 1` begins, `tsrun learn check 1` looks at your solution. Running lessons needs root.',
    solved: (name) => `solved: ${name}`,
    copied: (path) => `Your copy: ${path}`,
    kept: (path) => `Your copy is there already and stays as it is: ${path}`,
    next: (number) =>
      `Run it:            sudo tsrun learn run ${number}\nHave it checked:   sudo tsrun learn check ${number}\nBreak out:         sudo tsrun learn breakout ${number}`,
    breaksOut: (title) => `The break-out works in the container of "${title}".`,
    holds: (title) => `The break-out fails in the container of "${title}".`,
  },
  ru: {
    intro:
      'Как устроены контейнеры, в десяти уроках. В каждом есть страница, программа, задача и побег, который закрывает следующий урок.',
    outro: 'Начать: `tsrun learn 1`; проверить решение: `tsrun learn check 1`. Запускать уроки может только root.',
    solved: (name) => `решено: ${name}`,
    copied: (path) => `Ваша копия: ${path}`,
    kept: (path) => `Ваша копия уже есть и остаётся как есть: ${path}`,
    next: (number) =>
      `Запустить:   sudo tsrun learn run ${number}\nПроверить:   sudo tsrun learn check ${number}\nСбежать:     sudo tsrun learn breakout ${number}`,
    breaksOut: (title) => `Из контейнера урока «${title}» побег удаётся.`,
    holds: (title) => `Из контейнера урока «${title}» побег не удаётся.`,
  },
};
