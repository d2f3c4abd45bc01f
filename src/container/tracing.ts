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
import { mappingsOf } from './userns.ts';
import { whilePaused } from './while-paused.ts';

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

/** The containers whose pid namespace another one joins: the one that it names, whose that one joins, and so on. */
function joinedBy(store: ContainerStore, { options }: ContainerRecord): string[] {
  const ids: string[] = [];
  for (let name = joinedName(options.pidMode); name !== undefined; ) {
    const { record } = store.resolve(name);
    if (ids.includes(record.id)) break;
    ids.push(record.id);
    name = joinedName(record.options.pidMode);
  }
  return ids;
}

/**
 * Calls `start` for a container while all stand still that are in the pid namespace which it joins, and may trace: it is there
 * from its first moment, when it still has the root of the host. What it joins learns of it, if it may trace itself; that stays
 * known until the state of that container is removed. Throws `IN_USE` where one of them does not stand still in time.
 */
export async function whileNobodyTraces<T>(
  store: ContainerStore,
  record: ContainerRecord,
  hasUserNamespace: boolean,
  start: () => Promise<T>,
): Promise<T> {
  const joined = joinedBy(store, record);
  const root = joined.at(-1);
  if (root === undefined) return start();
  if (mayTrace(record, hasUserNamespace)) {
    for (const id of joined) writeFileSync(markOf(store, id), '', { mode: 0o600 });
  }
  const tracers = store
    .list(undefined, ({ status }) => status === 'running')
    .filter(({ record: other, state }) => {
      const isThere = other.id === root || isJoined(store, other, root);
      return isThere && mayTrace(other, mappingsOf(state.pid, other.options) !== undefined);
    });
  return tracers.reduceRight(
    (next, tracer) => () => whilePaused(tracer, store.socket(tracer.record.id), next),
    start,
  )();
}

function isJoined(store: ContainerStore, other: ContainerRecord, root: string): boolean {
  try {
    return joinedBy(store, other).includes(root);
  } catch {
    // What it has joined is gone, and the namespace with it.
    return false;
  }
}
