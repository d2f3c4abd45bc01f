/** The flags that all `explain` commands have, and what they say. */
import type { ParsedFlags } from '../arguments.ts';
import { type Level, levels } from '../explain/sheet.ts';
import { type Language, languages } from '../explain/translate.ts';
import type { Flag } from '../flag.ts';

export const formats = ['text', 'json', 'html'] as const;
export type Format = (typeof formats)[number];

function oneOf(choices: readonly string[]): (text: string) => void {
  return (text) => {
    if (!choices.includes(text)) throw new Error(`must be one of ${choices.join(', ')}`);
  };
}

export const langFlag: Flag = {
  name: 'lang',
  type: 'string',
  description: 'Language of the texts (en|ru); by default that of the environment',
  check: oneOf(languages),
};

/** `--format`, `--lang`, `--level`. */
export function explainFlags(choices: readonly string[] = formats): Flag[] {
  return [
    {
      name: 'format',
      type: 'string',
      description: `What is printed (${choices.join('|')})`,
      shownDefault: '"text"',
      check: oneOf(choices),
    },
    langFlag,
    {
      name: 'level',
      type: 'string',
      description: 'All steps with their system calls, or what they come to (brief|full)',
      shownDefault: '"full"',
      check: oneOf(levels),
    },
  ];
}

/** The language that was asked for, or that of messages in the environment (man 7 locale). */
export function languageOf(flags: ParsedFlags, environment: NodeJS.ProcessEnv = process.env): Language {
  const asked = languages.find((language) => language === flags.string('lang'));
  if (asked !== undefined) return asked;
  const locale = environment.LC_ALL || environment.LC_MESSAGES || environment.LANG || '';
  return languages.find((language) => locale.startsWith(`${language}_`)) ?? 'en';
}

export function levelOf(flags: ParsedFlags): Level {
  return levels.find((level) => level === flags.string('level')) ?? 'full';
}

/** The words of a command line without the flags of `explain`; the last `fixed` of them belong to somebody else. */
export function withoutExplainFlags(words: readonly string[], fixed: number): string[] {
  const own = new Set(explainFlags().map(({ name }) => `--${name}`));
  const kept: string[] = [];
  for (let at = 0; at < words.length; at++) {
    const word = words[at] ?? '';
    const [name = ''] = word.split('=');
    if (at >= words.length - fixed || !own.has(name)) kept.push(word);
    else if (!word.includes('=')) at++;
  }
  return kept;
}
