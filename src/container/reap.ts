/**
 * Cleans up after a container: one function for the foreground command, for the monitor's `tsrun reap`, for `rm` and for
 * the sweep after a crash. Everything in it may have been done before.
 */

import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { messageOf } from '../error.ts';
import { unlinkIfThere } from '../linux/optional.ts';
import { removeStale } from '../network/index.ts';
import { step } from '../trace.ts';
import { discardContainer } from './discard.ts';
import { cableOfEnded } from './endpoints.ts';
import { recordVolumeEvents } from './events.ts';
import { sweepExecs } from './exec-directory.ts';
import { mayLive } from './live.ts';
import { disconnectAll } from './network.ts';
import { takeCgroupAway } from './own-cgroup.ts';
import type { ContainerRecord, StartRecord } from './record.ts';
import { takeMountsAway } from './shared-mounts.ts';
import { isAlive, readStart } from './state.ts';
import * as steps from './steps.ts';
import type { ContainerStore } from './store.ts';
import { isWithout } from './walls.ts';

/**
 * The caller holds the container's lock, and its processes have ended. Removes the container if it was run with --rm;
 * `goes` tells that it is removed in any case, now or by the caller.
 */
export function reap(
  store: ContainerStore,
  record: ContainerRecord,
  start: StartRecord | undefined,
  goes = record.options.remove,
): void {
  const directory = store.directory(record.id);
  const cable = cableOfEnded(directory, goes);
  const first = existsSync(store.socket(record.id));
  step(steps.disconnectNetwork(), () => disconnectAll(store, record.id, directory, start, cable, first));
  takeCgroupAway(record.id, start?.cgroup);
  if (isWithout(record.options, 'mount')) step(steps.takeMountsAway(), () => takeMountsAway(store, record));
  const socket = store.socket(record.id);
  // Once for each start: what comes again finds nothing left to do.
  if (start !== undefined && start.pid !== 0 && existsSync(socket)) recordVolumeEvents(store.root, record, 'unmount');
  unlinkIfThere(socket);
  sweepExecs(store, record.id);
  if (record.options.remove) {
    step(steps.removeContainer(true), () => discardContainer(store, record, { reaped: true }));
  }
}

/** `tsrun reap ID`: run by the monitor, which passes its lock on as an open descriptor. */
export function reapById(store: ContainerStore, id: string): void {
  const container = store.read(id);
  if (container === undefined) return;
  const start = readStart(container.directory);
  if (start !== undefined && isAlive(start)) return;
  reap(store, container.record, start);
}

/**
 * Cleans up after containers whose command or monitor was killed: their socket is still there, their lock is free, their
 * process is gone. `except` is being started by the caller, who cleans up after it once its lock is held (`cleanUpBeforeStart`).
 * What cannot be cleaned up is told, and stops nobody.
 */
export function sweep(store: ContainerStore, onNotice: (line: string) => void, except?: string): void {
  store.sweepUnfinished();
  for (const id of stateIds(store)) {
    if (id === except) continue;
    // Its socket says that something may be left; without a container its state itself is.
    const marked = existsSync(store.socket(id));
    if (!marked && existsSync(store.directory(id))) continue;
    const lock = store.lock(id, false);
    if (lock === undefined) continue;
    try {
      sweepOne(store, id);
    } catch (error) {
      onNotice(`cannot clean up after container ${id.slice(0, 12)}: ${messageOf(error)}`);
    } finally {
      lock.release();
    }
  }
}

function stateIds(store: ContainerStore): string[] {
  try {
    return readdirSync(join(store.state, 'containers'));
  } catch {
    return [];
  }
}

/** Takes away what a killed start or run of the container has left. The caller holds its lock, and starts it, unless it lives. */
export function cleanUpBeforeStart(store: ContainerStore, id: string): void {
  if (existsSync(store.socket(id))) sweepOne(store, id, true);
}

function sweepOne(store: ContainerStore, id: string, keep = false): void {
  const container = store.read(id);
  const start = container === undefined ? undefined : readStart(container.directory);
  if (start !== undefined && isAlive(start)) return;
  // Whatever its records say: a start may have been killed when it had ports and had not said so.
  removeStale(() => store.ids().filter((other) => other !== id && mayLive(store, other)));
  if (container === undefined) {
    takeCgroupAway(id);
    store.forget(id);
    return;
  }
  const { record } = container;
  reap(store, keep ? { ...record, options: { ...record.options, remove: false } } : record, start);
}
