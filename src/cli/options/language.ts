/** `--lang`: the language that a command explains in. By itself, since the catalogues are loaded only where they are read. */
import type { ParsedFlags } from '../arguments.ts';
import type { Flag } from '../flag.ts';

export const languages = ['en', 'ru'] as const;
export type Language = (typeof languages)[number];

/** A check of a flag that takes one of a few words. */
export function oneOf(choices: readonly string[]): (text: string) => void {
  return (text) => {
    if (!choices.includes(text)) throw new Error(`must be one of ${choices.join(', ')}`);
  };
}

export const languageFlag: Flag = {
  name: 'lang',
  type: 'string',
  description: 'Language of the texts (en|ru); by default that of the environment',
  check: oneOf(languages),
};

/** The language that was asked for, or that of messages in the environment (man 7 locale). */
export function languageOf(flags: ParsedFlags, environment: NodeJS.ProcessEnv = process.env): Language {
  const asked = languages.find((language) => language === flags.string('lang'));
  if (asked !== undefined) return asked;
  const locale = environment.LC_ALL || environment.LC_MESSAGES || environment.LANG || '';
  return languages.find((language) => locale.startsWith(`${language}_`)) ?? 'en';
}
