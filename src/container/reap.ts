/**
 * Cleans up after a container: one function for the foreground command, for the monitor's `tsrun reap`, for `rm` and for
 * the sweep after a crash. Everything in it may have been done before.
 */
import { existsSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { killCgroup, removeCgroup } from '../cgroup/index.ts';
import { detachBridge } from '../network/index.ts';
import { step } from '../trace.ts';
import type { ContainerRecord, StartRecord } from './record.ts';
import { isAlive, readStart } from './state.ts';
import type { ContainerStore } from './store.ts';

/** The caller holds the container's lock, and its processes have ended. Removes the container if it was run with --rm. */
export function reap(store: ContainerStore, record: ContainerRecord, start: StartRecord | undefined): void {
  const attachment = start?.network.attachment;
  if (attachment !== undefined) {
    step({ phase: 'teardown', title: 'disconnect the network' }, () =>
      detachBridge({ attachment, containerId: record.id }),
    );
  }
  if (start !== undefined && start.cgroup !== '') {
    step({ phase: 'teardown', title: 'remove the cgroup' }, () => {
      killCgroup(start.cgroup);
      removeCgroup(start.cgroup);
    });
  }
  rmSync(join(store.stateDirectory(record.id), 'attach.sock'), { force: true });
  if (record.options.remove) {
    step({ phase: 'teardown', title: 'remove the container', why: 'it was run with --rm' }, () => store.remove(record));
  }
}

/** `tsrun reap ID`: run by the monitor, which passes its lock on as an open descriptor. */
export function reapById(store: ContainerStore, id: string): void {
  const container = store.read(id);
  if (container === undefined) return;
  reap(store, container.record, readStart(container.directory));
}

/**
 * Cleans up after containers whose monitor was killed: their socket is still there, their lock is free, their process is
 * gone. `except` is being started by the caller.
 */
export function sweep(store: ContainerStore, except?: string): void {
  let ids: string[];
  try {
    ids = readdirSync(join(store.state, 'containers'));
  } catch {
    return;
  }
  for (const id of ids) {
    if (!existsSync(join(store.stateDirectory(id), 'attach.sock'))) continue;
    const lock = store.lock(id, false);
    if (lock === undefined) continue;
    try {
      const container = store.read(id);
      if (container === undefined) {
        rmSync(store.stateDirectory(id), { recursive: true, force: true });
        continue;
      }
      const start = readStart(container.directory);
      if (start !== undefined && isAlive(start)) continue;
      const record =
        id === except
          ? { ...container.record, options: { ...container.record.options, remove: false } }
          : container.record;
      reap(store, record, start);
    } finally {
      lock.release();
    }
  }
}
