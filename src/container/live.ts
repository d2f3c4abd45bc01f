/** Which containers live: they run, with or without a monitor, or are being started or cleaned up. */
import { isAlive, readStart } from './state.ts';
import type { ContainerStore } from './store.ts';

/** Whether a container's things may be in use. Of one whose record does not read it is not known. */
export function mayLive(store: ContainerStore, id: string): boolean {
  if (store.isLocked(id)) return true;
  try {
    const start = readStart(store.directory(id));
    return start !== undefined && isAlive(start);
  } catch {
    return true;
  }
}

/** Ids of all containers that may live. */
export function liveIds(store: ContainerStore): Set<string> {
  return new Set(store.ids().filter((id) => mayLive(store, id)));
}
