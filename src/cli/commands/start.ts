/** `tsrun start`: start containers that exist. */
import { Engine } from '../../container/engine.ts';
import type { Container } from '../../container/record.ts';
import { TsrunError } from '../../error.ts';
import type { Command, Invocation } from '../command.ts';
import { print, printError } from '../output.ts';
import { report } from '../report.ts';
import { attachTo } from './attach.ts';
import { exitCodeOf } from './client.ts';
import { engineIo } from './engine-io.ts';

export const start: Command = {
  usage: '[OPTIONS] CONTAINER [CONTAINER...]',
  description: 'Start stopped containers',
  flags: [
    { name: 'attach', short: 'a', type: 'bool', description: 'Attach stdout and stderr, and pass signals on' },
    { name: 'checkpoint', type: 'string', description: '', hidden: true },
    { name: 'checkpoint-dir', type: 'string', description: '', hidden: true },
    { name: 'detach-keys', type: 'string', description: 'Keys that detach from the container' },
    { name: 'interactive', short: 'i', type: 'bool', description: 'Attach stdin' },
  ],
  args: { min: 1 },
  async run(invocation) {
    const { flags, args } = invocation;
    for (const name of ['checkpoint', 'checkpoint-dir']) {
      if (flags.has(name)) throw new TsrunError('UNSUPPORTED', `--${name} is not supported: there are no checkpoints`);
    }
    if (flags.boolean('attach') || flags.boolean('interactive')) {
      if (args.length > 1) throw new TsrunError('USAGE', 'you cannot start and attach multiple containers at once');
      return attached(invocation);
    }
    const engine = new Engine();
    const failed: string[] = [];
    for (const name of args) {
      try {
        const container = engine.containers.resolve(name);
        if (!isRunning(container)) await engine.start(container, undefined, engineIo());
        print(`${name}\n`);
      } catch (error) {
        report(error, invocation.name, 1);
        failed.push(name);
      }
    }
    if (failed.length === 0) return 0;
    printError(`Error: failed to start containers: ${failed.join(', ')}`);
    return 1;
  },
};

function isRunning({ record, state }: Container): boolean {
  if (state.status === 'paused') {
    throw new TsrunError('CONFLICT', `cannot start a paused container, try unpause instead: ${record.name}`);
  }
  return state.status === 'running' || state.status === 'restarting';
}

async function attached({ flags, args: [name = ''] }: Invocation): Promise<number> {
  const engine = new Engine();
  const container = engine.containers.resolve(name);
  if (isRunning(container)) {
    const end = await attachTo(engine.containers, container, flags, flags.boolean('interactive'), true);
    return end === 'detached' ? 0 : exitCodeOf(end);
  }
  const detachKeys = flags.string('detach-keys');
  const status = await engine.start(
    container,
    {
      stdin: flags.boolean('interactive') && container.record.process.openStdin,
      stdout: true,
      stderr: true,
      // With a terminal they do to tsrun what they always do, as in attach.
      sigProxy: !container.record.process.terminal,
      ...(detachKeys ? { detachKeys } : {}),
    },
    engineIo(),
  );
  return status === 'detached' ? 0 : exitCodeOf(status);
}
