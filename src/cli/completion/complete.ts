/** What can come next on a command line that is not finished: commands, flags, values of flags, arguments. */
import type { CommandEntry } from '../command.ts';
import { findCommand, groups, sortedCommands } from '../commands.ts';
import { globalFlags } from '../dispatch.ts';
import type { Flag } from '../flag.ts';
import { argumentValues } from './arguments.ts';
import { type Candidate, type Completion, nothing } from './candidate.ts';
import { flagValues } from './flag-values.ts';

const help: Flag = { name: 'help', type: 'bool', description: 'Print help' };

/** What can stand for the last of `words`, which may be empty; the others are complete. Without the program's name. */
export async function complete(words: readonly string[]): Promise<Completion> {
  const typed = words.at(-1) ?? '';
  const found = await candidatesFor(words.slice(0, -1), typed);
  const candidates = found.candidates.filter(({ value }) => value.startsWith(typed));
  const seen = new Set<string>();
  return {
    ...found,
    candidates: candidates.filter(({ value }) => !seen.has(value) && seen.add(value)),
  };
}

async function candidatesFor(before: readonly string[], typed: string): Promise<Completion> {
  const global = readFlags(before, globalFlags, true);
  if (global.pending !== undefined) return flagValues(global.pending, typed, '');
  const rest = before.slice(before.length - global.rest);
  if (rest.length === 0) return typed.startsWith('-') ? flagNames(globalFlags, typed, '') : commandNames();
  if (rest[0] === 'help') return rest.length === 1 ? commandNames() : subcommands(rest[1] ?? '');
  const { entry, length } = findEntry(rest);
  if (entry !== undefined) {
    const own = await ofCommand(entry, rest.slice(0, length).join(' '), rest.slice(length), typed);
    // `learn` is a command, and has others below it.
    return rest.length > 1
      ? own
      : { ...own, candidates: [...own.candidates, ...subcommands(rest[0] ?? '').candidates] };
  }
  return rest.length === 1 ? subcommands(rest[0] ?? '') : nothing;
}

function findEntry(words: readonly string[]): { entry: CommandEntry | undefined; length: number } {
  const entry = words.length > 1 ? findCommand(words.slice(0, 2).join(' ')) : undefined;
  if (entry !== undefined) return { entry, length: 2 };
  return { entry: findCommand(words[0] ?? ''), length: 1 };
}

function commandNames(): Completion {
  const own = sortedCommands()
    .filter(({ hidden, names }) => hidden !== true && !names[0]?.includes(' '))
    .map(({ names, summary }): Candidate => ({ value: names[0] ?? '', description: summary }));
  const grouping = groups.map(({ name, summary }): Candidate => ({ value: name, description: summary }));
  return { candidates: [...own, ...grouping, { value: 'help', description: 'Show help' }] };
}

/** The commands of a group, each by the first of its names there. */
function subcommands(group: string): Completion {
  const prefix = `${group} `;
  return {
    candidates: sortedCommands().flatMap(({ names, summary, hidden }) => {
      const name = hidden === true ? undefined : names.find((each) => each.startsWith(prefix));
      return name === undefined ? [] : [{ value: name.slice(prefix.length), description: summary }];
    }),
  };
}

async function ofCommand(
  entry: CommandEntry,
  name: string,
  before: readonly string[],
  typed: string,
): Promise<Completion> {
  const command = await entry.load();
  const flags = [...command.flags, help];
  const read = readFlags(before, flags, command.flagsFirst === true);
  if (read.pending !== undefined) return flagValues(read.pending, typed, name);
  const mayBeFlag = !read.ended && (command.flagsFirst !== true || read.args === 0);
  if (mayBeFlag && typed.startsWith('-')) return flagNames(flags, typed, name);
  return argumentValues({ command, action: actionOf(entry), index: read.args, typed, force: read.given.has('force') });
}

function actionOf({ names }: CommandEntry): string {
  return names[0]?.split(' ').at(-1) ?? '';
}

interface ReadFlags {
  /** The flag whose value comes next. */
  pending: Flag | undefined;
  given: Set<string>;
  /** How many arguments there are. */
  args: number;
  /** How many words there are from the first argument on. */
  rest: number;
  /** `--` was there. */
  ended: boolean;
}

/** Reads words as `parseArguments` does, but never fails: they are not finished. */
function readFlags(words: readonly string[], flags: readonly Flag[], stopAtArgument: boolean): ReadFlags {
  const state: ReadFlags = { pending: undefined, given: new Set(), args: 0, rest: 0, ended: false };
  for (const [index, word] of words.entries()) {
    if (state.pending !== undefined) {
      state.pending = undefined;
    } else if (!state.ended && word === '--') {
      state.ended = true;
    } else if (!state.ended && word.startsWith('-') && word !== '-') {
      takeFlag(word, flags, state);
    } else {
      state.args++;
      if (stopAtArgument) return { ...state, args: words.length - index, rest: words.length - index };
    }
  }
  return state;
}

function takeFlag(word: string, flags: readonly Flag[], state: ReadFlags): void {
  if (word.startsWith('--')) {
    const [name = ''] = word.slice(2).split('=');
    const flag = flags.find((each) => each.name === name);
    if (flag === undefined) return;
    state.given.add(flag.aliasOf ?? flag.name);
    if (flag.type !== 'bool' && !word.includes('=')) state.pending = flag;
    return;
  }
  for (const [index, letter] of [...word.slice(1)].entries()) {
    const flag = flags.find((each) => each.short === letter);
    if (flag === undefined) return;
    state.given.add(flag.name);
    if (flag.type === 'bool') continue;
    if (index === word.length - 2) state.pending = flag;
    return;
  }
}

/** Flags by name; behind `--name=` what the flag takes. */
function flagNames(flags: readonly Flag[], typed: string, command: string): Completion {
  const equals = typed.indexOf('=');
  if (equals !== -1) {
    const flag = flags.find(({ name }) => name === typed.slice(2, equals));
    if (flag === undefined) return nothing;
    const found = flagValues(flag, typed.slice(equals + 1), command);
    const prefix = typed.slice(0, equals + 1);
    return { ...found, candidates: found.candidates.map((each) => ({ ...each, value: prefix + each.value })) };
  }
  const shown = flags.filter(({ hidden }) => hidden !== true);
  const named = shown.map(({ name, description }): Candidate => ({ value: `--${name}`, description }));
  if (typed !== '-') return { candidates: named };
  const short = shown.flatMap((flag): Candidate[] =>
    flag.short === undefined ? [] : [{ value: `-${flag.short}`, description: flag.description }],
  );
  return { candidates: [...named, ...short] };
}
