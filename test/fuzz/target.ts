/** What is fuzzed: a function that takes any bytes, and what must hold for each of them. */
import { TsrunError } from '../../src/error.ts';

export interface Target {
  name: string;
  /** Pieces that mutations put in. */
  words: readonly string[];
  /** Throws where a promise is broken; what a bad input is refused with is no such thing. */
  run(input: Buffer): void | Promise<void>;
  /** Of seeds that are made and not kept as files. */
  seeds?: () => Buffer[];
  /**
   * A session of a fuzzer that sees what its inputs reach, for so many seconds; `corpus` is the directory of what is kept.
   * Undefined where `guide` is not there: then the session goes on with mutations that see nothing.
   */
  guided?: (seconds: number, seed: number, corpus: string) => Guided | undefined;
  guide?: string;
  /** To be called at the end. */
  close?: () => void;
}

/** Runs `action`; undefined where it refuses its input as a command would: with an error that has a code, and no other. */
export function refusing<T>(action: () => T): T | undefined {
  try {
    return action();
  } catch (error) {
    if (error instanceof TsrunError && error.code !== 'PROGRAM') return undefined;
    throw error;
  }
}

/** Milliseconds of processor time that this process has used: what others do on the machine does not count. */
export function processorTime(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}

/** What does not hold. */
export function holds(condition: boolean, what: string): void {
  if (!condition) throw new Error(what);
}

/** What such a session has tried, and the input that has broken a promise. */
export type Guided = { tried: number } | { tried: number; input: Buffer; error: unknown };
