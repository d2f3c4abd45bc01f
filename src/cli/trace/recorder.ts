/** `run --trace`, `--trace-file`, `--timing`: looks on while a container is really started, and says what it saw. */
import { closeSync, openSync, readSync } from 'node:fs';
import type { StartObserver } from '../../container/start.ts';
import { messageOf, TsrunError } from '../../error.ts';
import { memoryFile } from '../../linux/fs.ts';
import { traceSize } from '../../program/encode.ts';
import type { Program } from '../../program/program.ts';
import { onTrace } from '../../trace.ts';
import { escapeControls, printError, writeBytes } from '../output.ts';
import { renderLine, renderSums, sumByPhase, type TraceLanguage } from './render.ts';
import { ofEvent, ProgramTrace, type TracedStep } from './traced.ts';

export interface RecorderOptions {
  /** Where lines go: a file, or stderr; undefined: no lines. */
  lines: { file: string } | 'stderr' | undefined;
  /** Sums by phase to stderr at the end. */
  timing: boolean;
  words: TraceLanguage;
}

/** The program's own steps tell what these wait for. */
const waiting = new Set(['wait for the container']);

export class Recorder implements StartObserver {
  private readonly all: TracedStep[] = [];
  private pending: TracedStep[] = [];
  private readonly fd: number | undefined;
  /** CLOCK_MONOTONIC when the process started, milliseconds. */
  private readonly offset = Number(process.hrtime.bigint()) / 1e6 - process.uptime() * 1000;
  private traced: { trace: ProgramTrace; fd: number; bytes: Buffer } | undefined;
  private commandRan: number | undefined;

  /** Throws `USAGE` where the file cannot be written. */
  constructor(private readonly options: RecorderOptions) {
    if (options.lines !== undefined && options.lines !== 'stderr') this.fd = openForWriting(options.lines.file);
    onTrace((event) => {
      if (!waiting.has(event.title)) this.pending.push(ofEvent(event));
    });
  }

  begin(program: Program, monitorFd: number, seccomp: 'default' | 'other'): { program: Program; traceFd: number } {
    const size = program.operations.length * traceSize;
    const fd = memoryFile('tsrun-trace', size);
    this.traced = { trace: new ProgramTrace(program, this.offset), fd, bytes: Buffer.alloc(size) };
    return { program: { ...program, trace: { fd: monitorFd, untimedFilter: seccomp === 'other' } }, traceFd: fd };
  }

  ready(): void {
    this.readProgram(false);
    this.flush();
  }

  settled(failed: { index: number; error: number } | undefined): void {
    if (failed === undefined) this.commandRan = process.uptime() * 1000;
    this.readProgram(failed === undefined);
    this.flush();
    if (this.traced !== undefined) closeSync(this.traced.fd);
    this.traced = undefined;
  }

  /** The command line ends. */
  finish(): void {
    onTrace(undefined);
    if (this.traced !== undefined) this.settled({ index: -1, error: 0 });
    this.flush();
    if (this.fd !== undefined) closeSync(this.fd);
    if (this.options.timing) for (const line of this.sums()) printError(line);
  }

  private sums(): string[] {
    return renderSums(sumByPhase(this.all), this.commandRan, this.options.words.language);
  }

  private readProgram(executed: boolean): void {
    if (this.traced === undefined) return;
    const { trace, fd, bytes } = this.traced;
    readSync(fd, bytes, 0, bytes.length, 0);
    this.pending.push(...trace.read(bytes, executed));
  }

  private flush(): void {
    const steps = this.pending.sort((a, b) => a.start - b.start);
    this.pending = [];
    this.all.push(...steps);
    if (this.options.lines === undefined || steps.length === 0) return;
    const lines = steps.map((step) => renderLine(step, this.options.words));
    if (this.fd === undefined) for (const line of lines) printError(line);
    else writeBytes(this.fd, Buffer.from(lines.map((line) => `${escapeControls(line)}\n`).join('')));
  }
}

function openForWriting(path: string): number {
  try {
    return openSync(path, 'w', 0o644);
  } catch (cause) {
    throw new TsrunError('USAGE', `cannot write the trace to "${path}": ${messageOf(cause)}`, { cause });
  }
}
