/** `tsrun stats`: what containers use, once or as it changes. */
import { setTimeout as delay } from 'node:timers/promises';
import { isUp } from '../../container/active.ts';
import type { Container } from '../../container/record.ts';
import { ContainerStore } from '../../container/store.ts';
import { type Beginning, beginUsage, readUsage, type Usage, usageBetween } from '../../container/usage.ts';
import { TsrunError } from '../../error.ts';
import type { Command } from '../command.ts';
import type { Struct } from '../format/value.ts';
import { print, printError } from '../output.ts';
import { isTerminal } from '../terminal.ts';
import { type ListOptions, printList, renderList } from '../views/list.ts';
import { pressureColumns, statsColumns, statsRow, statsTitles } from '../views/stats-row.ts';

/** Milliseconds between two tables, and between the two readings of --no-stream. */
const interval = 1000;
const shortInterval = 500;

export const stats: Command = {
  usage: '[OPTIONS] [CONTAINER...]',
  description: 'Show what containers use: processors, memory, network, disks, processes',
  flags: [
    { name: 'all', short: 'a', type: 'bool', description: 'Also containers that do not run' },
    { name: 'format', type: 'string', description: "'table', 'table TEMPLATE', 'json', or a Go template" },
    { name: 'no-stream', type: 'bool', description: 'Print one table and end' },
    {
      name: 'pressure',
      type: 'bool',
      description: 'Also how much of the last ten seconds something waited for processor, memory, disk',
    },
    { name: 'no-trunc', type: 'bool', description: 'Show everything in full' },
  ],
  args: { min: 0 },
  async run({ flags, args }) {
    const store = new ContainerStore();
    const once = flags.boolean('no-stream');
    const truncate = !flags.boolean('no-trunc');
    const options: ListOptions = {
      format: flags.string('format'),
      quiet: false,
      columns: flags.boolean('pressure') ? [...statsColumns, ...pressureColumns] : statsColumns,
      idField: 'ID',
      titles: statsTitles,
      thing: 'container',
    };
    // A template that does not parse is told before anything is waited for.
    renderList([], options);
    const screen = !once && isTerminal(1);
    const series = new Series();
    const look = (first: boolean): Watched[] => watched(store, args, flags.boolean('all'), first);
    series.begin(look(true));
    for (let round = 0; ; round++) {
      await delay(once || round === 0 ? shortInterval : interval);
      const now = look(false);
      const rows = series.take(now).map(({ container, typed, usage }) => statsRow(container, usage, typed, truncate));
      if (round === 0 && isTerminal(1)) explainGaps(rows);
      draw(rows, options, screen);
      if (once || (args.length > 0 && now.length === 0)) return 0;
    }
  },
};

interface Watched {
  container: Container;
  /** How it was asked for. */
  typed: string;
}

/** The containers to show: those that were named, else those that run. */
function watched(store: ContainerStore, names: readonly string[], all: boolean, first: boolean): Watched[] {
  if (names.length === 0) {
    const listed = store.list(first ? (error) => printError(`tsrun: ${error.message}`) : undefined);
    return listed
      .filter(({ state }) => all || isUp(state))
      .map((container) => ({ container, typed: container.record.id.slice(0, 12) }));
  }
  return names.flatMap((typed) => {
    try {
      return [{ container: store.resolve(typed), typed }];
    } catch (error) {
      // One that is removed meanwhile leaves the table.
      if (first || !(error instanceof TsrunError) || error.code !== 'NOT_FOUND') throw error;
      return [];
    }
  });
}

/** Remembers the last reading of each container. */
class Series {
  private last = new Map<string, Beginning>();

  begin(list: readonly Watched[]): void {
    for (const { container } of list) {
      if (isUp(container.state)) this.last.set(container.record.id, beginUsage(container));
    }
  }

  take(list: readonly Watched[]): (Watched & { usage: Usage | undefined })[] {
    const readings = new Map<string, Beginning>();
    const rows = list.map((each) => {
      const { container } = each;
      if (!isUp(container.state)) return { ...each, usage: undefined };
      const { id } = container.record;
      const reading = readUsage(container);
      readings.set(id, reading);
      // Of one that has just started nothing is known yet.
      const before = this.last.get(id) ?? reading;
      return { ...each, usage: usageBetween(before, reading) };
    });
    this.last = readings;
    return rows;
  }
}

const reasons: readonly (readonly [field: string, what: string])[] = [
  ['MemPerc', 'memory'],
  ['BlockIO', 'block I/O'],
];

/** Says once what `--` means. */
function explainGaps(rows: readonly Struct[]): void {
  const gaps = reasons.filter(([field]) => rows.some((row) => row[field] === '--')).map(([, what]) => what);
  if (gaps.length === 0) return;
  printError(
    `tsrun: -- in the table: this machine's cgroup2 has no controller for ${gaps.join(' and ')}; see tsrun info`,
  );
}

const clear = '\x1b[2J';
const home = '\x1b[H';
const clearRest = '\x1b[J';
const clearLine = '\x1b[K';
let drawn = false;

/** On a terminal in place: what was there is written over, so that nothing flickers. */
function draw(rows: readonly Struct[], options: ListOptions, screen: boolean): void {
  if (!screen) {
    printList(rows, options);
    return;
  }
  const text = renderList(rows, options).replaceAll('\n', `${clearLine}\n`);
  print(`${drawn ? '' : clear}${home}${text}${clearRest}`);
  drawn = true;
}
