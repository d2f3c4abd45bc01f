/**
 * Who ends a container also cleans up after it, where nobody else is to: by a claim that its monitor grants (CONTROL_CLAIM of
 * native/monitor.h). Without one the monitor executes `tsrun reap`, which costs a start of this program for each container.
 */
import { stepAsync } from '../trace.ts';
import { claimReaping, type MonitorControl } from './monitor-control.ts';
import type { Container } from './record.ts';
import { readStart } from './state.ts';
import { waitForCleaning } from './steps.ts';
import type { ContainerStore } from './store.ts';

/** Waits for whoever cleans up after the container: its lock is free then. */
export async function waitUntilReaped(store: ContainerStore, id: string, milliseconds: number): Promise<boolean> {
  const deadline = Date.now() + milliseconds;
  for (let pause = 1; ; pause = Math.min(pause * 2, 20)) {
    if (!store.isLocked(id)) return true;
    if (Date.now() >= deadline) return false;
    await new Promise((resolve) => setTimeout(resolve, pause));
  }
}

/**
 * Runs `end`, which ends the container, and waits at most `milliseconds` more until it has been cleaned up, by this process
 * where the monitor grants it. `goes`: it is removed then, by the caller. Returns whether it has been cleaned up.
 */
export async function endAndReap(
  store: ContainerStore,
  { record: { id }, state }: Container,
  milliseconds: number,
  end: () => Promise<void> | void,
  goes = false,
): Promise<boolean> {
  const control = state.unsupervised ? undefined : claimReaping(store.socket(id));
  let reaped = false;
  try {
    await end();
    if (control !== undefined) reaped = await reapClaimed(store, id, control, milliseconds, goes);
  } finally {
    // The monitor has it done, as without a claim.
    if (!reaped) control?.close();
  }
  return stepAsync(waitForCleaning(), () => waitUntilReaped(store, id, milliseconds));
}

async function reapClaimed(
  store: ContainerStore,
  id: string,
  control: MonitorControl,
  milliseconds: number,
  goes: boolean,
): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<'late'>((resolve) => {
    timer = setTimeout(resolve, milliseconds, 'late');
  });
  const exit = await Promise.race([control.onExit, late]);
  clearTimeout(timer);
  if (typeof exit === 'string' || exit.restarts) return false;
  // The monitor holds the container's lock until it hears that this is done.
  const container = store.read(id);
  if (container !== undefined) {
    const { reap } = await import('./reap.ts');
    const { record, directory } = container;
    reap(store, record, readStart(directory), goes || record.options.remove);
  }
  control.reaped();
  return true;
}
