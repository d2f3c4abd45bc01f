/** A container that stands still while something is done that its processes are not to see half done, or to meddle with. */
import { announcePause } from './list-cache.ts';
import { holdFrozen } from './monitor-control.ts';
import type { Container } from './record.ts';

/**
 * Pauses a container that runs until `action` has ended; `socket` is where its monitor listens. Whoever ends this process, the
 * container goes on: its monitor has frozen it for as long as the connection lasts. Throws `IN_USE` where it does not stand
 * still in time.
 */
export async function whilePaused<T>(
  { state, directory }: Pick<Container, 'state' | 'directory'>,
  socket: string,
  action: () => Promise<T>,
): Promise<T> {
  const cgroup = state.start?.cgroup ?? '';
  if (state.status !== 'running' || cgroup === '') return action();
  const { freezeCgroup } = await import('../cgroup/index.ts');
  const release = holdFrozen(socket);
  const thaw = (): void => {
    release?.();
    freezeCgroup(cgroup, false);
  };
  // Where no monitor does it: a second Ctrl-C ends this process at once.
  process.once('exit', thaw);
  const done = announcePause(directory);
  try {
    freezeCgroup(cgroup, true);
    return await action();
  } finally {
    process.off('exit', thaw);
    thaw();
    done();
  }
}
