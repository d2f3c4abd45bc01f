/**
 * `$TSRUN_ROOT/cache/containers`: what `list` has read of containers, so that it need not read up to seven files of each
 * again. It is no index: an entry counts only while the container's own directory has not changed since, which every record's
 * rename does to it, and which containers there are is asked of their directory unless that has not changed either. Whether
 * one that ran still does is asked of the kernel: its monitor holds a lock. Whoever finds the cache missing, old or damaged
 * reads the records instead.
 */
import { renameSync, utimesSync, writeFileSync } from 'node:fs';
import { codeOf, TsrunError } from '../error.ts';
import { ChangeTimes, isSettled } from '../linux/change-times.ts';
import { unlinkIfThere } from '../linux/optional.ts';
import { readOwn } from '../linux/own-file.ts';
import { type Cells, decodeList, encodeList, type ListContent, type Row } from './list-file.ts';
import { Monitors } from './monitored.ts';
import type { Container, ContainerState } from './record.ts';
import { bootId, stillRunning } from './state.ts';

const fileIn = (root: string): string => `${root}/cache/containers`;
/** So many containers that were not in the cache are worth writing it: reading one costs 0.2 ms, writing it 1 ms and more. */
const worthWriting = 4;
/** As many as that are not more work than the names in their directory. */
const worthOfNames = 2;
/** The time of modification that nothing but `announcePause` gives to a directory. */
const announced = 0;

/** A container as a list has it; `cells` where the cache has them, and nothing has happened to it that they do not show. */
export interface ListedContainer extends Container {
  id: string;
  cells?: Cells;
}

/** What a list shows of containers, to be kept in the cache. */
export interface Shown {
  /** Names what the cells depend on beside the containers; undefined where that may change without another name. */
  key: string | undefined;
  cellsOf: (container: Container) => Cells;
}

/** Whether the state stays what it is until a record is written, whatever becomes of processes. */
function hasEnded({ status, start, finishedAt }: ContainerState): boolean {
  if (status === 'created') return true;
  // Without a finish it is computed from processes.
  return status === 'exited' && (finishedAt !== undefined || start?.error !== undefined);
}

/** Whether the process of the state was there, so that it can be asked for again. */
function hasProcess({ status }: Pick<ContainerState, 'status'>): boolean {
  return status === 'running' || status === 'paused';
}

/**
 * To be called before a container is frozen or thawed: lists read its records from then on, until the function that this answers
 * is called, which belongs behind it. Where that never comes they do so until one of its records is written.
 */
export function announcePause(directory: string): () => void {
  const touch = (modified: number): void => {
    try {
      utimesSync(directory, new Date(), new Date(modified));
    } catch (error) {
      // Removed meanwhile: whoever freezes it will say so.
      if (codeOf(error) !== 'ENOENT') throw error;
    }
  };
  touch(announced);
  return () => touch(Date.now());
}

interface Kept {
  row: Row;
  container: ListedContainer;
}

/** What the file says; undefined where it is missing, of another version or damaged. */
export function readListCache(root: string): ListContent | undefined {
  try {
    return decodeList(readOwn(fileIn(root)));
  } catch {
    return undefined;
  }
}

/** The cache of one data root, for one listing. */
export class ListCache {
  private readonly root: string;
  private readonly content: ListContent | undefined;
  private readonly shown: Shown | undefined;
  private readonly times: ChangeTimes;
  private readonly monitors: Monitors;
  /** Before anything was looked at. */
  private readonly now = Date.now();
  private readonly changed: number | undefined;
  private readonly known = new Map<string, number>();
  private readonly used: Kept[] = [];
  private added = 0;

  /**
   * `state`: the directory of what a reboot may lose; `content`: of `readListCache`. Throws `SyscallError` where there is no
   * directory of containers.
   */
  constructor(root: string, state: string, content: ListContent | undefined, shown: Shown | undefined) {
    this.root = root;
    this.content = content;
    this.shown = shown;
    this.times = new ChangeTimes(`${root}/containers`);
    this.monitors = new Monitors(state);
    this.changed = this.times.of('.')?.changed;
    content?.rows.forEach(({ id }, index) => {
      this.known.set(id, index);
    });
  }

  /** Ids of all containers, newest first, where it is certain that they are those of then. */
  ids(): string[] | undefined {
    if (this.content?.changed === undefined || this.content.changed !== this.changed) return undefined;
    return this.content.rows.map(({ id }) => id);
  }

  /**
   * What is known of a container, and when its directory changed last, which is to be given to `add`. Should the cache turn out to be
   * damaged, `read` is asked.
   */
  find(id: string, read: (id: string) => Container | undefined): { kept?: Kept; changed: number } {
    const times = this.times.of(id);
    const changed = times === undefined || times.modified === announced ? Number.NaN : times.changed;
    const index = this.known.get(id) ?? -1;
    const row = this.content?.rows[index];
    if (row?.changed !== changed) return { changed };
    const container = this.container(row, index, read);
    const kept = { row, container };
    if (!hasProcess(row) || this.isUnchanged(row)) {
      this.used.push(kept);
      return { kept, changed };
    }
    const state = stillRunning(container.state);
    if (state === undefined) return { changed };
    this.used.push(kept);
    const { record, directory } = container;
    return { kept: { row: { ...row, status: state.status }, container: { id, record, state, directory } }, changed };
  }

  /** Keeps a container that was read after `find` had said `changed`. */
  add(container: ListedContainer, changed: number): void {
    const { record, state } = container;
    if (!(hasEnded(state) || hasProcess(state)) || !isSettled(changed, this.now)) return;
    const { id, created } = record;
    const { status, unsupervised } = state;
    const row = { id, changed, created, status, ...(unsupervised ? { unsupervised } : {}) };
    this.used.push({ row, container });
    this.added++;
  }

  close(): void {
    this.times.close();
    this.monitors.close();
  }

  /** `count`: how many containers there were. Writes the cache where that pays; where it cannot be written nothing is lost. */
  save(count: number): void {
    const withoutCells = this.shown?.key === undefined ? 0 : this.used.filter(({ row }) => !this.cellsOf(row)).length;
    const { changed } = this;
    const isComplete = this.used.length === count && changed !== undefined && isSettled(changed, this.now);
    const namesToo = isComplete && changed !== this.content?.changed ? worthOfNames : 0;
    if (Math.max(this.added, withoutCells) + namesToo >= worthWriting) this.write(isComplete ? changed : undefined);
  }

  private container(row: Row, index: number, read: (id: string) => Container | undefined): ListedContainer {
    const { content, root } = this;
    let known: Pick<Container, 'record' | 'state'> | undefined;
    const records = (): Pick<Container, 'record' | 'state'> => {
      try {
        known ??= content?.records(index);
      } catch {
        unlinkIfThere(fileIn(root));
      }
      known ??= read(row.id);
      if (known === undefined) throw new TsrunError('NOT_FOUND', `No such container: ${row.id}`);
      return known;
    };
    const cells = this.cellsOf(row);
    return {
      id: row.id,
      ...(cells === undefined ? {} : { cells }),
      get record() {
        return records().record;
      },
      get state() {
        return records().state;
      },
      directory: `${root}/containers/${row.id}`,
    };
  }

  /** The cells of a container that was kept, if they are what would be made of it now. */
  private cellsOf({ cells }: Row): Cells | undefined {
    return this.shown?.key !== undefined && this.shown.key === this.content?.key ? cells : undefined;
  }

  /**
   * Whether what ran still does, told without a look at its processes: its monitor is there, and writes down whatever becomes
   * of it; who freezes it announces that (`announcePause`).
   */
  private isUnchanged({ id, status, unsupervised }: Row): boolean {
    if (status !== 'running' || unsupervised || this.content?.boot !== bootId()) return false;
    return this.monitors.has(id);
  }

  private write(changed: number | undefined): void {
    const { shown } = this;
    const key = shown === undefined ? this.content?.key : shown.key;
    const kept = this.used.sort(({ row: a }, { row: b }) =>
      a.created < b.created ? 1 : a.created > b.created ? -1 : 0,
    );
    const content: ListContent = {
      ...(changed === undefined ? {} : { changed }),
      boot: bootId(),
      ...(key === undefined ? {} : { key }),
      rows: kept.map(({ row, container }) => {
        if (shown === undefined) return row;
        const { cells: _, ...others } = row;
        return key === undefined ? others : { ...others, cells: this.cellsOf(row) ?? shown.cellsOf(container) };
      }),
      records: (index) => kept[index]?.container as Container,
    };
    const path = fileIn(this.root);
    const temporary = `${path}.${process.pid}`;
    try {
      writeFileSync(temporary, encodeList(content), { mode: 0o600 });
      renameSync(temporary, path);
    } catch {
      // On a full disk, or without the directory that the first start makes.
    }
  }
}
