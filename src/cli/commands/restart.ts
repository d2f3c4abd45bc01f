/** `tsrun restart`: stop containers and start them again. */
import { Engine } from '../../container/engine.ts';
import { restartContainer } from '../../container/lifecycle.ts';
import { codeOf, TsrunError } from '../../error.ts';
import type { Command } from '../command.ts';
import { stopFlags, stopOf } from '../options/stop.ts';
import { forEachArgument } from './each.ts';
import { engineIo } from './engine-io.ts';

export const restart: Command = {
  usage: '[OPTIONS] CONTAINER [CONTAINER...]',
  description: 'Restart containers',
  flags: stopFlags('Seconds to wait for the stop before killing it; -1 waits for ever'),
  args: { min: 1 },
  async run(invocation) {
    const { flags } = invocation;
    const engine = new Engine();
    return forEachArgument(invocation, async (name) => {
      const container = engine.containers.resolve(name);
      try {
        await restartContainer(engine, container, stopOf(flags, container.record), engineIo());
      } catch (error) {
        if (!(error instanceof TsrunError) || codeOf(error) === 'NOT_FOUND') throw error;
        throw new TsrunError(error.code, `Cannot restart container ${name}: ${error.message}`, {
          cause: error,
          hint: error.hint,
          exitCode: 1,
        });
      }
      return undefined;
    });
  },
};
