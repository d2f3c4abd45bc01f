/** The flags of `run` that show what it really does. Their modules are loaded only when they are given. */
import type { ParsedFlags } from '../arguments.ts';
import type { Flag } from '../flag.ts';
import type { Recorder } from '../trace/recorder.ts';

export const traceFlags: readonly Flag[] = [
  { name: 'timing', type: 'bool', description: 'Print to stderr how long each phase of the start took' },
  { name: 'trace', type: 'bool', description: 'Print every step to stderr, with its result and duration' },
  { name: 'trace-file', type: 'string', description: 'Print every step to this file instead' },
];

/** Who looks on, if that was asked for. Throws `USAGE`. */
export async function recorderOf(flags: ParsedFlags): Promise<Recorder | undefined> {
  const file = flags.string('trace-file');
  const timing = flags.boolean('timing');
  if (!file && !timing && !flags.boolean('trace')) return undefined;
  const { Recorder } = await import('../trace/recorder.ts');
  const lines = file ? { file } : flags.boolean('trace') ? 'stderr' : undefined;
  return new Recorder({ lines, timing });
}
