/** `tsrun wait`: block until containers have ended, and print their exit codes. */
import { type FSWatcher, watch } from 'node:fs';
import { isUp } from '../../container/active.ts';
import type { Container } from '../../container/record.ts';
import { computeState } from '../../container/state.ts';
import { ContainerStore } from '../../container/store.ts';
import type { Command } from '../command.ts';
import { forEachArgument } from './each.ts';

/** Milliseconds between two looks, should nobody tell of a change. */
const interval = 200;

export const wait: Command = {
  usage: 'CONTAINER [CONTAINER...]',
  description: 'Wait until containers stop, then print their exit codes',
  flags: [],
  args: { min: 1 },
  async run(invocation) {
    const store = new ContainerStore();
    return forEachArgument(invocation, async (name) => `${await exitCode(store.resolve(name))}\n`);
  },
};

/** The exit code as soon as the container does not run; the monitor's exit record wakes us (man 7 inotify). */
async function exitCode({ directory }: Container): Promise<number> {
  let runs: number | undefined;
  for (;;) {
    const changed = nextChange(directory);
    const state = computeState(directory);
    // As docker: the end of a run, although another one may follow.
    runs ??= state.restartCount;
    if (!isUp(state) || (state.status === 'restarting' && state.restartCount !== runs)) {
      changed.stop();
      return state.exitCode;
    }
    await changed.happened;
  }
}

function nextChange(directory: string): { happened: Promise<void>; stop: () => void } {
  let watcher: FSWatcher | undefined;
  let timer: NodeJS.Timeout | undefined;
  let done = (): void => {};
  const stop = (): void => {
    clearTimeout(timer);
    watcher?.close();
    done();
  };
  const happened = new Promise<void>((resolve) => {
    done = resolve;
    timer = setTimeout(stop, interval);
    try {
      watcher = watch(directory, stop);
      watcher.on('error', stop);
    } catch {
      // It was removed, or no watch is left: the timer is enough.
    }
  });
  return { happened, stop };
}
