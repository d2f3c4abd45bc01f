/** What `start` can fail in, written down by `create`: the program itself is gone by then. */
import { join } from 'node:path';
import { TsrunError } from '../error.ts';
import { errnoName } from '../linux/errno.ts';
import type { Program } from '../program/program.ts';
import { failed } from '../program/render.ts';
import { list, map, object, text } from '../runtime/schema.ts';
import { stepFailed } from './machine.ts';
import { readJson, writeJson } from './store.ts';

interface Step {
  call: string;
  title: string;
  hints: Record<string, string>;
}

const parseSteps = object<{ total: string; first: string; steps: Step[] }>(
  {
    total: text,
    first: text,
    steps: list(object<Step>({ call: text, title: text, hints: map(text) }, {})),
  },
  {},
);

const file = 'steps.json';

/** Keeps the operations from `waiting` on. */
export function keepSteps(directory: string, program: Program, waiting: number): void {
  writeJson(join(directory, file), {
    total: String(program.operations.length),
    first: String(waiting),
    steps: program.operations.slice(waiting).map(({ call, title, hints }) => ({ call, title, hints })),
  });
}

/** The error of a step that failed with `errno`. */
export function keptFailure(directory: string, operation: number, errno: number, args: readonly string[]): TsrunError {
  const { total, first, steps } = parseSteps(readJson(join(directory, file)), file);
  const step = steps[operation - Number(first)];
  if (step === undefined) return new TsrunError('PROGRAM', `the container failed in step ${operation + 1} of ${total}`);
  const name = errnoName(errno);
  const message = `${failed(step.title)}: ${name} (step ${operation + 1} of ${total})`;
  return stepFailed(step.call, message, step.hints[name], errno, args);
}
