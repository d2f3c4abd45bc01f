/**
 * Command lines as docker reads them (the conventions of GNU getopt_long, with Go's pflag in the details):
 * `-it`, `-eA=b`, `-e A=b`, `--env=A=b`, `--rm=false`, repeated flags, `--`. node:util's parseArgs can do neither options
 * that stop at the first argument nor values that begin with a dash.
 */
import { TsrunError } from '../error.ts';
import { checkValue, type Flag, flagTitle, parseBoolean, parseInteger } from './flag.ts';
import { nearest } from './suggest.ts';

/** A command line that is wrong; printed without the name of the program before it, as docker does. */
export class CommandLineError extends TsrunError {
  constructor(message: string, options: { hint: string; exitCode: number }) {
    super('USAGE', message, options);
  }
}

/** The flags that a command line has, by name. */
export class ParsedFlags {
  readonly #values = new Map<string, string[]>();

  add(flag: Flag, text: string): void {
    const name = flag.aliasOf ?? flag.name;
    const values = this.#values.get(name);
    if (values === undefined) this.#values.set(name, [text]);
    else values.push(text);
  }

  /** Whether the flag was given, whatever its value. */
  has(name: string): boolean {
    return this.#values.has(name);
  }

  /** All values of a repeated flag, in their order. */
  strings(name: string): string[] {
    return this.#values.get(name) ?? [];
  }

  /** The last value, or undefined where the flag is absent. */
  string(name: string): string | undefined {
    return this.#values.get(name)?.at(-1);
  }

  boolean(name: string, absent = false): boolean {
    const text = this.string(name);
    return text === undefined ? absent : parseBoolean(text);
  }

  integer(name: string): number | undefined {
    const text = this.string(name);
    return text === undefined ? undefined : parseInteger(text);
  }
}

export interface ParseOptions {
  /** As messages name it: `tsrun run`. */
  command: string;
  flags: readonly Flag[];
  /** Whether flags may follow arguments; `run IMAGE -x` hands `-x` to the container instead. */
  interspersed: boolean;
}

export interface ParsedArguments {
  flags: ParsedFlags;
  args: string[];
}

/** Splits `argv` into flags and arguments. Throws `CommandLineError` (exit code 125). */
export function parseArguments(argv: readonly string[], options: ParseOptions): ParsedArguments {
  const byName = new Map(options.flags.map((flag) => [flag.name, flag]));
  const byShort = new Map<string, Flag>();
  for (const flag of options.flags) if (flag.short !== undefined) byShort.set(flag.short, flag);
  const flags = new ParsedFlags();
  const args: string[] = [];
  const fail = (message: string, suggestion?: string): never => {
    const near = suggestion === undefined ? '' : `\nDid you mean ${suggestion}?`;
    throw new CommandLineError(message + near, { hint: `See '${options.command} --help'.`, exitCode: 125 });
  };
  const set = (flag: Flag, text: string): void => {
    try {
      checkValue(flag, text);
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      fail(`invalid argument ${JSON.stringify(text)} for "${flagTitle(flag)}" flag: ${reason}`);
    }
    flags.add(flag, text);
  };

  let index = 0;
  /** The value of a flag that needs one and has none in its own word. */
  const next = (missing: string): string => argv[index++] ?? fail(`flag needs an argument: ${missing}`);
  const takeLong = (word: string): void => {
    const equals = word.indexOf('=');
    const name = equals === -1 ? word.slice(2) : word.slice(2, equals);
    if (name === '' || name.startsWith('-')) fail(`bad flag syntax: ${word}`);
    const flag = byName.get(name);
    if (flag === undefined) {
      const near = nearest(name, visibleNames(options.flags));
      fail(`unknown flag: --${name}`, near === undefined ? undefined : `--${near}`);
    } else if (equals !== -1) {
      set(flag, word.slice(equals + 1));
    } else {
      set(flag, flag.type === 'bool' ? 'true' : next(`--${name}`));
    }
  };
  const takeShort = (word: string): void => {
    for (let at = 1; at < word.length; at++) {
      const letter = word[at] ?? '';
      const flag = byShort.get(letter) ?? fail(`unknown shorthand flag: '${letter}' in ${word}`);
      const rest = word.slice(at + 1);
      const attached = rest.startsWith('=') ? rest.slice(1) : flag.type !== 'bool' && rest !== '' ? rest : undefined;
      if (attached !== undefined) {
        set(flag, attached);
        return;
      }
      set(flag, flag.type === 'bool' ? 'true' : next(`'${letter}' in ${word}`));
    }
  };

  while (index < argv.length) {
    const word = argv[index++] ?? '';
    if (word === '--') {
      args.push(...argv.slice(index));
      break;
    }
    if (word.startsWith('--')) takeLong(word);
    else if (word.startsWith('-') && word !== '-') takeShort(word);
    else {
      args.push(word);
      if (options.interspersed) continue;
      args.push(...argv.slice(index));
      break;
    }
  }
  return { flags, args };
}

function* visibleNames(flags: readonly Flag[]): Generator<string> {
  for (const flag of flags) if (flag.hidden !== true) yield flag.name;
}

/** How many arguments a command takes. */
export interface ArgumentCount {
  min: number;
  /** Absent: any number. */
  max?: number;
}

/** Docker's sentence for a wrong number of arguments, or undefined when it is right. */
export function wrongCount(command: string, count: number, { min, max }: ArgumentCount): string | undefined {
  if (count >= min && (max === undefined || count <= max)) return undefined;
  const plural = (n: number): string => `${n} ${n === 1 ? 'argument' : 'arguments'}`;
  if (max === 0) return `"${command}" accepts no arguments.`;
  if (min === max) return `"${command}" requires exactly ${plural(min)}.`;
  if (max !== undefined && min === 0) return `"${command}" requires at most ${plural(max)}.`;
  if (max !== undefined) return `"${command}" requires at least ${min} and at most ${plural(max)}.`;
  return `"${command}" requires at least ${plural(min)}.`;
}
