/**
 * The one error that users see: what was tried, on what, what the kernel or the registry answered, what to do.
 * Exit codes follow `code`, never the text of a message.
 */

/** Stable codes, in the manner of Node's `ERR_*`; tests and exit codes depend on them. */
export type ErrorCode =
  | 'USAGE' // the command line is wrong: 125
  | 'INVALID_REFERENCE'
  | 'NOT_FOUND' // no such container, image, file in the store
  | 'CONFLICT' // a name, port or state that excludes the request
  | 'IN_USE'
  | 'PERMISSION' // root or a capability is missing
  | 'UNSUPPORTED' // the kernel or the machine lacks a feature
  | 'REGISTRY' // the registry refused or broke off
  | 'UNAUTHORIZED'
  | 'RATE_LIMIT'
  | 'NETWORK' // a connection could not be made
  | 'VERIFICATION' // a digest does not match
  | 'ARCHIVE' // a layer's archive is malformed or hostile
  | 'NO_SPACE'
  | 'CORRUPT' // a file of the store does not read as what it must be
  | 'SYSCALL' // a system call of the host's side failed
  | 'PROGRAM' // a step of the start program failed
  | 'COMMAND_NOT_FOUND' // exit code 127
  | 'COMMAND_NOT_EXECUTABLE' // exit code 126
  | 'INTERRUPTED';

export interface TsrunErrorOptions {
  /** What the user can do about it; printed on a line of its own. */
  hint?: string | undefined;
  cause?: unknown;
  /** Overrides the exit code that follows from `code`. */
  exitCode?: number | undefined;
}

/** An error with a stable code, an optional hint and the exit code of the command line. */
export class TsrunError extends Error {
  readonly code: ErrorCode;
  readonly hint: string | undefined;
  readonly exitCode: number;

  constructor(code: ErrorCode, message: string, options: TsrunErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'TsrunError';
    this.code = code;
    this.hint = options.hint;
    this.exitCode = options.exitCode ?? exitCodeOf(code);
  }
}

/** Exit code for an error code: 126 and 127 as docker has them, 125 for whatever the engine could not do. */
function exitCodeOf(code: ErrorCode): number {
  if (code === 'COMMAND_NOT_FOUND') return 127;
  if (code === 'COMMAND_NOT_EXECUTABLE') return 126;
  return 125;
}

/** The message of anything that was thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** The code of an error of Node's (`ENOENT`), if it has one. */
export function codeOf(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined;
}
