/** What was traced, for people: a line for each step, and sums by phase. */
import type { Phase } from '../../trace.ts';
import type { Language } from '../options/language.ts';
import type { TracedStep } from './traced.ts';
import { traceWords } from './words.ts';

const milliseconds = (value: number | undefined, width: number): string =>
  (value === undefined ? '-' : value.toFixed(3)).padStart(width);

export interface TraceLanguage {
  language: Language;
  /** Of a step's title: the catalogue is loaded only where it is needed. */
  translate: (title: string) => string;
}

export const inEnglish: TraceLanguage = { language: 'en', translate: (title) => title };

/** `   12.345   0.012 ms  container  mounts      make all mounts private: mount(…) = 0` */
export function renderLine(step: TracedStep, { language, translate }: TraceLanguage = inEnglish): string {
  const { sides, phases, tolerated, failed } = traceWords[language];
  const times = `${milliseconds(step.start, 9)} ${milliseconds(step.duration, 8)} ${language === 'ru' ? 'мс' : 'ms'}`;
  const title = translate(step.title);
  const result = step.result.replace(/ \(tolerated\)$/, ` (${tolerated})`).replace(/^failed: /, `${failed}: `);
  const who = `${sides[step.side].padEnd(9)}  ${phases[step.phase].padEnd(10)}`;
  return `${times}  ${who}  ${title}${result === '' ? '' : `: ${result}`}`;
}

export interface Sum {
  phase: Phase;
  steps: number;
  /** Milliseconds of the command line, and of the program. */
  host: number;
  program: number;
}

/** Sums in the order in which phases begin. A step within another counts once, where it is innermost. */
export function sumByPhase(steps: readonly TracedStep[]): Sum[] {
  const sums = new Map<Phase, Sum>();
  const open: TracedStep[] = [];
  for (const step of [...steps].sort((a, b) => a.start - b.start)) {
    const sum = sums.get(step.phase) ?? { phase: step.phase, steps: 0, host: 0, program: 0 };
    sums.set(step.phase, sum);
    sum.steps++;
    const duration = step.duration ?? 0;
    if (step.side !== 'command') {
      sum.program += duration;
      continue;
    }
    while (open.length > 0 && endOf(open.at(-1)) <= step.start) open.pop();
    const around = open.at(-1);
    if (around !== undefined) {
      const outer = sums.get(around.phase);
      if (outer !== undefined) outer.host -= Math.min(duration, endOf(around) - step.start);
    }
    sum.host += duration;
    open.push(step);
  }
  return [...sums.values()];
}

function endOf(step: TracedStep | undefined): number {
  return step === undefined ? 0 : step.start + (step.duration ?? 0);
}

/** A table of the sums; `until`: milliseconds from the start of tsrun until the command ran. */
export function renderSums(sums: readonly Sum[], until: number | undefined, language: Language = 'en'): string[] {
  const words = traceWords[language];
  const row = (name: string, steps: string, host: string, program: string): string =>
    `${name.padEnd(12)}${steps.padStart(6)}${host.padStart(12)}${program.padStart(12)}`;
  const total = sums.reduce(
    (all, { steps, host, program }) => ({
      steps: all.steps + steps,
      host: all.host + host,
      program: all.program + program,
    }),
    { steps: 0, host: 0, program: 0 },
  );
  const numbers = ({ steps, host, program }: Omit<Sum, 'phase'>): [string, string, string] => [
    String(steps),
    host.toFixed(2),
    program.toFixed(2),
  ];
  return [
    row(words.phase, words.steps, words.host, words.program),
    ...sums.map((sum) => row(words.phases[sum.phase], ...numbers(sum))),
    row(words.total, ...numbers(total)),
    ...(until === undefined ? [] : [words.until.replace('%s', until.toFixed(2))]),
  ];
}
