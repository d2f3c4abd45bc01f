/** `rm`. */
import { TsrunError } from '../error.ts';
import { step } from '../trace.ts';
import { isUp } from './active.ts';
import { endAndReap, waitUntilReaped } from './claim.ts';
import { discardContainer } from './discard.ts';
import { reap } from './reap.ts';
import type { Container } from './record.ts';
import { killContainer } from './signal.ts';
import { readStart } from './state.ts';
import { removeContainer as removeStep } from './steps.ts';
import type { ContainerStore } from './store.ts';

/** Milliseconds that the cleaning up may take. */
const patience = 15_000;

/**
 * Removes a container, with `volumes` its anonymous volumes too. With `force` a running one is killed first; without, `CONFLICT` with docker's words.
 */
export async function removeContainer(
  store: ContainerStore,
  container: Container,
  force: boolean,
  volumes = false,
): Promise<void> {
  const { record, state } = container;
  if (isUp(state)) {
    if (!force) throw stillRunning(container);
    const kill = (): void => {
      try {
        killContainer(store, container, 'SIGKILL');
      } catch (error) {
        if (!(error instanceof TsrunError) || error.code !== 'CONFLICT') throw error;
      }
    };
    await endAndReap(store, container, patience, kill, true);
    if (state.unsupervised) await new Promise((resolve) => setTimeout(resolve, 50));
  }
  await waitUntilReaped(store, record.id, patience);
  if (store.read(record.id) === undefined) return;
  const lock = await store.lockSoon(record.id);
  if (lock === undefined)
    throw new TsrunError('CONFLICT', `container "${record.name}" is being started or cleaned up`, {
      hint: 'try again',
    });
  try {
    const now = store.read(record.id);
    if (now === undefined) {
      // Removed by another command; taking its lock has made its state again.
      store.forget(record.id);
      return;
    }
    if (isUp(now.state) && !force) {
      throw new TsrunError('CONFLICT', `container "${record.name}" has been started meanwhile`);
    }
    // Its name may be another than when it was looked up.
    reap(store, now.record, readStart(container.directory), true);
    // One that was run with --rm goes with that.
    if (now.record.options.remove) return;
    step(removeStep(false), () => discardContainer(store, now.record, { volumes, reaped: true }));
  } finally {
    lock.release();
  }
}

/** The error for a container that runs and is not to be forced, in docker's words. */
export function stillRunning({ record, state: { status } }: Container): TsrunError {
  return new TsrunError(
    'CONFLICT',
    status === 'paused'
      ? `You cannot remove a paused container ${record.id}. Unpause and then stop the container before attempting removal or force remove`
      : `You cannot remove a ${status} container ${record.id}. Stop the container before attempting removal or force remove`,
  );
}
