/**
 * Who may trace what joins a container (CAP_SYS_PTRACE, man 2 ptrace). Joining takes a process more then, which every other
 * container does without (src/runtime/compile/late-entry.ts).
 */
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { availableCapabilities, containerCapabilities } from '../linux/capabilities.ts';
import type { ContainerRecord } from './record.ts';
import type { RunOptions } from './run-options.ts';
import type { ContainerStore } from './store.ts';

/** Whether root in the container may trace processes that have come from outside; privileged, it may do all else too. */
function mayTrace({ options }: Pick<ContainerRecord, 'options'>, hasUserNamespace: boolean): boolean {
  const { capAdd, capDrop, privileged } = options;
  if (privileged || hasUserNamespace || capAdd.length === 0) return false;
  const given = containerCapabilities({ add: capAdd, drop: capDrop, privileged, available: availableCapabilities() });
  return given.includes('CAP_SYS_PTRACE');
}

const joinedName = (mode: RunOptions['pidMode']): string | undefined =>
  mode.startsWith('container:') ? mode.slice('container:'.length) : undefined;

/** Whether what joins the container is to enter its pid namespace last, for somebody in it may trace. */
export function isTraced(record: Pick<ContainerRecord, 'options'>, hasUserNamespace: boolean): boolean {
  // What those may that are in the pid namespace of another one is not asked for each time.
  return joinedName(record.options.pidMode) === undefined
    ? mayTrace(record, hasUserNamespace)
    : !record.options.privileged;
}

const markOf = (store: ContainerStore, id: string): string => join(store.stateDirectory(id), 'traced');

/** Whether a container that may trace has joined the pid namespace of this one. */
export function isTracedByOthers(store: ContainerStore, { id, options }: ContainerRecord): boolean {
  return !options.privileged && existsSync(markOf(store, id));
}

/** Has all whose pid namespace a container joins know, if it may trace. It stays known until their state is removed. */
export function markTraced(store: ContainerStore, record: ContainerRecord, hasUserNamespace: boolean): void {
  if (!mayTrace(record, hasUserNamespace)) return;
  let name = joinedName(record.options.pidMode);
  while (name !== undefined) {
    const joined = store.resolve(name).record;
    writeFileSync(markOf(store, joined.id), '', { mode: 0o600 });
    name = joinedName(joined.options.pidMode);
  }
}
