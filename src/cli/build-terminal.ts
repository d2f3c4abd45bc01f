/**
 * A build on a terminal: a line for each step with its time, under a running one the last lines of what it prints. Lines of
 * steps that have ended scroll up and stay; those of running ones are drawn again a few times a second.
 */
import type { BuildProgress, StepProgress } from '../build/progress.ts';
import type { PullEvent } from '../image/events.ts';
import { failureOf } from './build-progress.ts';
import { escapeControls, printError, writeBytes } from './output.ts';
import { showPull } from './pull-progress.ts';
import { hasColours, painter } from './style.ts';
import { terminalSize } from './terminal.ts';

/** Lines of a running step's output that are shown, and kept for when it fails. */
const shownLines = 6;
const keptLines = 200;
/** Milliseconds between two drawings. */
const interval = 100;

interface Running {
  title: string;
  start: number;
  lines: string[];
  rest: string;
  staysShown: boolean;
  decoder: { decode(bytes: Uint8Array, options: { stream: boolean }): string };
}

export class TerminalProgress implements BuildProgress {
  private readonly running = new Set<Running>();
  private drawn = 0;
  private begunSteps = 0;
  private endedSteps = 0;
  private readonly begun = performance.now();
  private readonly timer = setInterval(() => this.draw(), interval);
  private readonly paint = painter(hasColours(2));

  begin(title: string): StepProgress {
    const step: Running = {
      title: escapeControls(title),
      start: performance.now(),
      lines: [],
      rest: '',
      decoder: new TextDecoder(),
      staysShown: title.startsWith('exporting '),
    };
    this.running.add(step);
    this.begunSteps++;
    this.draw();
    const printed = (): string[] => [...step.lines, step.rest].filter((line) => line !== '');
    return {
      output: (bytes) => takeOutput(step, bytes),
      done: (result) => {
        this.endedSteps++;
        // What a command has printed goes, and what is said of the result stays.
        this.end(step, result === 'cached' ? this.paint('dim', 'CACHED ') : '', step.staysShown ? printed() : []);
      },
      failed: (error) => {
        const { mark } = failureOf(error);
        if (mark === 'ERROR') this.end(step, this.paint('red', 'ERROR '), printed());
        else this.end(step, this.paint('dim', `${mark} `), []);
      },
    };
  }

  warn(text: string): void {
    this.erase();
    printError(text.startsWith('[') ? text : `tsrun: ${text}`);
    this.draw();
  }

  /** A pull draws lines of its own; it is told in one. */
  pulling = (): ((event: PullEvent) => void) => showPull(2, true);

  finish(success: boolean): void {
    clearInterval(this.timer);
    this.erase();
    const count = `(${this.endedSteps}/${this.begunSteps})`;
    printError(`[+] Building ${seconds(this.begun)}s ${count}${success ? ' FINISHED' : ''}`);
  }

  private end(step: Running, mark: string, output: readonly string[]): void {
    this.running.delete(step);
    this.erase();
    writeBytes(2, Buffer.from(`${this.line(` => ${mark}${step.title}`, step.start)}\n`));
    for (const line of output) writeBytes(2, Buffer.from(` => => ${line}\n`));
    this.draw();
  }

  private get columns(): number {
    return terminalSize(2)?.columns ?? 80;
  }

  private line(text: string, start: number): string {
    const time = `${seconds(start)}s`;
    const room = Math.max(10, this.columns - time.length - 2);
    const plain = text.replace(/\x1b\[\d+m/g, '');
    const cut = plain.length > room ? `${plain.slice(0, room - 1)}…` : plain;
    // Colours take no room: they are put in again where nothing was cut.
    return `${plain.length > room ? cut : text}${' '.repeat(room - cut.length + 1)}${time}`;
  }

  private draw(): void {
    this.erase();
    const rows = terminalSize(2)?.rows ?? 24;
    const lines: string[] = [];
    for (const step of this.running) {
      lines.push(this.line(` => ${step.title}`, step.start));
      const own = [...step.lines, step.rest].filter((line) => line !== '').slice(-shownLines);
      for (const text of own) lines.push(this.paint('dim', ` => => ${text}`.slice(0, this.columns - 1)));
    }
    const shown = lines.slice(0, Math.max(1, rows - 2));
    if (shown.length > 0) writeBytes(2, Buffer.from(`${shown.join('\n')}\n`));
    this.drawn = shown.length;
  }

  private erase(): void {
    // A ^C that the terminal has shown stands before the cursor.
    if (this.drawn > 0) writeBytes(2, Buffer.from(`\r\x1b[${this.drawn}A\x1b[J`));
    this.drawn = 0;
  }
}

function seconds(start: number): string {
  return ((performance.now() - start) / 1000).toFixed(1);
}

function takeOutput(step: Running, bytes: Uint8Array): void {
  const lines = (step.rest + step.decoder.decode(bytes, { stream: true })).split('\n');
  step.rest = escapeControls(lines.pop()?.split('\r').at(-1) ?? '');
  for (const line of lines) step.lines.push(escapeControls(line.replace(/\r$/, '').split('\r').at(-1) ?? ''));
  if (step.lines.length > keptLines) step.lines.splice(0, step.lines.length - keptLines);
}
