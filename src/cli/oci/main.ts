/**
 * The command line of an OCI runtime: runc's options and commands, which containerd, dockerd, conmon and their like call. An entry
 * of its own, that loads only what a command needs: it is called four to six times in the life of a container.
 */
import { resolve } from 'node:path';
import { messageOf, TsrunError } from '../../error.ts';
import type { CgroupManager } from '../../oci/cgroup.ts';
import { OciStore } from '../../oci/store.ts';
import { OCI_VERSION } from '../../runtime/spec.ts';
import { CommandLineError, parseArguments, wrongCount } from '../arguments.ts';
import type { Flag } from '../flag.ts';
import { print } from '../output.ts';
import { programVersion } from '../program-version.ts';
import type { OciCommand } from './command.ts';
import { Log, type LogFormat } from './log.ts';

const globalFlags: readonly Flag[] = [
  { name: 'root', type: 'string', description: 'Directory of the state of containers (0700)' },
  { name: 'log', type: 'string', description: 'File that errors and warnings are appended to; stderr by default' },
  { name: 'log-format', type: 'string', description: 'text (default) or json' },
  { name: 'debug', type: 'bool', description: 'Log more' },
  { name: 'systemd-cgroup', type: 'bool', description: 'cgroupsPath is of the form slice:prefix:name' },
  { name: 'cgroup-manager', type: 'string', description: 'cgroupfs (default), systemd or disabled' },
  { name: 'rootless', type: 'string', description: 'Accepted for compatibility', hidden: true },
  { name: 'criu', type: 'string', description: 'Accepted for compatibility', hidden: true },
  { name: 'version', short: 'v', type: 'bool', description: 'Print the version and quit' },
  { name: 'help', short: 'h', type: 'bool', description: 'Print help' },
];

interface Entry {
  summary: string;
  load(): Promise<OciCommand>;
}

const commands: Readonly<Record<string, Entry>> = {
  checkpoint: {
    summary: 'Not supported: says so',
    load: async () => (await import('./commands/checkpoint.ts')).checkpoint,
  },
  create: { summary: 'Create a container', load: async () => (await import('./commands/create.ts')).create },
  delete: {
    summary: 'Delete what is left of a container',
    load: async () => (await import('./commands/kill.ts')).deleteCommand,
  },
  events: {
    summary: "Print a container's statistics as JSON, again and again",
    load: async () => (await import('./commands/events.ts')).events,
  },
  exec: {
    summary: 'Run a further process in a container',
    load: async () => (await import('./commands/exec.ts')).exec,
  },
  features: {
    summary: 'Print what this runtime can do, as JSON',
    load: async () => (await import('./commands/features.ts')).features,
  },
  kill: { summary: 'Send a signal to a container', load: async () => (await import('./commands/kill.ts')).kill },
  list: { summary: 'List containers', load: async () => (await import('./commands/list.ts')).list },
  pause: {
    summary: 'Stop all processes of a container',
    load: async () => (await import('./commands/resources.ts')).pause,
  },
  ps: { summary: 'List the processes of a container', load: async () => (await import('./commands/list.ts')).ps },
  restore: {
    summary: 'Not supported: says so',
    load: async () => (await import('./commands/checkpoint.ts')).restore,
  },
  resume: {
    summary: 'Let all processes of a container go on',
    load: async () => (await import('./commands/resources.ts')).resume,
  },
  run: { summary: 'Create and start a container', load: async () => (await import('./commands/create.ts')).run },
  spec: { summary: 'Write a config.json to begin with', load: async () => (await import('./commands/spec.ts')).spec },
  start: { summary: 'Start a created container', load: async () => (await import('./commands/create.ts')).start },
  state: { summary: 'Print the state of a container', load: async () => (await import('./commands/list.ts')).state },
  update: {
    summary: 'Change the limits of a container',
    load: async () => (await import('./commands/resources.ts')).update,
  },
};

/** Runs one command line, without the program's name, and answers the exit code. */
export async function main(argv: readonly string[]): Promise<number> {
  let log = new Log(undefined, 'text', false);
  let failure = 1;
  try {
    const global = parseArguments(argv, { command: 'tsrun-oci', flags: globalFlags, interspersed: false });
    log = new Log(
      global.flags.string('log'),
      logFormat(global.flags.string('log-format')),
      global.flags.boolean('debug'),
    );
    if (global.flags.boolean('version')) {
      print(`tsrun-oci version ${programVersion}\nspec: ${OCI_VERSION}\nnode: ${process.versions.node}\n`);
      return 0;
    }
    const [name, ...rest] = global.args;
    if (name === undefined || name === 'help' || global.flags.boolean('help')) {
      print(mainHelp());
      return 0;
    }
    const entry = Object.hasOwn(commands, name) ? commands[name] : undefined;
    if (entry === undefined) throw new TsrunError('USAGE', `No help topic for '${name}'`, { hint: 'tsrun-oci --help' });
    log.debug(`tsrun-oci ${programVersion}: ${argv.join(' ')}`);
    const command = await entry.load();
    failure = command.failure ?? 1;
    const help: Flag = { name: 'help', short: 'h', type: 'bool', description: 'Print help' };
    const parsed = parseArguments(rest, {
      command: `tsrun-oci ${name}`,
      flags: [...command.flags, help],
      interspersed: command.flagsFirst !== true,
    });
    if (parsed.flags.boolean('help')) {
      print(commandHelp(name, entry, [...command.flags, help], command.usage));
      return 0;
    }
    const wrong = wrongCount(`tsrun-oci ${name}`, parsed.args.length, command.args);
    if (wrong !== undefined) throw new TsrunError('USAGE', wrong);
    const root = resolve(global.flags.string('root') || defaultRoot());
    return await command.run({ ...parsed, store: new OciStore(root), log, manager: managerOf(global.flags) });
  } catch (error) {
    log.error(messageFor(error));
    if (!(error instanceof TsrunError) && error instanceof Error) log.debug(error.stack ?? '');
    return failure;
  }
}

/** One line: callers look for runc's words in it. */
function messageFor(error: unknown): string {
  if (!(error instanceof TsrunError)) return messageOf(error);
  const isCommand = error.code === 'COMMAND_NOT_FOUND' || error.code === 'COMMAND_NOT_EXECUTABLE';
  const text = isCommand ? `unable to start container process: ${error.message}` : error.message;
  const hint = error instanceof CommandLineError ? undefined : error.hint;
  return hint === undefined ? text : `${text} (${hint})`;
}

function logFormat(text: string | undefined): LogFormat {
  if (text === undefined || text === '' || text === 'text') return 'text';
  if (text === 'json') return 'json';
  throw new TsrunError('USAGE', `invalid log-format: ${text}`);
}

function managerOf(flags: ReturnType<typeof parseArguments>['flags']): CgroupManager {
  const name = flags.string('cgroup-manager') ?? (flags.boolean('systemd-cgroup') ? 'systemd' : 'cgroupfs');
  if (name !== 'cgroupfs' && name !== 'systemd' && name !== 'disabled') {
    throw new TsrunError('USAGE', `invalid --cgroup-manager ${JSON.stringify(name)}: cgroupfs, systemd or disabled`);
  }
  return name;
}

function defaultRoot(): string {
  const runtime = process.env.XDG_RUNTIME_DIR;
  return process.getuid?.() !== 0 && runtime ? `${runtime}/tsrun-oci` : '/run/tsrun-oci';
}

function flagLines(flags: readonly Flag[]): string {
  const titles = flags
    .filter(({ hidden }) => hidden !== true)
    .map((flag) => {
      const short = flag.short === undefined ? '    ' : `-${flag.short}, `;
      return [`  ${short}--${flag.name}${flag.type === 'bool' ? '' : ` ${flag.type}`}`, flag.description] as const;
    });
  const width = Math.max(...titles.map(([title]) => title.length));
  return titles.map(([title, text]) => `${title.padEnd(width)}   ${text}\n`).join('');
}

function mainHelp(): string {
  const lines = Object.entries(commands).map(([name, { summary }]) => `  ${name.padEnd(12)}${summary}\n`);
  return `Usage: tsrun-oci [OPTIONS] COMMAND\n\nAn OCI runtime, for containerd, dockerd, podman and their like\n\nCommands:\n${lines.join('')}\nOptions:\n${flagLines(globalFlags)}`;
}

function commandHelp(name: string, { summary }: Entry, flags: readonly Flag[], usage: string): string {
  return `Usage: tsrun-oci ${name} ${usage}\n\n${summary}\n\nOptions:\n${flagLines(flags)}`;
}
