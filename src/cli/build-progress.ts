/** A build as it is shown on stderr: as lines, in the form of BuildKit's plain progress, or on a terminal as a list that moves. */
import type { BuildProgress, StepProgress } from '../build/progress.ts';
import { messageOf, TsrunError } from '../error.ts';
import type { PullEvent } from '../image/events.ts';
import { TerminalProgress } from './build-terminal.ts';
import { escapeControls, printError } from './output.ts';
import { showPull } from './pull-progress.ts';
import { terminalSize } from './terminal.ts';

export interface ShownProgress extends BuildProgress {
  /** Where the events of a pull go. */
  pulling: (reference: string) => (event: PullEvent) => void;
  /** Ends the showing; `success` says what came of the build. */
  finish(success: boolean): void;
}

/** What is said of a step that failed: one that was stopped did not. */
export function failureOf(error: unknown): { mark: string; message: string } {
  if (error instanceof TsrunError && error.code === 'INTERRUPTED') return { mark: 'CANCELED', message: '' };
  return { mark: 'ERROR', message: messageOf(error).split('\n', 1)[0] ?? '' };
}

/** `mode`: `auto`, `plain`, `tty`, `quiet`. */
export function buildProgress(mode: string): ShownProgress {
  if (mode === 'quiet') return new QuietProgress();
  const moves = process.env.TERM !== 'dumb' && terminalSize(2) !== undefined;
  return moves && mode !== 'plain' ? new TerminalProgress() : new PlainProgress();
}

class QuietProgress implements ShownProgress {
  begin(title: string): StepProgress {
    const lines: string[] = [];
    const step = new PlainStep((line) => lines.push(line));
    step.onFailure = () => {
      printError(title);
      for (const line of lines) printError(line);
    };
    return step;
  }

  warn(text: string): void {
    printError(`tsrun: ${text}`);
  }

  pulling = (): ((event: PullEvent) => void) => showPull(2, true);

  finish(): void {}
}

/** Lines of one step; what a command prints is cut into lines, each with the seconds since the step began. */
class PlainStep implements StepProgress {
  private readonly start = performance.now();
  private rest = '';
  private readonly decoder = new TextDecoder();
  onFailure: () => void = () => {};

  constructor(private readonly print: (line: string) => void) {}

  output(bytes: Uint8Array): void {
    const lines = (this.rest + this.decoder.decode(bytes, { stream: true })).split('\n');
    this.rest = lines.pop() ?? '';
    for (const line of lines) this.line(line);
  }

  private line(text: string): void {
    // Of what was written over itself, as progress bars do, the last counts.
    const shown = text.replace(/\r$/, '').split('\r').at(-1) ?? '';
    this.print(`${this.seconds(3)} ${escapeControls(shown, true)}`);
  }

  private seconds(digits: number): string {
    return ((performance.now() - this.start) / 1000).toFixed(digits);
  }

  private flush(): void {
    if (this.rest !== '') this.line(this.rest);
    this.rest = '';
  }

  done(result: 'done' | 'cached'): void {
    this.flush();
    this.print(result === 'cached' ? 'CACHED' : `DONE ${this.seconds(1)}s`);
  }

  failed(error: unknown): void {
    this.flush();
    const { mark, message } = failureOf(error);
    this.print(message === '' ? mark : `${mark}: ${message}`);
    this.onFailure();
  }
}

class PlainProgress implements ShownProgress {
  private steps = 0;
  /** The step that spoke last: another one begins with its title. */
  private last = 0;

  begin(title: string): StepProgress {
    const number = ++this.steps;
    const say = (line: string): void => {
      if (this.last !== number) {
        if (this.last !== 0) printError('');
        printError(`#${number} ${title}`);
      }
      this.last = number;
      printError(`#${number} ${line}`);
    };
    return new PlainStep(say);
  }

  warn(text: string): void {
    this.last = 0;
    printError(text.startsWith('[') ? text : `tsrun: ${text}`);
  }

  pulling = (): ((event: PullEvent) => void) => showPull(2, false);

  finish(): void {}
}
