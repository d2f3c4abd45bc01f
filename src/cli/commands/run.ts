/** `tsrun run`: create and start a container, and stay with it unless it is detached. */
import { Engine } from '../../container/engine.ts';
import { GivenUp } from '../../container/start.ts';
import { TsrunError } from '../../error.ts';
import type { Command } from '../command.ts';
import { beginInterruption, endInterruption } from '../interrupt.ts';
import { buildRunOptions } from '../options/run-options.ts';
import { observerOf, traceFlags } from '../options/trace.ts';
import { print } from '../output.ts';
import { allRunFlags } from '../run-flags.ts';
import { isTerminal } from '../terminal.ts';
import { exitCodeOf } from './client.ts';
import { engineIo } from './engine-io.ts';

export const run: Command = {
  usage: '[OPTIONS] IMAGE [COMMAND] [ARG...]',
  description: 'Create and run a new container from an image',
  flags: [...allRunFlags, ...traceFlags],
  args: { min: 1 },
  flagsFirst: true,
  failure: 125,
  async run({ flags, args }) {
    const terminals = { stdin: isTerminal(0), stdout: isTerminal(1) };
    const options = buildRunOptions(flags, args, terminals);
    if (options.terminal && options.interactive && !options.detach && !terminals.stdin) {
      throw new TsrunError('USAGE', 'the input device is not a TTY', {
        hint: 'leave out -t: there is no terminal on stdin',
        exitCode: 1,
      });
    }
    const signal = beginInterruption();
    const observer = await observerOf(flags, signal);
    const io = engineIo({
      quiet: flags.boolean('quiet'),
      always: options.pull === 'always',
      signal,
    });
    let id: string | undefined;
    let givenUp = false;
    try {
      const status = await new Engine().run(options, { ...io, observer }, (container) => {
        id = container.record.id;
        // Only where signals are passed on to the container they must not end tsrun from here on.
        if (options.detach || !options.sigProxy) endInterruption();
      });
      return status === 'detached' ? 0 : exitCodeOf(status);
    } catch (error) {
      givenUp = error instanceof GivenUp;
      throw error;
    } finally {
      observer?.finish();
      // Also when its start failed: the container is there, and its id is what leads to it.
      const silent = options.attach.length > 0 && !/std(out|err)/.test(options.attach.join());
      if ((options.detach || silent) && id !== undefined && !givenUp) print(`${id}\n`);
    }
  },
};
