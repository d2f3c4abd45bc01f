/** What a command is: the table of commands.ts names them, one file of commands/ makes each. */
import type { ArgumentCount, ParsedFlags } from './arguments.ts';
import type { Flag } from './flag.ts';

/** One call of a command. */
export interface Invocation {
  /** As it was typed: `tsrun ps`, `tsrun container ls`. */
  name: string;
  flags: ParsedFlags;
  args: string[];
}

export interface Command {
  /** Behind the name in the usage line: `[OPTIONS] CONTAINER [CONTAINER...]`. */
  usage: string;
  description: string;
  flags: readonly Flag[];
  args: ArgumentCount;
  /** Flags end at the first argument: what follows belongs to somebody else. */
  flagsFirst?: boolean;
  /** The exit code where an error does not bring a more telling one; docker: 125 for run, 1 elsewhere. */
  failure?: number;
  /** Does it and answers the exit code. */
  run(invocation: Invocation): Promise<number>;
}

/** A row of the table of commands: known without loading the command itself. */
export interface CommandEntry {
  /** All ways to write it, the first being its own name: `ps`, `container ls`. */
  names: readonly string[];
  /** The line in the list of commands. */
  summary: string;
  /** For tsrun's own processes: not listed. */
  hidden?: boolean;
  load(): Promise<Command>;
}

/** A word that only groups commands: `container`. */
export interface CommandGroup {
  name: string;
  summary: string;
}
