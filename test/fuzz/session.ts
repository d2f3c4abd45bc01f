/** One session of fuzzing a target: its corpus first, then what mutations make of it, until the time is over. */
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { checkout } from '../../scripts/images/paths.ts';
import { randomNumbers } from '../fixtures/archives.ts';
import { dockerfileTargets } from './dockerfile.ts';
import { mutate } from './mutate.ts';
import { netlinkTarget } from './netlink.ts';
import { programTargets } from './program.ts';
import { tarTarget } from './tar.ts';
import { processorTime, type Target } from './target.ts';
import { textTargets } from './texts.ts';

export const targets: readonly Target[] = [
  ...textTargets,
  ...dockerfileTargets,
  netlinkTarget,
  ...programTargets,
  // Owners and devices are made: by root only.
  ...(process.geteuid?.() === 0 ? [tarTarget] : []),
];

/** Inputs that found something once, and those that everything begins with. */
const corpus = join(checkout, 'test/fuzz/corpus');
const longestSeconds = 5;

export interface Finding {
  target: string;
  /** Where the input has been kept. */
  path: string;
  error: unknown;
}

export interface SessionOptions {
  /** When to end: after a time, or after a number of inputs, which are the same for the same seed. */
  milliseconds?: number;
  inputs?: number;
  seed: number;
  /** Where an input that breaks a promise is kept; by default the corpus, so that it is tried for ever. */
  keep?: string;
}

function seedsOf(target: Target): Buffer[] {
  const directory = join(corpus, target.name);
  const files = existsSync(directory) ? readdirSync(directory).sort() : [];
  return [...files.map((name) => readFileSync(join(directory, name))), ...(target.seeds?.() ?? [])];
}

/** Runs until the time is over or a promise is broken; returns how many inputs were tried. */
export async function fuzz(target: Target, options: SessionOptions): Promise<{ tried: number; finding?: Finding }> {
  const random = randomNumbers(options.seed);
  const seeds = seedsOf(target);
  const grown: Buffer[] = [];
  const { milliseconds = Number.POSITIVE_INFINITY, inputs = Number.POSITIVE_INFINITY } = options;
  const end = Date.now() + milliseconds;
  let tried = 0;
  for (;;) {
    const isSeed = tried < seeds.length;
    if (!isSeed && (Date.now() >= end || tried >= inputs)) return { tried };
    const chosen = random() < 0.5 ? grown[Math.floor(random() * 200)] : undefined;
    const from = chosen ?? seeds[Math.floor(random() * seeds.length)] ?? Buffer.alloc(0);
    const input = isSeed ? (seeds[tried] ?? from) : mutate(from, seeds, target.words, random);
    tried++;
    const began = processorTime();
    try {
      await target.run(input);
      const seconds = (processorTime() - began) / 1000;
      if (seconds > longestSeconds) throw new Error(`one input took ${seconds.toFixed(1)} s`);
    } catch (error) {
      return { tried, finding: { target: target.name, path: keepInput(target, input, options.keep), error } };
    }
    // Changes on top of changes reach further; the beginnings are never lost.
    if (!isSeed && random() < 0.05) grown[Math.floor(random() * 200)] = input;
  }
}

/** As `fuzz`, by what inputs reach: undefined where the target has no such fuzzer, or this machine has not. */
export function fuzzGuided(
  target: Target,
  seconds: number,
  seed: number,
): { tried: number; finding?: Finding } | undefined {
  const result = target.guided?.(seconds, seed, join(corpus, target.name));
  if (result === undefined || !('input' in result)) return result;
  const { tried, input, error } = result;
  return { tried, finding: { target: target.name, path: keepInput(target, input), error } };
}

function keepInput(target: Target, input: Buffer, directory = join(corpus, target.name)): string {
  mkdirSync(directory, { recursive: true });
  const path = join(directory, `found-${createHash('sha256').update(input).digest('hex').slice(0, 12)}`);
  writeFileSync(path, input);
  return path;
}
