/**
 * Containers on disk. Each file has one writer; what is half done is invisible (a name that begins with a dot) and is
 * taken away by the next sweep.
 *
 *     $TSRUN_ROOT/containers/<id>/   container.json config.json start.json exit.json networks.json container.log
 *                                    upper/ work/ hosts hostname resolv.conf
 *     $TSRUN_ROOT/names/<name>       holds the id; link(2) makes names unique
 *     $TSRUN_STATE/containers/<id>/  lock attach.sock; the root is mounted here, in the container's namespace only
 */
import {
  chmodSync,
  fstatSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { codeOf, TsrunError } from '../error.ts';
import { removeTree } from '../image/unpack/remove-tree.ts';
import { O_CREAT, O_DIRECTORY, O_RDONLY, O_RDWR } from '../linux/constants.ts';
import { errno, SyscallError } from '../linux/errno.ts';
import { AT_FDCWD, close, flock, openat } from '../linux/fs.ts';
import { rootDirectory, stateDirectory } from '../linux/paths.ts';
import { randomHex } from '../linux/random.ts';
import { parseContainerRecord } from './parse-record.ts';
import type { Container, ContainerRecord, ContainerState } from './record.ts';
import { computeState } from './state.ts';
import { writeRecord } from './write-record.ts';

const creating = '.creating-';
const removing = '.removing-';

/** A container's lock; whoever holds it may start, reap or remove it. Closing the last copy releases it. */
export interface Lock {
  fd: number;
  release(): void;
}

/** All containers of one data root. */
export class ContainerStore {
  readonly root: string;
  readonly state: string;

  constructor(root = rootDirectory(), state = stateDirectory()) {
    this.root = root;
    this.state = state;
  }

  directory(id: string): string {
    // Not join, which looks at every character: lists ask for hundreds.
    return `${this.root}/containers/${id}`;
  }

  stateDirectory(id: string): string {
    return join(this.state, 'containers', id);
  }

  /** Ids of all containers, in no order. */
  ids(): string[] {
    try {
      return readdirSync(join(this.root, 'containers')).filter((name) => /^[0-9a-f]{64}$/.test(name));
    } catch (error) {
      if (codeOf(error) === 'ENOENT') return [];
      throw error;
    }
  }

  /**
   * All containers, newest first. One that vanishes meanwhile is passed over; of a damaged one `onDamaged` hears. Where
   * only some states are `wanted` the records of the others are not read.
   */
  list(
    onDamaged: (error: TsrunError) => void = () => {},
    wanted: (state: ContainerState) => boolean = () => true,
  ): Container[] {
    const found: Container[] = [];
    for (const id of this.ids()) {
      try {
        const container = this.read(id, wanted);
        if (container !== undefined) found.push(container);
      } catch (error) {
        if (!(error instanceof TsrunError) || error.code !== 'CORRUPT') throw error;
        onDamaged(error);
      }
    }
    return found.sort((a, b) => (a.record.created < b.record.created ? 1 : -1));
  }

  /** One container by its full id, if its state is wanted. Throws `CORRUPT` when its record does not read. */
  read(id: string, wanted?: (state: ContainerState) => boolean): Container | undefined {
    const directory = this.directory(id);
    const path = `${directory}/container.json`;
    const early = wanted === undefined ? undefined : computeState(directory);
    if (early !== undefined && wanted?.(early) === false) return undefined;
    let text: string;
    try {
      text = readFileSync(path, 'utf8');
    } catch (error) {
      if (codeOf(error) === 'ENOENT') return undefined;
      throw error;
    }
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
    if (!isName(name)) return undefined;
    try {
      return readFileSync(join(this.root, 'names', name), 'utf8').trim();
    } catch (error) {
      if (codeOf(error) === 'ENOENT') return undefined;
      throw error;
    }
  }

  /**
   * Makes a container: takes its name, writes its record, makes the directories of its overlay.
   * Throws `CONFLICT` when the name is taken.
   */
  create(record: ContainerRecord): Container {
    mkdirSync(join(this.root, 'names'), { recursive: true, mode: 0o700 });
    const { path: building, fd } = this.beginCreating(record.id);
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
      close(fd);
    }
  }

  /** The directory that becomes the container's, locked (flock) as long as somebody is at work on it. */
  private beginCreating(id: string): { path: string; fd: number } {
    const path = join(this.root, 'containers', creating + id);
    mkdirSync(join(this.root, 'containers'), { recursive: true, mode: 0o700 });
    for (;;) {
      try {
        mkdirSync(path, { mode: 0o700 });
      } catch (error) {
        if (codeOf(error) !== 'EEXIST') throw error;
      }
      const fd = openDirectory(path);
      // Between the two calls a sweep may have taken it for one that was given up.
      if (fd !== undefined && flock(fd, 'exclusive', false) && isStill(fd, path)) return { path, fd };
      if (fd !== undefined) close(fd);
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
    const fd = openDirectory(directory);
    if (fd === undefined) throw new TsrunError('NOT_FOUND', `No such container: ${id}`);
    try {
      flock(fd, 'exclusive', true);
      const current = this.read(id);
      if (current === undefined) throw new TsrunError('NOT_FOUND', `No such container: ${id}`);
      const changed = change(current.record);
      if (changed !== current.record) writeRecord(join(directory, 'container.json'), changed);
      return changed;
    } finally {
      close(fd);
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
    const renamed = this.update(id, (record) => {
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
    });
    this.dropNameOf(id, old);
    return renamed;
  }

  /** Whether a name belongs to a container that is there; one of a rename under way has a moment to be written down. */
  private isNameInUse(name: string, owner: string): boolean {
    for (let attempt = 0; attempt < 10; attempt++) {
      // In this order: its rename may fall between the two looks.
      if (this.isBeingCreated(owner)) return true;
      const { record } = this.read(owner) ?? {};
      if (record === undefined) return false;
      if (record.name === name) return true;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 10);
    }
    return false;
  }

  private takeName(name: string, id: string, temporary: string): void {
    writeFileSync(temporary, `${id}\n`, { mode: 0o600 });
    for (let attempt = 0; ; attempt++) {
      try {
        linkSync(temporary, join(this.root, 'names', name));
        break;
      } catch (error) {
        if (codeOf(error) !== 'EEXIST') throw error;
        const owner = this.nameOwner(name);
        const alive = owner !== undefined && this.isNameInUse(name, owner);
        if (alive || attempt > 2) {
          unlinkSync(temporary);
          throw new TsrunError(
            'CONFLICT',
            `Conflict. The container name "/${name}" is already in use by container "${owner ?? ''}". You have to remove (or rename) that container to be able to reuse that name.`,
          );
        }
        this.dropNameOf(owner, name);
      }
    }
    unlinkSync(temporary);
  }

  /** Drops a name if it is still that owner's: of several who find a dead one, one drops it, and then takes it. */
  private dropNameOf(owner: string | undefined, name: string): void {
    const fd = openDirectory(join(this.root, 'names'));
    if (fd === undefined) return;
    try {
      flock(fd, 'exclusive', true);
      if (this.nameOwner(name) === owner) this.dropName(name);
    } finally {
      close(fd);
    }
  }

  private dropName(name: string): void {
    try {
      unlinkSync(join(this.root, 'names', name));
    } catch (error) {
      if (codeOf(error) !== 'ENOENT') throw error;
    }
  }

  /** Takes a container's files away. The caller holds its lock and has reaped it. */
  remove(record: ContainerRecord): void {
    if (this.nameOwner(record.name) === record.id) this.dropName(record.name);
    const gone = join(this.root, 'containers', removing + record.id);
    try {
      renameSync(this.directory(record.id), gone);
    } catch (error) {
      if (codeOf(error) !== 'ENOENT') throw error;
    }
    // By descriptors: a container may have made directories that are nested deeper than a path is long.
    removeTree(gone);
    this.forget(record.id);
  }

  /**
   * The container's lock, or undefined when somebody else has it and `wait` is false. Removing a container takes its lock
   * file away: a lock on a file that has no name any more is none.
   */
  lock(id: string, wait: boolean): Lock | undefined {
    const directory = this.stateDirectory(id);
    const path = join(directory, 'lock');
    for (;;) {
      mkdirSync(directory, { recursive: true, mode: 0o700 });
      let fd: number;
      try {
        fd = openat(AT_FDCWD, path, O_RDWR | O_CREAT, 0o600);
      } catch (error) {
        // The directory was taken away in between.
        if (error instanceof SyscallError && error.errno === errno.ENOENT) continue;
        throw error;
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

  /** Whether somebody holds the container's lock; makes no file. */
  isLocked(id: string): boolean {
    let fd: number;
    try {
      fd = openat(AT_FDCWD, join(this.stateDirectory(id), 'lock'), O_RDWR);
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
    const fd = openDirectory(path);
    if (fd === undefined) return;
    try {
      if (!flock(fd, 'exclusive', false) || !isStill(fd, path)) return;
      const name = this.nameOfUnfinished(path, id);
      if (name !== undefined) this.dropNameOf(id, name);
      removeTree(path);
    } finally {
      close(fd);
    }
  }

  /** The name that a `create` had taken, or was about to take, when it was killed. */
  private nameOfUnfinished(path: string, id: string): string | undefined {
    try {
      return parseContainerRecord(readFileSync(join(path, 'container.json'), 'utf8'), path, id).name;
    } catch {
      return undefined; // it had not come to its record, and so not to its name
    }
  }

  /** Takes away the state of a container that is gone; the caller holds its lock. */
  forget(id: string): void {
    rmSync(this.stateDirectory(id), { recursive: true, force: true });
  }
}

/** Undefined where there is none. */
function openDirectory(path: string): number | undefined {
  try {
    return openat(AT_FDCWD, path, O_RDONLY | O_DIRECTORY);
  } catch (error) {
    if (error instanceof SyscallError && error.errno === errno.ENOENT) return undefined;
    throw error;
  }
}

/** Whether a path is still the one that was opened. */
function isStill(fd: number, path: string): boolean {
  return fstatSync(fd).ino === statSync(path, { throwIfNoEntry: false })?.ino;
}

/** Docker's rule for names of containers. */
export function isName(text: string): boolean {
  return /^[a-zA-Z0-9][a-zA-Z0-9_.-]+$/.test(text) && text.length <= 255;
}

/** A new id: 64 hexadecimal digits, the first twelve of which are not all decimal (so that a hostname stays a name). */
export function newId(): string {
  for (;;) {
    const id = randomHex(32);
    if (!/^\d+$/.test(id.slice(0, 12))) return id;
  }
}
