/** Measures contestants side by side, interleaved, so that what else the machine does meets all of them alike. */
import { spawnSync } from 'node:child_process';

/** One way to do the job; `run` returns what it cost (milliseconds, or what the comparison's unit says). */
export interface Contestant {
  name: string;
  run: () => number | Promise<number>;
}

/** Ours is to be at most `factor` times the fastest of `peers` (by median), at most `plus` more than it, or at most `value`. */
export interface Target {
  peers?: string[];
  factor?: number;
  plus?: number;
  value?: number;
}

export interface Comparison {
  title: string;
  unit: 'ms' | 's' | 'MiB';
  ours: string;
  /** Samples by contestant, in the comparison's unit. */
  samples: Record<string, number[]>;
  target?: Target | readonly Target[];
}

export interface Verdict {
  text: string;
  pass: boolean;
}

/** Runs every contestant once per round, after `unmeasured` rounds that do not count. TSRUN_BENCH_VERBOSE=1 tells each figure. */
export async function interleave(
  contestants: readonly Contestant[],
  rounds: number,
  unmeasured = 1,
): Promise<Record<string, number[]>> {
  const samples: Record<string, number[]> = Object.fromEntries(contestants.map(({ name }) => [name, []]));
  for (let round = -unmeasured; round < rounds; round++) {
    for (const contestant of contestants) {
      const cost = await contestant.run();
      if (process.env.TSRUN_BENCH_VERBOSE === '1') process.stderr.write(`${contestant.name} ${cost.toFixed(3)}\n`);
      if (round >= 0) samples[contestant.name]?.push(cost);
    }
    process.stderr.write('.');
  }
  process.stderr.write('\n');
  return samples;
}

export interface CommandOptions {
  env?: Record<string, string>;
  cwd?: string;
  /** Descriptors 3 and up. */
  descriptors?: number[];
}

/**
 * Stands for whoever types the command: it is a shell that starts it and sees it end. From this process itself a start takes
 * ten milliseconds, since there is so much of it to be copied: nobody's command should have to bear that.
 */
const stopwatch = 'start=$EPOCHREALTIME; "$@" >/dev/null; status=$?; echo "$start $EPOCHREALTIME"; exit $status';

/** Milliseconds from starting a command to its end. Throws with its stderr when it fails. */
export function time(command: readonly string[], options: CommandOptions = {}): number {
  const printed = output(['/bin/bash', '-c', stopwatch, 'stopwatch', ...command], options, command);
  // The sign before the microseconds is the locale's.
  const [start = Number.NaN, end = Number.NaN] = printed.split(' ').map((moment) => Number(moment.replace(',', '.')));
  return (end - start) * 1000;
}

/** What a command prints. Throws with its stderr when it fails, under the name `shown`. */
export function output(command: readonly string[], options: CommandOptions = {}, shown = command): string {
  const [file = '', ...args] = command;
  const result = spawnSync(file, args, {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe', ...(options.descriptors ?? [])],
    env: { ...process.env, ...options.env },
    maxBuffer: 1 << 26,
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
  });
  if (result.status !== 0) {
    const why = result.error?.message ?? `exit ${result.status ?? result.signal}`;
    throw new Error(`${shown.join(' ')}: ${why}\n${result.stderr}`);
  }
  return result.stdout.trim();
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const upper = sorted[sorted.length >> 1] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : (upper + (sorted[(sorted.length >> 1) - 1] ?? Number.NaN)) / 2;
}

/** Whether ours reaches the targets; none where there is nobody to compare with. */
export function judge({ target, samples, ours, unit }: Comparison): Verdict[] {
  const own = samples[ours];
  if (target === undefined || own === undefined) return [];
  const targets = Array.isArray(target) ? (target as Target[]) : [target as Target];
  return targets.flatMap(({ value, factor, plus, peers = [] }) => {
    if (value !== undefined) return [{ text: `at most ${value} ${unit}`, pass: median(own) <= value }];
    const present = peers.filter((peer) => samples[peer] !== undefined);
    if (present.length === 0) return [];
    const best = Math.min(...present.map((peer) => median(samples[peer] ?? [])));
    const of = present.length === 1 ? present[0] : `the faster of ${present.join(', ')}`;
    if (plus !== undefined) {
      return [{ text: `at most ${plus} ${unit} more than ${of}`, pass: median(own) - best <= plus }];
    }
    return factor === undefined ? [] : [{ text: `at most ${factor} of ${of}`, pass: median(own) / best <= factor }];
  });
}

/** The comparison as a table for a terminal. */
export function render(comparison: Comparison): string {
  const { title, unit, ours, samples } = comparison;
  const number = (value: number) => value.toFixed(value < 10 ? 2 : value < 100 ? 1 : 0);
  const own = samples[ours] === undefined ? Number.NaN : median(samples[ours]);
  const rows = Object.entries(samples).map(([name, values]) => {
    const ratio = own / median(values);
    return [
      name,
      number(Math.min(...values)),
      number(median(values)),
      name === ours || Number.isNaN(ratio) ? '' : ratio.toFixed(2),
    ];
  });
  const table = [['', `min ${unit}`, `median ${unit}`, `${ours} / it`], ...rows];
  const widths = [0, 1, 2, 3].map((column) => Math.max(...table.map((row) => (row[column] ?? '').length)));
  const lines = table.map((row) =>
    row
      .map((cell, column) => (column === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[column] ?? 0)))
      .join('  '),
  );
  const closing = judge(comparison)
    .map(({ text, pass }) => `\n  target: ${text}: ${pass ? 'reached' : 'MISSED'}`)
    .join('');
  const rounds = Math.max(0, ...Object.values(samples).map((values) => values.length));
  return `${title} (${rounds} rounds)\n${lines.map((line) => `  ${line.trimEnd()}`).join('\n')}${closing}\n`;
}
