/** An explanation for programs. */
import type { Explanation } from '../../container/explain/explanation.ts';
import type { Language } from '../options/language.ts';
import { reasons, remarkTexts, titles, withoutStep } from './translate.ts';

/** One document with every step; texts in the language, everything else the same in all. */
export function renderJson(explanation: Explanation, commandLine: string, language: Language): string {
  const { command, subject, isStandIn, remarks, steps } = explanation;
  const document = {
    Command: command,
    CommandLine: commandLine,
    Subject: subject,
    Language: language,
    StandIn: isStandIn,
    Remarks: remarks.map((remark) => remarkTexts.translate(remark, language)),
    Steps: steps.map(({ side, phase, title, why, call, shell, isNote }, index) => ({
      Step: index + 1,
      Side: side,
      Phase: phase,
      Title: titles.translate(title, language),
      Why: reasons.translate(why, language),
      Without: withoutStep(title, language) ?? '',
      Call: call ?? '',
      Shell: shell,
      Traced: !isNote,
    })),
  };
  return `${JSON.stringify(document, null, 2)}\n`;
}
