/** `tsrun create`: make a container without starting it. */
import { Engine } from '../../container/engine.ts';
import type { Command } from '../command.ts';
import { beginInterruption } from '../interrupt.ts';
import { buildRunOptions } from '../options/run-options.ts';
import { print } from '../output.ts';
import { allCreateFlags } from '../run-flags.ts';
import { engineIo } from './engine-io.ts';

export const create: Command = {
  usage: '[OPTIONS] IMAGE [COMMAND] [ARG...]',
  description: 'Create a new container',
  flags: allCreateFlags,
  args: { min: 1 },
  flagsFirst: true,
  async run({ flags, args }) {
    const options = buildRunOptions(flags, args, { stdin: false, stdout: false });
    const io = engineIo({
      quiet: flags.boolean('quiet'),
      always: options.pull === 'always',
      signal: beginInterruption(),
    });
    const container = await new Engine().create(options, io);
    print(`${container.record.id}\n`);
    return 0;
  },
};
