/** A program for people: each step as a title, the call as strace would write it, and its reason. */
import { errnoName } from '../linux/errno.ts';
import type { Argument, Operation, Program } from './program.ts';

function renderArgument(argument: Argument): string {
  if (typeof argument === 'number' || typeof argument === 'bigint') {
    return argument >= 4096 ? `0x${argument.toString(16)}` : String(argument);
  }
  if (argument.kind === 'load') return `<${argument.label}>`;
  return argument.isText ? JSON.stringify(argument.label) : `{${argument.label}}`;
}

/** `mount("proc", …)` */
export function renderCall(operation: Operation): string {
  return `${operation.call}(${operation.args.map(renderArgument).join(', ')})`;
}

export type ProgramFormat = 'text' | 'json';

/** The whole list. Text has a line for each step, and its reason on the next. */
export function renderProgram(program: Program, format: ProgramFormat): string {
  if (format === 'json') {
    return JSON.stringify(
      program.operations.map((operation, index) => ({
        step: index + 1,
        phase: operation.phase,
        title: operation.title,
        why: operation.why,
        call: renderCall(operation),
        shell: operation.shell,
      })),
      null,
      2,
    );
  }
  const width = String(program.operations.length).length;
  return program.operations
    .map((operation, index) => {
      const head = `${String(index + 1).padStart(width)}. [${operation.phase}] ${operation.title}`;
      const call = `${' '.repeat(width + 2)}${renderCall(operation)}`;
      return operation.why === '' ? `${head}\n${call}` : `${head}\n${call}\n${' '.repeat(width + 2)}(${operation.why})`;
    })
    .join('\n');
}

/** Titles that name what a step gives rather than what it does. */
const noun =
  /^(an?|as|the|it|no|none|not|new|those|children|console|device|hostname|IPv6|layer|loopback|NIS|out-of-memory|overlay|pid|pidfd|pipe|private|read-only|slave|socket|std(in|out|err),?|supplementary|sysctl|tell:|\/dev\/null|monitor:|(tmpfs|proc|sysfs|devpts|mqueue|cgroup2?) for) /;

/** The beginning of a message about a step that failed: `cannot mount proc`, but `sysctl kernel.x=1`. */
export function failed(title: string): string {
  return noun.test(title) ? title : `cannot ${title}`;
}

/**
 * What a failed step means: `cannot attach proc at /proc: EPERM (step 23 of 172)`, with the hint that belongs to it.
 * `error` is an errno; 0 or below, the call succeeded with the result -error, which was not the expected one.
 */
export function describeFailure(
  program: Program,
  index: number,
  error: number,
): { message: string; hint: string | undefined } {
  const operation = program.operations[index];
  if (operation === undefined)
    return { message: `the start program is malformed (step ${index + 1})`, hint: undefined };
  const answer = error > 0 ? errnoName(error) : `the answer was ${-error}, not the expected one`;
  const hints: Readonly<Record<string, string | undefined>> = operation.hints;
  return {
    message: `${failed(operation.title)}: ${answer} (step ${index + 1} of ${program.operations.length}: ${renderCall(operation)})`,
    hint: hints[answer],
  };
}
