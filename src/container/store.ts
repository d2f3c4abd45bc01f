/**
 * Containers on disk. Each file has one writer; what is half done is invisible (a name that begins with a dot) and is
 * taken away by the next sweep.
 *
 *     $TSRUN_ROOT/containers/<id>/   container.json config.json start.json exit.json networks.json container.log
 *                                    upper/ work/ hosts hostname resolv.conf
 *     $TSRUN_ROOT/names/<name>       holds the id; link(2) makes names unique
 *     $TSRUN_STATE/containers/<id>/  lock attach.sock; the root is mounted here, in the container's namespace only
 */
import { randomBytes } from 'node:crypto';
import {
  chmodSync,
  existsSync,
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
import { parseContainerRecord } from './parse-record.ts';
import type { Container, ContainerRecord } from './record.ts';
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
    return join(this.root, 'containers', id);
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

  /** All containers, newest first. One that vanishes meanwhile is passed over; of a damaged one `onDamaged` hears. */
  list(onDamaged: (error: TsrunError) => void = () => {}): Container[] {
    const found: Container[] = [];
    for (const id of this.ids()) {
      try {
        const container = this.read(id);
        if (container !== undefined) found.push(container);
      } catch (error) {
        if (!(error instanceof TsrunError) || error.code !== 'CORRUPT') throw error;
        onDamaged(error);
      }
    }
    return found.sort((a, b) => (a.record.created < b.record.created ? 1 : -1));
  }

  /** One container by its full id. Throws `CORRUPT` when its record does not read. */
  read(id: string): Container | undefined {
    const directory = this.directory(id);
    const path = join(directory, 'container.json');
    let text: string;
    try {
      text = readFileSync(path, 'utf8');
    } catch (error) {
      if (codeOf(error) === 'ENOENT') return undefined;
      throw error;
    }
    return { record: parseContainerRecord(text, path, id), state: computeState(directory), directory };
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
    if (named !== undefined) return named;
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
    const building = join(this.root, 'containers', creating + record.id);
    mkdirSync(join(this.root, 'names'), { recursive: true, mode: 0o700 });
    mkdirSync(building, { recursive: true, mode: 0o700 });
    try {
      // Its mode is that of the container's root directory, whatever umask the caller has.
      mkdirSync(join(building, 'upper'));
      chmodSync(join(building, 'upper'), 0o755);
      mkdirSync(join(building, 'work'), { mode: 0o755 });
      writeRecord(join(building, 'container.json'), record);
      this.takeName(record.name, record.id, building);
    } catch (error) {
      rmSync(building, { recursive: true, force: true });
      throw error;
    }
    const directory = this.directory(record.id);
    renameSync(building, directory);
    return { record, state: computeState(directory), directory };
  }

  /**
   * Changes a container's record, one writer at a time (flock on its directory): for `rename`, `update` and the like; what
   * a start needs it reads once. Returns the new record. Throws `NOT_FOUND` when the container is gone.
   */
  update(id: string, change: (record: ContainerRecord) => ContainerRecord): ContainerRecord {
    const directory = this.directory(id);
    let fd: number;
    try {
      fd = openat(AT_FDCWD, directory, O_RDONLY | O_DIRECTORY);
    } catch (error) {
      if (error instanceof SyscallError && error.errno === errno.ENOENT) {
        throw new TsrunError('NOT_FOUND', `No such container: ${id}`);
      }
      throw error;
    }
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

  private takeName(name: string, id: string, building: string): void {
    const temporary = join(building, 'name');
    writeFileSync(temporary, `${id}\n`, { mode: 0o600 });
    for (let attempt = 0; ; attempt++) {
      try {
        linkSync(temporary, join(this.root, 'names', name));
        break;
      } catch (error) {
        if (codeOf(error) !== 'EEXIST') throw error;
        const owner = this.nameOwner(name);
        const alive =
          owner !== undefined &&
          // In this order: its rename may fall between the two looks.
          (existsSync(join(this.root, 'containers', creating + owner)) || existsSync(this.directory(owner)));
        if (alive || attempt > 2) {
          throw new TsrunError(
            'CONFLICT',
            `Conflict. The container name "/${name}" is already in use by container "${owner ?? ''}". You have to remove (or rename) that container to be able to reuse that name.`,
          );
        }
        this.dropName(name);
      }
    }
    unlinkSync(temporary);
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
    rmSync(this.stateDirectory(record.id), { recursive: true, force: true });
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
      if (fstatSync(fd).ino === statSync(path, { throwIfNoEntry: false })?.ino) {
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

  /** Takes away what a killed `create` or `rm` left. */
  sweepUnfinished(): void {
    let names: string[];
    try {
      names = readdirSync(join(this.root, 'containers'));
    } catch {
      return;
    }
    for (const name of names) {
      if (name.startsWith(removing)) removeTree(join(this.root, 'containers', name));
    }
  }
}

/** Docker's rule for names of containers. */
export function isName(text: string): boolean {
  return /^[a-zA-Z0-9][a-zA-Z0-9_.-]+$/.test(text) && text.length <= 255;
}

/** A new id: 64 hexadecimal digits, the first twelve of which are not all decimal (so that a hostname stays a name). */
export function newId(): string {
  for (;;) {
    const id = randomBytes(32).toString('hex');
    if (!/^\d+$/.test(id.slice(0, 12))) return id;
  }
}
