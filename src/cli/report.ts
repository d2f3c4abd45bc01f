/** Errors as people see them on stderr: what was tried, what came of it, and on a line of its own what to do. */
import { codeOf, messageOf, TsrunError } from '../error.ts';
import { errnoName, SyscallError } from '../linux/errno.ts';
import { CommandLineError } from './arguments.ts';
import { interruptedBy } from './interrupt.ts';
import { printError } from './output.ts';

/** What to do about an answer of the kernel that is no fault of tsrun, for errors that do not say it themselves. */
function refusalOf(error: unknown): string | undefined {
  if (error instanceof TsrunError && error.hint !== undefined) return undefined;
  // It is not the store that is full: what is written to is named, and may be anything (stdout).
  if (error instanceof TsrunError && error.code === 'NO_SPACE' && !(error instanceof SyscallError)) return undefined;
  const code = [error, error instanceof Error ? error.cause : undefined]
    .map((each) => (each instanceof SyscallError ? errnoName(each.errno) : codeOf(each)))
    .find((each) => each !== undefined && (answers.has(each) || each === 'EPERM'));
  if ((code === 'EACCES' || code === 'EPERM') && process.geteuid?.() !== 0) return 'tsrun needs root: run it with sudo';
  return code === undefined ? undefined : answers.get(code);
}

const answers: ReadonlyMap<string, string> = new Map([
  ['ENOSPC', 'the disk is full: tsrun system df shows what takes space, tsrun system prune removes what nobody uses'],
  ['EDQUOT', 'the quota of the disk is used up: tsrun system prune removes what nobody uses'],
  [
    'EROFS',
    'the filesystem is read-only: remount it, or name another place with --root (TSRUN_ROOT) and --state (TSRUN_STATE)',
  ],
  ['EACCES', 'what is in the way is not the user: look at the mount, its options and security modules'],
  ['EIO', 'the disk fails: the kernel says more (dmesg)'],
  ['EMFILE', 'too many open files: raise the limit (ulimit -n)'],
  ['ENFILE', 'too many open files on this machine'],
  ['ENOMEM', 'the machine has no memory left'],
]);

/** What a `TsrunError` has unless its code says something more telling. */
const generalExitCode = 125;

/**
 * Prints an error in the form that its kind has, and answers the exit code. `command` is what was called (`tsrun run`),
 * `failure` its exit code for what has none of its own. `tell` prints a line. Who was interrupted ends as such, whatever has
 * failed: a Ctrl-C also ends the programs that a command has started (a credential helper).
 */
export function report(
  error: unknown,
  command: string,
  failure: number,
  tell: (line: string) => void = printError,
): number {
  const signal = interruptedBy();
  if (signal === undefined) return describe(error, command, failure, tell);
  if (!(error instanceof TsrunError && error.code === 'INTERRUPTED')) describe(error, command, failure, tell);
  return 128 + signal;
}

function describe(error: unknown, command: string, failure: number, tell: (line: string) => void): number {
  if (error instanceof CommandLineError) {
    tell(error.message);
    if (error.hint !== undefined) tell(error.hint);
    return error.exitCode;
  }
  const refusal = refusalOf(error);
  if (refusal !== undefined) {
    tell(`tsrun: ${messageOf(error)}`);
    tell(`  ${refusal}`);
    return failure;
  }
  if (!(error instanceof TsrunError)) {
    tell(`tsrun: ${messageOf(error)}`);
    // Not foreseen: the stack is what helps.
    if (process.env.TSRUN_DEBUG && error instanceof Error) tell(error.stack ?? '');
    else tell('  this is a fault of tsrun itself; with TSRUN_DEBUG=1 it says where');
    return failure;
  }
  // Docker's client says "Error: No such container: x", except in run, where its own name stands before everything.
  const prefix = error.code === 'NOT_FOUND' && failure !== generalExitCode ? 'Error' : 'tsrun';
  tell(`${prefix}: ${error.message}`);
  if (error.hint !== undefined) tell(`  ${error.hint}`);
  else if (error.code === 'USAGE') tell(`See '${command} --help'.`);
  return error.exitCode === generalExitCode ? failure : error.exitCode;
}
