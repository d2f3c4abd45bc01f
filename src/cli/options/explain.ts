/** The flags that all `explain` commands have, and what they say. */
import type { ParsedFlags } from '../arguments.ts';
import { type Level, levels } from '../explain/sheet.ts';
import type { Flag } from '../flag.ts';
import { languageFlag, oneOf } from './language.ts';

export const formats = ['text', 'json', 'html'] as const;
export type Format = (typeof formats)[number];

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
    languageFlag,
    {
      name: 'level',
      type: 'string',
      description: 'All steps with their system calls, or what they come to (brief|full)',
      shownDefault: '"full"',
      check: oneOf(levels),
    },
  ];
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
