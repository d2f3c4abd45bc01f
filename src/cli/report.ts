/** Errors as people see them on stderr: what was tried, what came of it, and on a line of its own what to do. */
import { messageOf, TsrunError } from '../error.ts';
import { CommandLineError } from './arguments.ts';
import { interruptedBy } from './interrupt.ts';
import { printError } from './output.ts';

/** What a `TsrunError` has unless its code says something more telling. */
const generalExitCode = 125;

/**
 * Prints an error in the form that its kind has, and answers the exit code. `command` is what was called (`tsrun run`),
 * `failure` its exit code for what has none of its own.
 */
export function report(error: unknown, command: string, failure: number): number {
  if (error instanceof CommandLineError) {
    printError(error.message);
    if (error.hint !== undefined) printError(error.hint);
    return error.exitCode;
  }
  if (!(error instanceof TsrunError)) {
    printError(`tsrun: ${messageOf(error)}`);
    // Not foreseen: the stack is what helps.
    if (process.env.TSRUN_DEBUG && error instanceof Error) printError(error.stack ?? '');
    else printError('  this is a fault of tsrun itself; with TSRUN_DEBUG=1 it says where');
    return failure;
  }
  if (error.code === 'INTERRUPTED' && interruptedBy() !== undefined) return 128 + (interruptedBy() ?? 0);
  // Docker's client says "Error: No such container: x", except in run, where its own name stands before everything.
  const prefix = error.code === 'NOT_FOUND' && failure !== generalExitCode ? 'Error' : 'tsrun';
  printError(`${prefix}: ${error.message}`);
  if (error.hint !== undefined) printError(`  ${error.hint}`);
  else if (error.code === 'USAGE') printError(`See '${command} --help'.`);
  return error.exitCode === generalExitCode ? failure : error.exitCode;
}
