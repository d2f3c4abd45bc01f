/** `tsrun exec`: run a further command in a container that runs. */
import { type ExecRequest, execInContainer } from '../../container/exec.ts';
import { ContainerStore } from '../../container/store.ts';
import { TsrunError } from '../../error.ts';
import type { Command, Invocation } from '../command.ts';
import { checkEnvironment, environmentOf } from '../options/environment.ts';
import { printError } from '../output.ts';
import { isTerminal } from '../terminal.ts';
import { detachKeysFlag, detachKeysOf, exitCodeOf } from './client.ts';

export const exec: Command = {
  usage: '[OPTIONS] CONTAINER COMMAND [ARG...]',
  description: 'Run a command in a running container',
  flags: [
    { name: 'detach', short: 'd', type: 'bool', description: 'Run the command in the background' },
    detachKeysFlag,
    { name: 'env', short: 'e', type: 'list', description: 'Set environment variables', check: checkEnvironment },
    { name: 'env-file', type: 'list', description: 'Read environment variables from a file' },
    { name: 'interactive', short: 'i', type: 'bool', description: 'Keep stdin open' },
    { name: 'privileged', type: 'bool', description: 'Give all capabilities to the command' },
    { name: 'tty', short: 't', type: 'bool', description: 'Give it a terminal' },
    { name: 'user', short: 'u', type: 'string', description: 'User to run as (<name|uid>[:<group|gid>])' },
    { name: 'workdir', short: 'w', type: 'string', description: 'Working directory in the container' },
  ],
  args: { min: 2 },
  flagsFirst: true,
  async run(invocation) {
    const [name = ''] = invocation.args;
    const request = execRequestOf(invocation);
    const store = new ContainerStore();
    try {
      const status = await execInContainer(store, store.resolve(name), name, request, (line) =>
        printError(`tsrun: ${line}`),
      );
      return exitCodeOf(status);
    } catch (error) {
      // Nobody waited for the command: it is tsrun that failed.
      if (!request.detach || !(error instanceof TsrunError)) throw error;
      throw new TsrunError(error.code, error.message, { hint: error.hint, cause: error, exitCode: 1 });
    }
  },
};

/** What the flags of `exec` ask for. Throws `USAGE`. */
export function execRequestOf(invocation: Invocation): ExecRequest {
  const { flags, args } = invocation;
  const { terminal, interactive } = streams(invocation);
  const user = flags.string('user');
  const workingDir = flags.string('workdir');
  return {
    command: args.slice(1),
    env: environmentOf(flags.strings('env-file'), flags.strings('env'), process.env),
    privileged: flags.boolean('privileged'),
    terminal,
    interactive,
    detach: flags.boolean('detach'),
    detachKeys: detachKeysOf(flags),
    term: process.env.TERM,
    ...(user ? { user } : {}),
    ...(workingDir ? { workingDir } : {}),
  };
}

/** On a terminal a command needs no -it, as with `run`. */
function streams({ flags }: Invocation): { terminal: boolean; interactive: boolean } {
  const said = ['detach', 'interactive', 'tty'].some((name) => flags.has(name));
  const onTerminal = isTerminal(0) && isTerminal(1);
  if (!said && onTerminal) return { terminal: true, interactive: true };
  const terminal = flags.boolean('tty');
  const interactive = flags.boolean('interactive');
  if (terminal && interactive && !flags.boolean('detach') && !isTerminal(0)) {
    throw new TsrunError('USAGE', 'the input device is not a TTY', {
      hint: 'leave out -t: there is no terminal on stdin',
      exitCode: 1,
    });
  }
  return { terminal, interactive };
}
