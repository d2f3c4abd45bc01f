/** `tsrun system start-all` and `tsrun system stop-all`: what a boot and a shutdown do, since no daemon is there to. */
import { Engine } from '../../container/engine.ts';
import { runningContainers, startableAtBoot } from '../../container/lifecycle.ts';
import { stopContainer } from '../../container/signal.ts';
import { ContainerStore } from '../../container/store.ts';
import type { Command } from '../command.ts';
import { print, printError } from '../output.ts';
import { report } from '../report.ts';
import { engineIo } from './engine-io.ts';

export const startAll: Command = {
  usage: '',
  description: 'Start the containers whose restart policy wants it, as after a boot',
  flags: [],
  args: { min: 0, max: 0 },
  async run({ name }) {
    const engine = new Engine();
    let code = 0;
    for (const container of startableAtBoot(engine.containers, (error) => printError(`tsrun: ${error.message}`))) {
      try {
        await engine.start(container, undefined, engineIo());
        print(`${container.record.name}\n`);
      } catch (error) {
        printError(`Error: failed to start container ${container.record.name}:`);
        code = report(error, name, 1);
      }
    }
    return code === 0 ? 0 : 1;
  },
};

export const stopAll: Command = {
  usage: '[OPTIONS]',
  description: 'Stop all containers, as before a shutdown: start-all starts them again',
  flags: [
    {
      name: 'time',
      short: 't',
      type: 'int',
      description: 'Seconds to wait before killing one; absent: what each container asks for',
    },
  ],
  args: { min: 0, max: 0 },
  async run({ name, flags }) {
    const store = new ContainerStore();
    let code = 0;
    const stopping = runningContainers(store, (error) => printError(`tsrun: ${error.message}`)).map(
      async (container) => {
        const { record } = container;
        try {
          await stopContainer(store, container, flags.integer('time') ?? record.stopTimeout, { manual: false });
          print(`${record.name}\n`);
        } catch (error) {
          code = report(error, name, 1);
        }
      },
    );
    await Promise.all(stopping);
    return code;
  },
};
