/** The text of a Dockerfile, and errors that show the place in it: file, line, and the line itself. */
import { type ErrorCode, TsrunError } from '../../error.ts';

/** Lines that an instruction stands on, counted from 1; both are included. */
export interface Location {
  start: number;
  end: number;
}

/** Lines that are shown before and behind the place of an error. */
const context = 2;

export class DockerfileSource {
  readonly lines: readonly string[];

  /** `name`: as people know the file. */
  constructor(
    readonly name: string,
    text: string,
  ) {
    this.lines = text.replace(/^\ufeff/, '').split(/\r?\n/);
  }

  /** The lines around a place, that itself marked, as buildx shows them. */
  excerpt({ start, end }: Location): string {
    const first = Math.max(1, start - context);
    const last = Math.min(this.lines.length, end + context);
    const rule = '-'.repeat(20);
    const shown: string[] = [];
    for (let line = first; line <= last; line++) {
      const text = this.lines[line - 1] ?? '';
      // Behind the last line of a file there is nothing.
      if (line === this.lines.length && text === '' && line > end) continue;
      const mark = line >= start && line <= end ? '>>>' : '   ';
      shown.push(`${String(line).padStart(4)} | ${mark} ${text}`.trimEnd());
    }
    return [`${this.name}:${start}`, rule, ...shown, rule].join('\n');
  }

  /** An error at a place. */
  error(at: Location, message: string, options: { hint?: string; code?: ErrorCode; cause?: unknown } = {}): TsrunError {
    const { hint = 'docs/build.md says what tsrun reads, and what it does not', code = 'USAGE', cause } = options;
    return new LocatedError(code, `${message}\n${this.excerpt(at)}`, { hint, cause });
  }

  /** Runs what may fail for reasons that lie in the instruction at `at`, and says so. */
  locate<T>(at: Location, run: () => T): T {
    try {
      return run();
    } catch (error) {
      throw this.located(at, error);
    }
  }

  /** The error with its place; one that has a place keeps it, and so does what is no fault of the instruction. */
  located(at: Location, error: unknown): unknown {
    if (!(error instanceof TsrunError) || error instanceof LocatedError || error.code === 'INTERRUPTED') return error;
    const { hint, code } = error;
    const ofCommit = hint?.startsWith('what --change takes') ?? false;
    return this.error(at, error.message, {
      code: code === 'NOT_FOUND' ? 'USAGE' : code,
      cause: error,
      ...(hint === undefined || ofCommit ? {} : { hint }),
    });
  }
}

/** An error that shows its place. */
class LocatedError extends TsrunError {}
