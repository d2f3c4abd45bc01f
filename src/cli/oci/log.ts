/**
 * Errors and warnings as runc writes them: callers (conmon, go-runc, dockerd) read the file of --log and show the last error of
 * it; without a file they go to stderr.
 */
import { appendFileSync } from 'node:fs';
import { messageOf, TsrunError } from '../../error.ts';
import { printError } from '../output.ts';

export type LogFormat = 'text' | 'json';
type Level = 'debug' | 'info' | 'warning' | 'error';

export class Log {
  readonly #path: string | undefined;
  readonly #format: LogFormat;
  readonly #debug: boolean;

  constructor(path: string | undefined, format: LogFormat, debug: boolean) {
    this.#path = path === '' || path === '/dev/stderr' ? undefined : path;
    this.#format = format;
    this.#debug = debug;
    if (this.#path === undefined) return;
    try {
      appendFileSync(this.#path, '', { mode: 0o600 });
    } catch (cause) {
      throw new TsrunError('USAGE', `unable to open the log "${this.#path}": ${messageOf(cause)}`, { cause });
    }
  }

  debug(message: string): void {
    if (this.#debug) this.#write('debug', message);
  }

  warn(message: string): void {
    this.#write('warning', message);
  }

  /** Also on stderr, where a person may look. */
  error(message: string): void {
    this.#write('error', message);
    if (this.#path !== undefined) printError(message);
  }

  #write(level: Level, message: string): void {
    const time = new Date().toISOString().replace(/\.\d+Z$/, 'Z');
    const line =
      this.#format === 'json'
        ? JSON.stringify({ level, msg: message, time })
        : `time="${time}" level=${level} msg=${JSON.stringify(message)}`;
    if (this.#path === undefined) {
      printError(line);
      return;
    }
    try {
      appendFileSync(this.#path, `${line}\n`, { mode: 0o600 });
    } catch {
      printError(line);
    }
  }
}
