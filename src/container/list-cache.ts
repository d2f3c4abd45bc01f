/**
 * `$TSRUN_ROOT/cache/containers`: what `list` has read of containers, so that it need not read up to seven files of each
 * again. It is no index: which containers there are is asked of the directory, and an entry counts only while the
 * container's own directory has not changed since, which every record's rename does to it. Whether one that ran still does
 * is asked of the kernel. Whoever finds the cache missing, old or damaged reads the records instead.
 */
import { renameSync, statSync, writeFileSync } from 'node:fs';
import { readOwnText } from '../linux/own-file.ts';
import type { Container, ContainerRecord, ContainerState } from './record.ts';
import { stillRunning } from './state.ts';

/** To be raised with every change of what `ContainerRecord` and `ContainerState` mean. */
const format = 2;
/** So many containers that were not in the cache are worth writing it: reading one costs 0.2 ms, writing it 1 ms. */
const worthWriting = 8;
/** A directory that has changed within the last milliseconds may change again without a new time (man 5 proc, jiffies). */
const settled = 2000;

interface Entry {
  /** When the container's directory changed last (ctime), in milliseconds. */
  changed: number;
  record: ContainerRecord;
  state: ContainerState;
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

/** The cache of one data root, for one listing. */
export class ListCache {
  private readonly path: string;
  private readonly known = new Map<string, Entry>();
  private readonly used = new Map<string, Entry>();
  private added = 0;

  constructor(root: string) {
    this.path = `${root}/cache/containers`;
    try {
      const content = JSON.parse(readOwnText(this.path)) as { format: number; entries: Entry[] };
      if (content.format !== format) return;
      for (const entry of content.entries) this.known.set(entry.record.id, entry);
    } catch {
      this.known.clear();
    }
  }

  /** What is known of the container in `directory`, and when that changed last; the latter is to be given to `add`. */
  find(id: string, directory: string): { container?: Container; changed: number } {
    const changed = statSync(directory, { throwIfNoEntry: false })?.ctimeMs ?? 0;
    const entry = this.known.get(id);
    if (entry === undefined || entry.changed !== changed) return { changed };
    const state = hasProcess(entry.state) ? stillRunning(entry.state) : entry.state;
    if (state === undefined) return { changed };
    this.used.set(id, entry);
    return { container: { record: entry.record, state, directory }, changed };
  }

  /** Keeps a container that was read after `find` had said `changed`. */
  add({ record, state }: Container, changed: number): void {
    if (!(hasEnded(state) || hasProcess(state)) || Date.now() - changed < settled) return;
    this.used.set(record.id, { changed, record, state });
    this.added++;
  }

  /** Writes the cache when that pays; where it cannot be written nothing is lost. */
  save(): void {
    if (this.added < worthWriting) return;
    const temporary = `${this.path}.${process.pid}`;
    try {
      writeFileSync(temporary, JSON.stringify({ format, entries: [...this.used.values()] }), { mode: 0o600 });
      renameSync(temporary, this.path);
    } catch {
      // On a full disk, or without the directory that the first start makes.
    }
  }
}
