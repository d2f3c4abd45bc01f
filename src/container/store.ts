/**
 * Containers on disk. Each file has one writer; what is half done is invisible (a name that begins with a dot) and is
 * taken away by the next sweep.
 *
 *     $TSRUN_ROOT/containers/<id>/   container.json config.json start.json exit.json networks.json container.log
 *                                    upper/ work/ hosts hostname resolv.conf
 *     $TSRUN_ROOT/names/<name>       see names.ts
 *     $TSRUN_STATE/containers/<id>/  lock attach.sock; the root is mounted here, in the container's namespace only
 */
import { chmodSync, existsSync, mkdirSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { codeOf, TsrunError } from '../error.ts';
import { removeTree } from '../image/unpack/remove-tree.ts';
import { O_CREAT, O_NOFOLLOW, O_RDWR } from '../linux/constants.ts';
import { errno, SyscallError } from '../linux/errno.ts';
import { AT_FDCWD, close, flock, openat } from '../linux/fs.ts';
import { namesIn, readIfThere } from '../linux/optional.ts';
import { readOwnText } from '../linux/own-file.ts';
import { rootDirectory, stateDirectory } from '../linux/paths.ts';
import { pause } from '../linux/pause.ts';
import { randomHex } from '../linux/random.ts';
import type { ListedContainer, Shown } from './list-cache.ts';
import { listContainers, type WantedState } from './listing.ts';
import { isStill, type Lock, lockDirectory, openDirectory } from './locked-directory.ts';
import { ContainerNames, isName } from './names.ts';
import { parseContainerRecord } from './parse-record.ts';
import type { Container, ContainerRecord } from './record.ts';
import { computeState } from './state.ts';
import { writeRecord } from './write-record.ts';

const creating = '.creating-';
const removing = '.removing-';
/** How often a lock that may be somebody's for a moment only is asked for, and the milliseconds in between. */
const lockAttempts = 20;
const lockPause = 10;

/** All containers of one data root. */
export class ContainerStore {
  readonly root: string;
  readonly state: string;
  private readonly names: ContainerNames;

  constructor(root = rootDirectory(), state = stateDirectory()) {
    this.root = root;
    this.state = state;
    this.names = new ContainerNames(root);
  }

  directory(id: string): string {
    // Not join, which looks at every character: lists ask for hundreds.
    return `${this.root}/containers/${id}`;
  }

  stateDirectory(id: string): string {
    return join(this.state, 'containers', id);
  }

  private lockPath(id: string): string {
    return join(this.stateDirectory(id), 'lock');
  }

  /** Where the container's monitor listens; that it is there says that something may have to be cleaned up. */
  socket(id: string): string {
    return join(this.stateDirectory(id), 'attach.sock');
  }

  /** Ids of all containers, in no order. */
  ids(): string[] {
    return namesIn(join(this.root, 'containers')).filter((name) => /^[0-9a-f]{64}$/.test(name));
  }

  /**
   * All containers, newest first. One that vanishes meanwhile is passed over; of a damaged one `onDamaged` hears. Where
   * only some states are `wanted` the records of the others need not be read. `shown` is for who shows a table of all of them.
   */
  list(onDamaged: (error: TsrunError) => void = () => {}, wanted?: WantedState, shown?: Shown): ListedContainer[] {
    return listContainers(this, onDamaged, wanted, shown);
  }

  /** One container by its full id, if its state is wanted. Throws `CORRUPT` when its record does not read. */
  read(id: string, wanted?: WantedState): Container | undefined {
    const directory = this.directory(id);
    const path = `${directory}/container.json`;
    const early = wanted === undefined ? undefined : computeState(directory);
    if (early !== undefined && wanted?.(early) === false) return undefined;
    const text = readIfThere(path);
    if (text === undefined) return undefined;
    return { record: parseContainerRecord(text, path, id), state: early ?? computeState(directory), directory };
  }

  /**
   * A container by name, id or beginning of an id, as docker looks it up.
   * Throws `NOT_FOUND`, or `CONFLICT` when the beginning fits several.
   */
  resolve(text: string): Container {
    const name = text.startsWith('/') ? text.slice(1) : text;
    const byId = /^[0-9a-f]{64}$/.test(name) ? this.read(name) : undefined;
    if (byId !== undefined) return byId;
    const id = this.nameOwner(name);
    const named = id === undefined ? undefined : this.read(id);
    // A rename that was killed leaves the other name behind.
    if (named?.record.name === name) return named;
    if (/^[0-9a-f]+$/.test(name)) {
      const matches = this.ids().filter((candidate) => candidate.startsWith(name));
      if (matches.length > 1) {
        throw new TsrunError('CONFLICT', `"${text}" is the beginning of ${matches.length} container ids`, {
          hint: 'give more digits of the id',
        });
      }
      const found = matches[0] === undefined ? undefined : this.read(matches[0]);
      if (found !== undefined) return found;
    }
    throw new TsrunError('NOT_FOUND', `No such container: ${text}`, { hint: 'tsrun ps -a lists all containers' });
  }

  /** The id that a name belongs to. */
  nameOwner(name: string): string | undefined {
    return this.names.owner(name);
  }

  /**
   * Makes a container: takes its name, writes its record, makes the directories of its overlay.
   * Throws `CONFLICT` when the name is taken.
   */
  create(record: ContainerRecord): Container {
    const { path: building, lock } = this.beginCreating(record.id);
    try {
      // Its mode is that of the container's root directory, whatever umask the caller has.
      mkdirSync(join(building, 'upper'));
      chmodSync(join(building, 'upper'), 0o755);
      mkdirSync(join(building, 'work'), { mode: 0o755 });
      writeRecord(join(building, 'container.json'), record);
      this.takeName(record.name, record.id, join(building, 'name'));
      const directory = this.directory(record.id);
      renameSync(building, directory);
      return { record, state: computeState(directory), directory };
    } catch (error) {
      rmSync(building, { recursive: true, force: true });
      throw error;
    } finally {
      lock.release();
    }
  }

  /** The directory that becomes the container's, locked (flock) as long as somebody is at work on it. */
  private beginCreating(id: string): { path: string; lock: Lock } {
    const path = join(this.root, 'containers', creating + id);
    mkdirSync(join(this.root, 'containers'), { recursive: true, mode: 0o700 });
    for (;;) {
      try {
        mkdirSync(path, { mode: 0o700 });
      } catch (error) {
        if (codeOf(error) !== 'EEXIST') throw error;
      }
      // Between the two calls a sweep may have taken it for one that was given up.
      const lock = lockDirectory(path, false);
      if (lock !== undefined) return { path, lock };
    }
  }

  /** Whether somebody is at work on making the container. */
  private isBeingCreated(id: string): boolean {
    const fd = openDirectory(join(this.root, 'containers', creating + id));
    if (fd === undefined) return false;
    try {
      return !flock(fd, 'exclusive', false);
    } finally {
      close(fd);
    }
  }

  /**
   * Changes a container's record, one writer at a time (flock on its directory): for `rename`, `update` and the like; what
   * a start needs it reads once. Returns the new record. Throws `NOT_FOUND` when the container is gone.
   */
  update(id: string, change: (record: ContainerRecord) => ContainerRecord): ContainerRecord {
    const directory = this.directory(id);
    const lock = lockDirectory(directory, true);
    try {
      const current = lock === undefined ? undefined : this.read(id);
      if (current === undefined) throw new TsrunError('NOT_FOUND', `No such container: ${id}`);
      const changed = change(current.record);
      if (changed !== current.record) writeRecord(join(directory, 'container.json'), changed);
      return changed;
    } catch (error) {
      // `rm` does not wait for this: the container may have gone at any point.
      if (codeOf(error) !== 'ENOENT' || existsSync(directory)) throw error;
      throw new TsrunError('NOT_FOUND', `No such container: ${id}`, { cause: error });
    } finally {
      lock?.release();
    }
  }

  /**
   * `rename`: the new name first, then the record, then the old name: whoever is killed in between leaves a name that
   * finds nothing and that the next who wants it takes. `changed` is called before the old name goes.
   * Throws `USAGE` and `CONFLICT` with docker's words.
   */
  rename(id: string, name: string, changed: (record: ContainerRecord) => void): ContainerRecord {
    if (!isName(name)) {
      throw new TsrunError(
        'USAGE',
        `Error when allocating new name: Invalid container name (/${name}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed`,
      );
    }
    let old = '';
    const rename = (record: ContainerRecord): ContainerRecord => {
      old = record.name;
      if (old === name) throw new TsrunError('USAGE', 'Renaming a container with the same name as its current name');
      try {
        this.takeName(name, id, join(this.directory(id), `name.${process.pid}`));
      } catch (error) {
        if (!(error instanceof TsrunError) || error.code !== 'CONFLICT') throw error;
        throw new TsrunError('CONFLICT', `Error when allocating new name: ${error.message}`);
      }
      const after = { ...record, name };
      changed(after);
      return after;
    };
    try {
      const renamed = this.update(id, rename);
      this.names.drop(old, id);
      return renamed;
    } catch (error) {
      if (error instanceof TsrunError && error.code === 'NOT_FOUND') this.names.drop(name, id);
      throw error;
    }
  }

  /** Whether a container that is there goes by a name; a rename under way has a moment to be written down. */
  private isNameInUse(name: string, owner: string): boolean {
    for (let attempt = 0; attempt < 10; attempt++) {
      // In this order: its rename may fall between the two looks.
      if (this.isBeingCreated(owner)) return true;
      const { record } = this.read(owner) ?? {};
      if (record === undefined) return false;
      if (record.name === name) return true;
      pause(10);
    }
    return false;
  }

  private takeName(name: string, id: string, temporary: string): void {
    this.names.take(name, id, temporary, (taken, owner) => this.isNameInUse(taken, owner));
  }

  /** Takes a container's files away. The caller holds its lock, has reaped it, and has read `record` since. */
  remove(record: ContainerRecord): void {
    this.names.drop(record.name, record.id);
    const gone = join(this.root, 'containers', removing + record.id);
    try {
      renameSync(this.directory(record.id), gone);
    } catch (error) {
      if (codeOf(error) !== 'ENOENT') throw error;
    }
    // Renamed since `record` was read: from here on nobody can.
    const name = this.nameIn(gone, record.id) ?? record.name;
    if (name !== record.name) this.names.drop(name, record.id);
    // By descriptors: a container may have made directories that are nested deeper than a path is long.
    removeTree(gone);
    this.forget(record.id);
  }

  /**
   * The container's lock: whoever holds it may start, reap or remove the container, and the monitor has it as long as it
   * lives. Undefined when somebody else has it and `wait` is false. Removing a container takes its lock
   * file away: a lock on a file that has no name any more is none.
   */
  lock(id: string, wait: boolean): Lock | undefined {
    const path = this.lockPath(id);
    for (;;) {
      let fd: number;
      try {
        fd = openat(AT_FDCWD, path, O_RDWR | O_CREAT | O_NOFOLLOW, 0o600);
      } catch (error) {
        if (!(error instanceof SyscallError && error.errno === errno.ENOENT)) throw error;
        // Never made, or taken away in between.
        mkdirSync(this.stateDirectory(id), { recursive: true, mode: 0o700 });
        continue;
      }
      if (!flock(fd, 'exclusive', wait)) {
        close(fd);
        return undefined;
      }
      if (isStill(fd, path)) {
        return { fd, release: () => close(fd) };
      }
      close(fd);
    }
  }

  /**
   * `lock` without waiting for those who have it for long: others look at a lock (`isLocked`) by taking it for a moment, so
   * that one refusal does not mean much.
   */
  async lockSoon(id: string): Promise<Lock | undefined> {
    for (let attempt = 0; attempt < lockAttempts; attempt++) {
      const lock = this.lock(id, false);
      if (lock !== undefined) return lock;
      await new Promise((resolve) => setTimeout(resolve, lockPause));
    }
    return undefined;
  }

  /** Whether somebody holds the container's lock; makes no file. */
  isLocked(id: string): boolean {
    let fd: number;
    try {
      fd = openat(AT_FDCWD, this.lockPath(id), O_RDWR);
    } catch {
      return false;
    }
    try {
      return !flock(fd, 'shared', false);
    } finally {
      close(fd);
    }
  }

  /** Takes away what a killed `create` or `rm` left in the data root. */
  sweepUnfinished(): void {
    let names: string[];
    try {
      names = readdirSync(join(this.root, 'containers'));
    } catch {
      return;
    }
    for (const name of names) {
      const path = join(this.root, 'containers', name);
      if (name.startsWith(removing)) removeTree(path);
      else if (name.startsWith(creating)) this.sweepCreating(name.slice(creating.length), path);
    }
  }

  private sweepCreating(id: string, path: string): void {
    const lock = lockDirectory(path, false);
    if (lock === undefined) return;
    try {
      const name = this.nameIn(path, id);
      if (name !== undefined) this.names.drop(name, id);
      removeTree(path);
    } finally {
      lock.release();
    }
  }

  /** The name in a container's record; a `create` that was killed may not have come to it, and so not to its name. */
  private nameIn(path: string, id: string): string | undefined {
    try {
      return parseContainerRecord(readOwnText(join(path, 'container.json')), path, id).name;
    } catch {
      return undefined;
    }
  }

  /** Takes away the state of a container that is gone; the caller holds its lock. */
  forget(id: string): void {
    rmSync(this.stateDirectory(id), { recursive: true, force: true });
  }
}

/** A new id: 64 hexadecimal digits, the first twelve of which are not all decimal (so that a hostname stays a name). */
export function newId(): string {
  for (;;) {
    const id = randomHex(32);
    if (!/^\d+$/.test(id.slice(0, 12))) return id;
  }
}
