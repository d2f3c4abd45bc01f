/** `tsrun logs`: what a container has printed, and with -f what it prints. */
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { isUp } from '../../container/active.ts';
import { followLog, type LogRecord, logFiles, readLogFile } from '../../container/logs.ts';
import { computeState } from '../../container/state.ts';
import { ContainerStore } from '../../container/store.ts';
import { TsrunError } from '../../error.ts';
import type { Command } from '../command.ts';
import { leaveLongReading } from '../long-reading.ts';
import { writeBytes } from '../output.ts';
import { comparableTime, parseMoment } from '../units.ts';
import { logDetails } from '../views/log-details.ts';

export const logs: Command = {
  usage: '[OPTIONS] CONTAINER',
  description: 'Show what a container has printed',
  flags: [
    { name: 'details', type: 'bool', description: 'Show the labels and variables that --log-opt names' },
    { name: 'follow', short: 'f', type: 'bool', description: 'Go on showing what it prints' },
    { name: 'since', type: 'string', description: 'Only what is newer: 2026-01-02T13:23:37Z, or 42m for 42 minutes' },
    { name: 'tail', short: 'n', type: 'string', description: 'That many lines from the end', shownDefault: '"all"' },
    { name: 'timestamps', short: 't', type: 'bool', description: 'Show when each line was printed' },
    { name: 'until', type: 'string', description: 'Only what is older: 2026-01-02T13:23:37Z, or 42m for 42 minutes' },
  ],
  args: { min: 1, max: 1 },
  async run({ flags, args: [name = ''] }) {
    const since = momentOf('since', flags.string('since'));
    const until = momentOf('until', flags.string('until'));
    const { record, directory } = new ContainerStore().resolve(name);
    if (record.options.log.driver === 'none') {
      throw new TsrunError('UNSUPPORTED', 'configured logging driver does not support reading', {
        hint: 'the container was made with --log-driver none: what it printed was not kept',
      });
    }
    const details = flags.boolean('details') ? `${logDetails(record)} ` : '';
    const printer = new LogPrinter({ timestamps: flags.boolean('timestamps'), since, until, details });
    const tail = tailOf(flags.string('tail'));
    // What is only followed is not much at once, and takes as much memory as it takes long.
    if (tail !== 0) leaveLongReading(logFiles(directory));
    const offset = await printOld(directory, printer, tail);
    if (flags.boolean('follow')) {
      const running = (): boolean => isUp(computeState(directory)) && !printer.isOver();
      const show = (logged: LogRecord): void => {
        printer.add(logged);
        printer.flush();
      };
      await followLog(directory, offset, running, show);
    }
    printer.flush();
    return 0;
  },
};

function momentOf(flag: string, text: string | undefined): string | undefined {
  if (text === undefined || text === '') return undefined;
  const moment = parseMoment(text);
  if (moment !== undefined) return moment;
  throw new TsrunError(
    'USAGE',
    `invalid value for "${flag}": failed to parse value as time or duration: ${JSON.stringify(text)}`,
  );
}

/** Lines from the end; undefined for all, which is also what docker makes of what is no number. */
function tailOf(text: string | undefined): number | undefined {
  return text !== undefined && /^\d+$/.test(text) ? Number(text) : undefined;
}

/** Prints what is there; answers how far the newest file was read. */
async function printOld(directory: string, printer: LogPrinter, tail: number | undefined): Promise<number> {
  const last = new LastLines(tail ?? Number.POSITIVE_INFINITY);
  let offset = 0;
  for (const path of logFiles(directory)) {
    offset = 0;
    if (tail === 0) {
      offset = statSync(path, { throwIfNoEntry: false })?.size ?? 0;
      continue;
    }
    offset = await readLogFile(path, 0, (logged) => {
      if (!printer.wants(logged)) return;
      if (tail === undefined) printer.add(logged);
      else last.add(logged);
    });
  }
  if (!logFiles(directory).includes(join(directory, 'container.log'))) offset = 0;
  for (const logged of last.records()) printer.add(logged);
  printer.flush();
  return offset;
}

/** Keeps the last lines; a line may have come in several records. */
class LastLines {
  readonly #limit: number;
  #lines: LogRecord[][] = [];
  readonly #open = new Map<string, LogRecord[]>();

  constructor(limit: number) {
    this.#limit = limit;
  }

  add(logged: LogRecord): void {
    const open = this.#open.get(logged.stream);
    if (open !== undefined) {
      open.push(logged);
    } else {
      const line = [logged];
      this.#lines.push(line);
      this.#open.set(logged.stream, line);
      // Cut now and then, not for each line: shifting a long array is slow.
      if (this.#lines.length > 2 * this.#limit + 1000) this.#lines = this.#lines.slice(-this.#limit);
    }
    if (endsLine(logged)) this.#open.delete(logged.stream);
  }

  records(): LogRecord[] {
    return this.#lines.slice(-this.#limit).flat();
  }
}

function endsLine(logged: LogRecord): boolean {
  return logged.data.at(-1) === 0x0a;
}

const bufferLimit = 64 * 1024;

interface PrinterOptions {
  timestamps: boolean;
  since: string | undefined;
  until: string | undefined;
  /** Before each line. */
  details: string;
}

/** Writes records to the stream that they came from, in few writes and in their order. */
class LogPrinter {
  readonly #options: PrinterOptions;
  readonly #middle = new Set<string>();
  #pending: Buffer[] = [];
  #size = 0;
  #fd = 1;

  constructor(options: PrinterOptions) {
    this.#options = options;
  }

  /** Whether a record lies between --since and --until. */
  wants({ time }: LogRecord): boolean {
    const { since, until } = this.#options;
    if (since === undefined && until === undefined) return true;
    const moment = comparableTime(time);
    return (since === undefined || moment >= since) && (until === undefined || moment <= until);
  }

  /** Whether nothing that is still to come can be wanted. */
  isOver(): boolean {
    const { until } = this.#options;
    return until !== undefined && new Date().toISOString() > until;
  }

  add(logged: LogRecord): void {
    if (!this.wants(logged)) return;
    const fd = logged.stream === 'stdout' ? 1 : 2;
    if (fd !== this.#fd) this.flush();
    this.#fd = fd;
    if (!this.#middle.has(logged.stream)) {
      const before = (this.#options.timestamps ? `${logged.time} ` : '') + this.#options.details;
      if (before !== '') this.#push(Buffer.from(before));
    }
    if (endsLine(logged)) this.#middle.delete(logged.stream);
    else this.#middle.add(logged.stream);
    this.#push(logged.data);
    if (this.#size >= bufferLimit) this.flush();
  }

  #push(data: Buffer): void {
    this.#pending.push(data);
    this.#size += data.length;
  }

  flush(): void {
    if (this.#size > 0) writeBytes(this.#fd, Buffer.concat(this.#pending));
    this.#pending = [];
    this.#size = 0;
  }
}
