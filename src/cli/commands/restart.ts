/** `tsrun restart`: stop containers and start them again. */
import { Engine } from '../../container/engine.ts';
import { restartContainer } from '../../container/lifecycle.ts';
import { codeOf, TsrunError } from '../../error.ts';
import type { Command } from '../command.ts';
import { forEachArgument } from './each.ts';
import { engineIo } from './engine-io.ts';

export const restart: Command = {
  usage: '[OPTIONS] CONTAINER [CONTAINER...]',
  description: 'Restart containers',
  flags: [
    { name: 'signal', short: 's', type: 'string', description: 'Signal to send instead of the stop signal' },
    {
      name: 'time',
      short: 't',
      type: 'int',
      description: 'Seconds to wait for the stop before killing it; -1 waits for ever',
      shownDefault: '10',
    },
    { name: 'timeout', type: 'int', description: 'Seconds to wait', aliasOf: 'time', hidden: true },
  ],
  args: { min: 1 },
  async run(invocation) {
    const { flags } = invocation;
    const engine = new Engine();
    return forEachArgument(invocation, async (name) => {
      const container = engine.containers.resolve(name);
      const seconds = flags.integer('time') ?? container.record.stopTimeout;
      try {
        await restartContainer(engine, container, { seconds, signal: flags.string('signal') || undefined }, engineIo());
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
