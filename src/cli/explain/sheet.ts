/** An explanation as it is laid out in a language: sections of steps, for the terminal and for the page alike. */
import type { ExplainedStep, Explanation } from '../../container/explain/explanation.ts';
import type { Language } from '../options/language.ts';
import { kindOf, reasons, remarkTexts, titles, withoutStep } from './translate.ts';
import { words } from './words.ts';

/** `brief` has a line for each kind of step that says something, `full` every step with its call. */
export const levels = ['brief', 'full'] as const;
export type Level = (typeof levels)[number];

export interface SheetStep {
  /** Counted over the whole explanation, from 1; of the first, where several are one. */
  number: number;
  title: string;
  call?: string;
  why: string;
  without: string;
  shell: string;
}

export interface Section {
  name: string;
  about: string;
  /** Who takes these steps. */
  side: string;
  steps: SheetStep[];
}

export interface Sheet {
  language: Language;
  heading: string;
  /** Sentences that stand before all steps. */
  notes: string[];
  remarks: string[];
  sections: Section[];
}

/** `commandLine`: what is explained, as it would be typed. */
export function sheetOf(explanation: Explanation, commandLine: string, language: Language, level: Level): Sheet {
  const text = words[language];
  const calls = explanation.steps.filter(({ call }) => call !== undefined).length;
  const told = new Set<string>();
  const sections: Section[] = [];
  let last: ExplainedStep | undefined;
  const numbered = explanation.steps.map((step, index) => ({ step, number: index + 1 }));
  for (const { step, number } of numbered) {
    if (last?.phase !== step.phase || last.side !== step.side) {
      sections.push({ ...text.phases[step.phase], side: text.sides[step.side], steps: [] });
    }
    last = step;
    // The consequence is told where it is met first: a list that repeats itself is not read.
    const consequence = withoutStep(step.title, language) ?? '';
    const isNew = !told.has(consequence);
    told.add(consequence);
    sections.at(-1)?.steps.push({
      number,
      title: titles.translate(step.title, language),
      ...(step.call === undefined ? {} : { call: step.call }),
      why: reasons.translate(step.why, language),
      without: isNew ? consequence : '',
      shell: step.shell,
    });
  }
  const all = level === 'full' ? sections : briefly(sections, explanation.steps, language);
  return {
    language,
    heading: text.heading.replace('%s', () => commandLine),
    notes: [
      text.nothingDone,
      text.counts(explanation.steps.length, calls),
      ...(explanation.isStandIn ? [text.standIn] : []),
    ],
    remarks: explanation.remarks.map((remark) => remarkTexts.translate(remark, language)),
    sections: all,
  };
}

/** Steps of one kind become one; those that only prepare the next are left out. */
function briefly(sections: readonly Section[], steps: readonly ExplainedStep[], language: Language): Section[] {
  return sections.flatMap((section) => {
    const kinds = new Map<string, { step: SheetStep; count: number }>();
    for (const step of section.steps) {
      const original = steps[step.number - 1];
      if (original === undefined || (step.why === '' && original.shell === '' && step.without === '')) continue;
      const kind = kindOf(original.title);
      const known = kinds.get(kind);
      if (known !== undefined) known.count++;
      else {
        const { call: _, ...rest } = step;
        kinds.set(kind, { step: { ...rest, shell: '' }, count: 1 });
      }
    }
    if (kinds.size === 0) return [];
    const merged = [...kinds.values()].map(({ step, count }) =>
      count === 1 ? step : { ...step, title: `${step.title}, ${words[language].and(count - 1)}` },
    );
    return [{ ...section, steps: merged }];
  });
}
