/** The flags of `run` that show what it really does. Their modules are loaded only when they are given. */

import type { StartObserver } from '../../container/start.ts';
import { TsrunError } from '../../error.ts';
import type { ParsedFlags } from '../arguments.ts';
import type { Flag } from '../flag.ts';
import { languageFlag, languageOf } from './language.ts';

export const traceFlags: readonly Flag[] = [
  { ...languageFlag, description: 'Language of what --step, --trace and --timing print (en|ru)' },
  { name: 'step', type: 'bool', description: 'Stop before each phase of the start, and show what is there' },
  { name: 'timing', type: 'bool', description: 'Print to stderr how long each phase of the start took' },
  { name: 'trace', type: 'bool', description: 'Print every step to stderr, with its result and duration' },
  { name: 'trace-file', type: 'string', description: 'Print every step to this file instead' },
];

export type Observer = StartObserver & { finish(): void };

/** Who looks on, if that was asked for; `signal` gives a start up that stops. Throws `USAGE`. */
export async function observerOf(flags: ParsedFlags, signal: AbortSignal): Promise<Observer | undefined> {
  const file = flags.string('trace-file');
  const timing = flags.boolean('timing');
  const trace = flags.boolean('trace');
  const language = languageOf(flags);
  if (flags.boolean('step')) {
    if (file || timing || trace) {
      throw new TsrunError('USAGE', 'conflicting options: --step and --trace', {
        hint: 'a start that waits for somebody has no times to tell: give one of them',
      });
    }
    const [{ Stepper }, { hasColours, painter }] = await Promise.all([
      import('../step/stepper.ts'),
      import('../style.ts'),
    ]);
    return new Stepper({ language, paint: painter(hasColours(2)), signal });
  }
  if (!file && !timing && !trace) return undefined;
  const [{ Recorder }, { inEnglish }] = await Promise.all([
    import('../trace/recorder.ts'),
    import('../trace/render.ts'),
  ]);
  const words =
    language === 'en'
      ? inEnglish
      : await import('../explain/translate.ts').then(({ titles }) => ({
          language,
          translate: (title: string) => titles.translate(title, language),
        }));
  const lines = file ? { file } : trace ? 'stderr' : undefined;
  return new Recorder({ lines, timing, words });
}
