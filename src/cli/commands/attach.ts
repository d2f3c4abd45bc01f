/** `tsrun attach`: connect this terminal with a container that runs. */
import { attachContainer } from '../../container/attach.ts';
import type { ClientEnd } from '../../container/foreground.ts';
import type { Container } from '../../container/record.ts';
import { ContainerStore } from '../../container/store.ts';
import { TsrunError } from '../../error.ts';
import type { ParsedFlags } from '../arguments.ts';
import type { Command } from '../command.ts';
import { printError } from '../output.ts';
import { isTerminal } from '../terminal.ts';
import { detachKeysFlag, detachKeysOf, exitCodeOf } from './client.ts';

export const attach: Command = {
  usage: '[OPTIONS] CONTAINER',
  description: 'Attach local standard input, output, and error streams to a running container',
  flags: [
    detachKeysFlag,
    { name: 'no-stdin', type: 'bool', description: 'Do not attach stdin' },
    {
      name: 'sig-proxy',
      type: 'bool',
      description: 'Pass received signals on to the container',
      shownDefault: 'true',
    },
  ],
  args: { min: 1, max: 1 },
  async run({ flags, args: [name = ''] }) {
    const store = new ContainerStore();
    const container = store.resolve(name);
    const stdin = !flags.boolean('no-stdin');
    return exitCodeOf(await attachTo(store, container, flags, stdin, flags.boolean('sig-proxy', true)));
  },
};

/** Attaches as the flags say. */
export async function attachTo(
  store: ContainerStore,
  container: Container,
  flags: ParsedFlags,
  stdin: boolean,
  sigProxy: boolean,
): Promise<ClientEnd> {
  const { terminal, openStdin } = container.record.process;
  const running = container.state.status === 'running';
  if (running && terminal && openStdin && stdin && !isTerminal(0)) {
    throw new TsrunError('USAGE', 'the input device is not a TTY', {
      hint: 'stdin is no terminal, and the container has one: --no-stdin only shows its output',
      exitCode: 1,
    });
  }
  const request = { stdin, detachKeys: detachKeysOf(flags), sigProxy };
  return attachContainer(store, container, request, (line) => printError(`tsrun: ${line}`));
}
