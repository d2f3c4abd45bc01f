/** Finds the command of a command line, parses its flags, turns errors into messages and exit codes. */
import { CommandLineError, parseArguments, wrongCount } from './arguments.ts';
import type { Command, CommandEntry } from './command.ts';
import { findCommand, groups, namesInGroup, sortedCommands } from './commands.ts';
import type { Flag } from './flag.ts';
import { heedSignals } from './interrupt.ts';
import { print, printError } from './output.ts';
import { report } from './report.ts';
import { nearest } from './suggest.ts';

/** The flags before the command. */
export const globalFlags: readonly Flag[] = [
  { name: 'config', type: 'string', description: 'Directory of config.json, where credentials are kept' },
  { name: 'debug', short: 'D', type: 'bool', description: 'Print every step on the host side to stderr' },
  { name: 'root', type: 'string', description: 'Directory of images and containers (TSRUN_ROOT)' },
  { name: 'state', type: 'string', description: 'Directory of what a reboot may lose (TSRUN_STATE)' },
  { name: 'storage', type: 'string', description: 'How new layers are stored: erofs or unpacked (TSRUN_STORAGE)' },
  { name: 'version', short: 'v', type: 'bool', description: 'Print the version and quit' },
  { name: 'help', short: 'h', type: 'bool', description: 'Print help', hidden: true },
];

/** Docker's flags that name a daemon or how to reach it. */
const daemonFlags = new Set(['host', 'context', 'tls', 'tlscacert', 'tlscert', 'tlskey', 'tlsverify', 'log-level']);

/** Runs one command line, without the program's name, and answers the exit code. */
export async function main(argv: readonly string[]): Promise<number> {
  let failure = 1;
  let name = 'tsrun';
  try {
    const global = parseGlobal(argv);
    if (global.flags.boolean('version')) return await printVersion();
    if (global.args.length === 0) return await showHelp([]);
    if (global.args[0] === 'help') return await showHelp(global.args.slice(1));
    applyGlobal(global.flags);
    const { entry, words } = findEntry(global.args);
    if (entry === undefined) {
      if (global.flags.boolean('help') || wantsHelp(global.args)) return await showHelp(words);
      return await unknownCommand(global.args);
    }
    name = `tsrun ${words.join(' ')}`;
    const command = await entry.load();
    if (global.flags.boolean('help')) return await showHelp(words);
    failure = command.failure ?? 1;
    return await runCommand(name, entry, command, global.args.slice(words.length));
  } catch (error) {
    await heedSignals();
    return report(error, name, failure);
  }
}

function parseGlobal(argv: readonly string[]): ReturnType<typeof parseArguments> {
  const word = argv.find((text) => !text.startsWith('-') || text === '-');
  const before = word === undefined ? argv : argv.slice(0, argv.indexOf(word));
  for (const text of before) {
    const long = /^--([a-z-]+)/.exec(text)?.[1];
    if ((long !== undefined && daemonFlags.has(long)) || /^-[Hcl]/.test(text)) {
      throw new CommandLineError(`unknown flag: ${text.split('=')[0]}`, {
        hint: 'tsrun has no daemon: there is nothing to connect to, and nothing to configure but --root and --state',
        exitCode: 125,
      });
    }
  }
  return parseArguments(argv, { command: 'tsrun', flags: globalFlags, interspersed: false });
}

function applyGlobal(flags: ReturnType<typeof parseArguments>['flags']): void {
  const set = (variable: string, value: string | undefined): void => {
    if (value !== undefined) process.env[variable] = value;
  };
  set('TSRUN_ROOT', flags.string('root'));
  set('TSRUN_STATE', flags.string('state'));
  set('TSRUN_STORAGE', flags.string('storage'));
  set('DOCKER_CONFIG', flags.string('config'));
  if (flags.boolean('debug')) set('TSRUN_DEBUG', '1');
}

/** The longest beginning of `args` that is a command: `container ls` before `ls`. */
function findEntry(args: readonly string[]): { entry: CommandEntry | undefined; words: string[] } {
  for (const length of [2, 1]) {
    const words = args.slice(0, length);
    if (words.length < length) continue;
    const entry = findCommand(words.join(' '));
    if (entry !== undefined) return { entry, words };
  }
  const group = groups.some((candidate) => candidate.name === args[0]);
  return { entry: undefined, words: group ? args.slice(0, 1) : [] };
}

function wantsHelp(args: readonly string[]): boolean {
  const isGroup = groups.some((group) => group.name === args[0]);
  return (isGroup && args.length === 1) || args.some((arg) => arg === '--help' || arg === '-h');
}

async function runCommand(name: string, entry: CommandEntry, command: Command, argv: string[]): Promise<number> {
  const help: Flag = { name: 'help', type: 'bool', description: 'Print help' };
  const taken = command.flags.some((flag) => flag.short === 'h');
  const flags = [...command.flags, taken ? help : { ...help, short: 'h' }];
  const parsed = parseArguments(argv, { command: name, flags, interspersed: command.flagsFirst !== true });
  if (parsed.flags.boolean('help')) {
    const { renderCommandHelp } = await import('./help.ts');
    print(renderCommandHelp(name, entry, command, await terminalWidth()));
    return 0;
  }
  const wrong = wrongCount(name, parsed.args.length, command.args);
  if (wrong !== undefined) {
    const { renderUsage } = await import('./help.ts');
    printError(`${wrong}\nSee '${name} --help'.`);
    printError(renderUsage(name, command).trimEnd());
    return 1;
  }
  if (process.env.TSRUN_DEBUG) await (await import('./debug.ts')).printSteps();
  return command.run({ name, flags: parsed.flags, args: parsed.args });
}

async function terminalWidth(): Promise<number> {
  const [{ helpWidth }, { terminalSize }] = await Promise.all([import('./help.ts'), import('./terminal.ts')]);
  return helpWidth(terminalSize(1)?.columns);
}

/** `tsrun`, `tsrun help [COMMAND]`, `tsrun container`. */
async function showHelp(words: readonly string[]): Promise<number> {
  const { renderCommandHelp, renderGroupHelp, renderMainHelp } = await import('./help.ts');
  const width = await terminalWidth();
  const group = groups.find((candidate) => candidate.name === words[0]);
  const { entry } = findEntry(words);
  if (entry !== undefined) {
    print(renderCommandHelp(`tsrun ${words.join(' ')}`, entry, await entry.load(), width));
  } else if (group !== undefined) {
    print(renderGroupHelp(group, sortedCommands()));
  } else if (words.length === 0) {
    print(renderMainHelp(globalFlags, groups, sortedCommands(), width));
  } else {
    printError(`unknown help topic: ${words.join(' ')}`);
    return 1;
  }
  return 0;
}

/** Docker's commands that people will look for. */
const missingCommands = new Set(['build', 'builder', 'compose', 'context', 'plugin', 'stack', 'swarm']);

async function unknownCommand(args: readonly string[]): Promise<number> {
  const group = groups.find((candidate) => candidate.name === args[0]);
  const typed = group === undefined ? (args[0] ?? '') : `${args[0]} ${args[1] ?? ''}`;
  const candidates =
    group === undefined
      ? [...groups.map((candidate) => candidate.name), ...sortedCommands().flatMap((entry) => entry.names)]
      : namesInGroup(group.name);
  const near = nearest((group === undefined ? args[0] : args[1]) ?? '', candidates);
  if (missingCommands.has(typed)) {
    printError(`tsrun: docker's command '${typed}' is not there yet.`);
    return 1;
  }
  printError(`tsrun: '${typed}' is not a tsrun command.`);
  if (near !== undefined) printError(`Did you mean '${group === undefined ? '' : `${group.name} `}${near}'?`);
  printError(`See 'tsrun ${group === undefined ? '' : `${group.name} `}--help'`);
  return 1;
}

async function printVersion(): Promise<number> {
  const { programVersion } = await import('./program-version.ts');
  print(`tsrun version ${programVersion}\n`);
  return 0;
}
