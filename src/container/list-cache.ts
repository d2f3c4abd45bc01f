/**
 * `$TSRUN_ROOT/cache/containers`: what `list` has read of containers, so that it need not read up to seven files of each
 * again. It is no index: which containers there are is asked of the directory, and an entry counts only while the
 * container's own directory has not changed since, which every record's rename does to it. Whether one that ran still does
 * is asked of the kernel: one file tells whose monitors are there. Whoever finds the cache missing, old or damaged reads the records instead.
 */
import { renameSync, utimesSync, writeFileSync } from 'node:fs';
import { codeOf } from '../error.ts';
import { changeTime } from '../linux/change-time.ts';
import { readOwnText } from '../linux/own-file.ts';
import { heldLocks, lockName } from '../linux/proc-locks.ts';
import type { Container, ContainerRecord, ContainerState } from './record.ts';
import { bootId, stillRunning } from './state.ts';

/** To be raised with every change of what `ContainerRecord` and `ContainerState` mean. */
const format = 3;
/** So many containers that were not in the cache are worth writing it: reading one costs 0.2 ms, writing it 1 ms. */
const worthWriting = 8;
/** A directory that has changed within the last milliseconds may change again without a new time (man 5 proc, jiffies). */
const settled = 2000;

interface Entry {
  /** When the container's directory changed last (ctime), in milliseconds. */
  changed: number;
  record: ContainerRecord;
  state: ContainerState;
  /** The lock that its monitor holds, as `lockName` has it. */
  lock: string | undefined;
}

/**
 * An entry as the file has it. Most of what records say is the same for all containers, and is written once: reading then
 * takes half the time.
 */
interface Parts {
  record: object;
  options: object;
  process: object;
  state: object;
  start: object | undefined;
}

interface Content {
  format: number;
  shared: Parts;
  entries: (Parts & Pick<Entry, 'changed' | 'lock'>)[];
}

function takeApart({ record, state }: Entry): Parts {
  const { options, process, ...others } = record;
  const { start, ...rest } = state;
  return { record: others, options, process, state: rest, start };
}

function putTogether(parts: Parts, shared: Parts): Pick<Entry, 'record' | 'state'> {
  const options = { ...shared.options, ...parts.options };
  const process = { ...shared.process, ...parts.process };
  const start = parts.start === undefined ? undefined : { ...shared.start, ...parts.start };
  return {
    record: { ...shared.record, ...parts.record, options, process } as ContainerRecord,
    state: { ...shared.state, ...parts.state, start } as ContainerState,
  };
}

/** The fields that have the same value in each of some objects. */
function sharedBy(objects: readonly object[]): object {
  const [first = {}, ...others] = objects;
  const same = ([key, value]: [string, unknown]): boolean => {
    const text = JSON.stringify(value);
    return others.every((other) => JSON.stringify((other as Record<string, unknown>)[key]) === text);
  };
  return Object.fromEntries(Object.entries(first).filter(same));
}

/** What of an object is not in `shared`. */
function restOf<T extends object | undefined>(object: T, shared: object = {}): T {
  if (object === undefined) return object;
  return Object.fromEntries(Object.entries(object).filter(([key]) => !Object.hasOwn(shared, key))) as T;
}

/** Whether the state stays what it is until a record is written, whatever becomes of processes. */
function hasEnded({ status, start, finishedAt }: ContainerState): boolean {
  if (status === 'created') return true;
  // Without a finish it is computed from processes.
  return status === 'exited' && (finishedAt !== undefined || start?.error !== undefined);
}

/** Whether the process of the state was there, so that it can be asked for again. */
function hasProcess({ status }: ContainerState): boolean {
  return status === 'running' || status === 'paused';
}

/** To be called before a container is frozen: what lists know of it they read anew, until that is `settled`. */
export function announcePause(directory: string): void {
  const now = new Date();
  try {
    utimesSync(directory, now, now);
  } catch (error) {
    // Removed meanwhile: whoever freezes it will say so.
    if (codeOf(error) !== 'ENOENT') throw error;
  }
}

/** The cache of one data root, for one listing. */
export class ListCache {
  private readonly path: string;
  private readonly known = new Map<string, Entry>();
  private readonly used = new Map<string, Entry>();
  private added = 0;
  private held: Set<string> | undefined;
  private readonly lockOf: (id: string) => string;

  /** `lockOf` says where a container's lock is. */
  constructor(root: string, lockOf: (id: string) => string) {
    this.path = `${root}/cache/containers`;
    this.lockOf = lockOf;
    try {
      const content = JSON.parse(readOwnText(this.path)) as Content;
      if (content.format !== format) return;
      for (const { changed, lock, ...parts } of content.entries) {
        const entry = { changed, lock, ...putTogether(parts, content.shared) };
        this.known.set(entry.record.id, entry);
      }
    } catch {
      this.known.clear();
    }
  }

  /** What is known of the container in `directory`, and when that changed last; the latter is to be given to `add`. */
  find(id: string, directory: string): { container?: Container; changed: number } {
    const changed = changeTime(directory) ?? 0;
    const entry = this.known.get(id);
    if (entry === undefined || entry.changed !== changed) return { changed };
    const known = !hasProcess(entry.state) || this.isUnchanged(entry);
    const state = known ? entry.state : stillRunning(entry.state);
    if (state === undefined) return { changed };
    this.used.set(id, entry);
    return { container: { record: entry.record, state, directory }, changed };
  }

  /** Keeps a container that was read after `find` had said `changed`. */
  add({ record, state }: Container, changed: number): void {
    if (!(hasEnded(state) || hasProcess(state)) || Date.now() - changed < settled) return;
    const lock = hasProcess(state) ? lockName(this.lockOf(record.id)) : undefined;
    this.used.set(record.id, { changed, record, state, lock });
    this.added++;
  }

  /**
   * Whether what ran still does, told without a look at its processes: its monitor holds the lock (`markMonitored`), and writes
   * down whatever becomes of it. `pause` touches the directory before it does anything (`announcePause`).
   */
  private isUnchanged({ state, lock }: Entry): boolean {
    if (lock === undefined || state.status !== 'running' || state.unsupervised) return false;
    if (state.start?.bootId !== bootId()) return false;
    this.held ??= heldLocks();
    return this.held.has(lock);
  }

  /** Writes the cache when that pays; where it cannot be written nothing is lost. */
  save(): void {
    if (this.added < worthWriting) return;
    const temporary = `${this.path}.${process.pid}`;
    const all = [...this.used.values()].map((entry) => ({ ...entry, ...takeApart(entry) }));
    const shared: Parts = {
      record: sharedBy(all.map(({ record }) => record)),
      options: sharedBy(all.map(({ options }) => options)),
      process: sharedBy(all.map((entry) => entry.process)),
      state: sharedBy(all.map(({ state }) => state)),
      start: sharedBy(all.flatMap(({ start }) => start ?? [])),
    };
    const entries = all.map((entry) => ({
      ...entry,
      record: restOf(entry.record, shared.record),
      options: restOf(entry.options, shared.options),
      process: restOf(entry.process, shared.process),
      state: restOf(entry.state, shared.state),
      start: restOf(entry.start, shared.start),
    }));
    const content: Content = { format, shared, entries };
    try {
      writeFileSync(temporary, JSON.stringify(content), { mode: 0o600 });
      renameSync(temporary, this.path);
    } catch {
      // On a full disk, or without the directory that the first start makes.
    }
  }
}
