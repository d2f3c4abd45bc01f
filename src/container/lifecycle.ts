/** Operations on containers that exist: `pause`, `unpause`, `restart`, `rename`, and what a boot and a shutdown do. */
import { join } from 'node:path';
import { freezeCgroup } from '../cgroup/index.ts';
import { TsrunError } from '../error.ts';
import { isUp } from './active.ts';
import { readLive } from './endpoints.ts';
import type { Engine, EngineIo } from './engine.ts';
import { monitorEvent, recordContainerEvent } from './events.ts';
import { announcePause } from './list-cache.ts';
import { refreshNames } from './network-names.ts';
import type { Container } from './record.ts';
import { stopContainer } from './signal.ts';
import { readStopMark } from './stop-mark.ts';
import type { ContainerStore } from './store.ts';
import { writeText } from './write-record.ts';

/** Freezes all processes of a container, or lets them go on. Throws `CONFLICT` with docker's words. */
export function setPaused(store: ContainerStore, { record, state, directory }: Container, paused: boolean): void {
  const conflict = (what: string): TsrunError => new TsrunError('CONFLICT', `Container ${record.id} is ${what}`);
  if (!paused && state.status !== 'paused') throw conflict('not paused');
  if (paused && state.status === 'paused') throw conflict('already paused');
  if (paused && state.status === 'restarting') throw conflict('restarting, wait until the container is running');
  if (paused && state.status !== 'running') throw conflict('not running');
  const cgroup = state.start?.cgroup ?? '';
  if (cgroup === '') {
    throw new TsrunError('UNSUPPORTED', `cannot pause "${record.name}": it runs without a cgroup`, {
      hint: 'mount cgroup2 and start it again',
    });
  }
  const done = announcePause(directory);
  try {
    freezeCgroup(cgroup, paused);
  } finally {
    done();
  }
  recordContainerEvent(store.root, record, paused ? 'pause' : 'unpause');
}

/** `restart`: stop and start; one that was run with --rm is kept in between. */
export async function restartContainer(
  engine: Engine,
  container: Container,
  { seconds, signal }: { seconds: number; signal: string | undefined },
  io: EngineIo,
): Promise<void> {
  const store = engine.containers;
  const { id } = container.record;
  const { remove } = container.record.options;
  const setRemove = (value: boolean): void => {
    store.update(id, (record) => ({ ...record, options: { ...record.options, remove: value } }));
  };
  if (isUp(container.state)) {
    if (remove) setRemove(false);
    try {
      await stopContainer(store, container, seconds, { signal });
    } finally {
      if (remove) setRemove(true);
    }
  }
  const stopped = store.read(id);
  if (stopped === undefined) throw new TsrunError('NOT_FOUND', `No such container: ${container.record.name}`);
  await engine.start(stopped, undefined, io);
  recordContainerEvent(store.root, stopped.record, 'restart');
}

/** `rename`. A monitor that runs puts the new name into its events from now on. */
export function renameContainer(store: ContainerStore, { record, directory }: Container, name: string): void {
  const renamed = store.rename(record.id, name, (after) => writeText(join(directory, 'event'), monitorEvent(after)));
  // Its neighbours on networks of users know it by its name, and so do those that are linked to it.
  if (readLive(directory) !== undefined) refreshNames(store);
  recordContainerEvent(store.root, renamed, 'rename', { oldName: `/${record.name}` });
}

/**
 * What is to run after a boot, in the order of creation. Docker's rules: `always` whatever happened, `unless-stopped`
 * unless somebody stopped it by hand, `on-failure` when it failed and has tries left. What was never started is left alone.
 */
export function startableAtBoot(store: ContainerStore, onDamaged: (error: TsrunError) => void): Container[] {
  const due = store.list(onDamaged).filter((container) => {
    const { record, state, directory } = container;
    if (isUp(container.state) || state.start === undefined) return false;
    const { name, maximumRetryCount } = record.options.restart;
    if (name === 'always') return true;
    if (name === 'unless-stopped') return !readStopMark(directory).manual;
    const tries = maximumRetryCount === 0 || state.restartCount < maximumRetryCount;
    return name === 'on-failure' && state.exitCode !== 0 && tries;
  });
  return due.reverse();
}

/** What runs, newest first: for a shutdown, in whose order dependents come before what they depend on. */
export function runningContainers(store: ContainerStore, onDamaged: (error: TsrunError) => void): Container[] {
  return store.list(onDamaged).filter(({ state }) => isUp(state));
}
