/** `run --step`: stops a start before each phase, shows what is there, and goes on when it is told to. */
import { openSync, readSync } from 'node:fs';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { readKeptFilter } from '../../container/kept-filter.ts';
import { messageKinds } from '../../container/monitor.ts';
import { GivenUp, type MadeSoFar, type StartObserver } from '../../container/start.ts';
import { visit } from '../../container/visit.ts';
import { TsrunError } from '../../error.ts';
import { close } from '../../linux/fs.ts';
import { makeRaw, windowSize } from '../../linux/tty.ts';
import { waitReadable } from '../../linux/unix-socket.ts';
import type { Program } from '../../program/program.ts';
import { type Stop, withStops } from '../../program/stops.ts';
import { straceCall } from '../../program/strace.ts';
import { fdSync } from '../../runtime/compile/context.ts';
import type { Phase } from '../../trace.ts';
import { wrap } from '../explain/text.ts';
import { kindOf, reasons, titles } from '../explain/translate.ts';
import { words as explainWords } from '../explain/words.ts';
import type { Language } from '../options/language.ts';
import { writeBytes } from '../output.ts';
import type { Style } from '../style.ts';
import { KernelLook } from './look.ts';
import { type StepWords, stepWords } from './words.ts';

export interface StepperOptions {
  language: Language;
  paint: (style: Style, text: string) => string;
  /** Ends the start as `q` does. */
  signal: AbortSignal;
}

/** One thing that comes next. */
interface Upcoming {
  title: string;
  why: string;
  call: string;
}

/** Milliseconds between two looks at the event loop while nobody types. */
const slice = 20;

export class Stepper implements StartObserver {
  private readonly terminal: number;
  private readonly words: StepWords;
  private readonly look: KernelLook;
  private stops: Stop[] = [];
  private maker: Stop = [];
  private program: Program | undefined;
  private number = 0;

  /** Throws `USAGE` where there is no terminal. */
  constructor(private readonly options: StepperOptions) {
    try {
      this.terminal = openSync('/dev/tty', 'r+');
    } catch (cause) {
      throw new TsrunError('USAGE', '--step needs a terminal, to show what is there and to be told to go on', {
        cause,
        hint: '--trace shows every step without one, "tsrun explain run" without doing it',
      });
    }
    this.words = stepWords[options.language];
    this.look = new KernelLook(this.words);
  }

  begin(program: Program, _monitorFd: number, seccomp: 'default' | 'other'): { program: Program; traceFd: number } {
    const stopped = withStops(program, { fd: fdSync, kind: messageKinds.stop, untilFilter: seccomp === 'other' });
    this.stops = stopped.stops;
    this.maker = stopped.maker;
    this.program = program;
    return { program: stopped.program, traceFd: -1 };
  }

  async before(
    phase: Phase,
    upcoming: () => readonly { title: string; why?: string | undefined }[],
    made: MadeSoFar,
  ): Promise<void> {
    // The first phase that is the program's: of it the calls are known.
    if (phase === 'namespaces') return this.stop(phase, 'monitor', this.callsOf(this.maker), made, false);
    const next = upcoming().map(({ title, why = '' }) => ({ title, why, call: '' }));
    await this.stop(phase, 'command', next, made, false);
  }

  async stopped(index: number, made: MadeSoFar): Promise<boolean> {
    const { stops } = this;
    const stop = stops[index];
    const [first] = stop ?? [];
    if (stop === undefined || first === undefined) return true;
    const isPivoted = stops.slice(0, index).some((stop) => stop.some(({ call }) => call === 'pivot_root'));
    await this.stop(first.phase, 'container', this.callsOf(stop), made, isPivoted);
    const isLast = index === stops.length - 1;
    if (isLast) this.print([this.options.paint('bold', this.words.running)]);
    return isLast;
  }

  private callsOf(operations: Stop): Upcoming[] {
    const { program } = this;
    return operations
      .filter(({ call }) => call !== 'end' && call !== 'fail')
      .map((operation) => ({
        ...{ title: operation.title, why: operation.why },
        call: program === undefined ? '' : straceCall(operation, program),
      }));
  }

  ready(): void {}

  settled(): void {}

  /** The command line ends. */
  finish(): void {
    close(this.terminal);
  }

  private async stop(
    phase: Phase,
    side: 'command' | 'monitor' | 'container',
    next: readonly Upcoming[],
    made: MadeSoFar,
    isPivoted: boolean,
  ): Promise<void> {
    const { words, options } = this;
    const texts = explainWords[options.language];
    const { name, about } = texts.phases[phase];
    this.number++;
    this.print([
      '',
      options.paint('bold', words.heading(this.number, name, texts.sides[side])),
      ...this.fit(about).map((line) => options.paint('dim', line)),
      options.paint('green', `${words.now}:`),
      ...this.look.lines(made).flatMap((line) => this.fit(line, '  ')),
      options.paint('green', `${words.next}:`),
      ...this.brief(next).flatMap((line) => this.fit(line, '  ')),
    ]);
    for (;;) {
      this.print(this.fit(words.prompt).map((line) => options.paint('yellow', line)));
      const key = await this.key();
      if (key === '\r' || key === '\n') return;
      if (key === 'd') this.print(next.flatMap((step) => this.inFull(step)));
      if (key === 's') await this.shell(made, isPivoted);
      if (key === 'q') {
        this.print([words.undoing]);
        throw new GivenUp();
      }
    }
  }

  /** One line for each kind of step. */
  private brief(next: readonly Upcoming[]): string[] {
    const kinds = new Map<string, { title: string; count: number }>();
    for (const { title } of next) {
      const kind = kindOf(title);
      const known = kinds.get(kind);
      if (known === undefined) kinds.set(kind, { title: titles.translate(title, this.options.language), count: 1 });
      else known.count++;
    }
    return [...kinds.values()].map(({ title, count }) =>
      count === 1 ? title : `${title}, ${explainWords[this.options.language].and(count - 1)}`,
    );
  }

  private inFull({ title, why, call }: Upcoming): string[] {
    const { language, paint } = this.options;
    const reason = reasons.translate(why, language);
    return [
      ...this.fit(`- ${titles.translate(title, language)}`, '  '),
      ...(call === '' ? [] : this.fit(call, '    ').map((line) => paint('green', line))),
      ...(reason === '' ? [] : this.fit(reason, '    ').map((line) => paint('dim', line))),
    ];
  }

  private async shell(made: MadeSoFar, isPivoted: boolean): Promise<void> {
    const process_ = made.spec?.process;
    const filter = isPivoted && made.directory !== undefined ? readKeptFilter(made.directory) : undefined;
    const inside = isPivoted && process_ !== undefined;
    this.print([inside ? this.words.shellOfImage : this.words.shell]);
    const environment = Object.entries(process.env).map(([name, value]) => `${name}=${value}`);
    const container = inside
      ? { process: process_, seccomp: filter === 'none' || filter === undefined ? undefined : filter }
      : undefined;
    // Ctrl-C is for the shell, also where it has no job control.
    const ignore = (): void => {};
    process.on('SIGINT', ignore);
    try {
      const status = await visit(made, this.terminal, container, environment);
      this.print([status === 127 ? this.words.noShell : this.words.back]);
    } finally {
      process.off('SIGINT', ignore);
    }
  }

  /** One key, as it is pressed. Ctrl-C, Ctrl-D, a terminal that is gone and a signal are a `q`. */
  private async key(): Promise<string> {
    const restore = makeRaw(this.terminal);
    try {
      for (;;) {
        if (this.options.signal.aborted) return 'q';
        if (waitReadable(this.terminal, slice)) {
          const byte = readByte(this.terminal);
          return byte === undefined || byte === 3 || byte === 4 ? 'q' : String.fromCharCode(byte);
        }
        await nextTurn();
      }
    } finally {
      restore();
    }
  }

  private fit(text: string, indent = ''): string[] {
    const { columns } = windowSize(this.terminal);
    const own = /^ */.exec(text)?.[0] ?? '';
    const room = Math.max((columns || 80) - indent.length - own.length, 30);
    return wrap(text.slice(own.length), room).map((line) => indent + own + line);
  }

  private print(lines: readonly string[]): void {
    writeBytes(this.terminal, Buffer.from(`${lines.join('\n')}\n`));
  }
}

/** Undefined at the end of the terminal. */
function readByte(fd: number): number | undefined {
  const buffer = Buffer.alloc(1);
  try {
    return readSync(fd, buffer) === 1 ? buffer[0] : undefined;
  } catch {
    return undefined; // it was hung up
  }
}
