/**
 * The directories of commands in containers: `exec-<id>` in the state of their container, for what whoever cleans up after
 * them must know. Each is locked (flock) as long as its command has a monitor, so that what a killed one left is told apart.
 */
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { codeOf } from '../error.ts';
import { close, flock } from '../linux/fs.ts';
import { namesIn } from '../linux/optional.ts';
import { lockDirectory, openDirectory } from './locked-directory.ts';
import type { ContainerStore } from './store.ts';

const prefix = 'exec-';

/** Where a command of container `id` has its exit record. */
export function execDirectory(store: ContainerStore, id: string, execId: string): string {
  return join(store.stateDirectory(id), prefix + execId);
}

/** Makes it, and returns it open and locked; undefined where the container's state is gone, which is never made here. */
export function makeExecDirectory(path: string): number | undefined {
  for (;;) {
    try {
      mkdirSync(path, { mode: 0o700 });
    } catch (error) {
      if (codeOf(error) === 'ENOENT') return undefined;
      if (codeOf(error) !== 'EEXIST') throw error;
    }
    // Between the two calls a sweep may have taken it for one that was left.
    const lock = lockDirectory(path, true);
    if (lock !== undefined) return lock.fd;
  }
}

/** Ids of the commands that have a monitor. */
export function liveExecs(store: ContainerStore, id: string): string[] {
  return execIds(store, id).filter((execId) => {
    const fd = openDirectory(execDirectory(store, id, execId));
    if (fd === undefined) return false;
    try {
      return !flock(fd, 'shared', false);
    } finally {
      close(fd);
    }
  });
}

/** Takes away what commands left whose monitor was killed. */
export function sweepExecs(store: ContainerStore, id: string): void {
  for (const execId of execIds(store, id)) {
    const path = execDirectory(store, id, execId);
    const lock = lockDirectory(path, false);
    if (lock === undefined) continue;
    rmSync(path, { recursive: true, force: true });
    lock.release();
  }
}

function execIds(store: ContainerStore, id: string): string[] {
  return namesIn(store.stateDirectory(id))
    .filter((name) => name.startsWith(prefix))
    .map((name) => name.slice(prefix.length));
}
