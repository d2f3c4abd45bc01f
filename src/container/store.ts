/**
 * Containers on disk. Each file has one writer; what is half done is invisible (a name that begins with a dot) and is
 * taken away by the next sweep.
 *
 *     $TSRUN_ROOT/containers/<id>/   container.json config.json start.json exit.json container.log
 *                                    upper/ work/ hosts hostname resolv.conf
 *     $TSRUN_ROOT/names/<name>       holds the id; link(2) makes names unique
 *     $TSRUN_STATE/containers/<id>/  lock attach.sock; the root is mounted here, in the container's namespace only
 */
import { randomBytes } from 'node:crypto';
import {
  existsSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { TsrunError } from '../error.ts';
import { O_CREAT, O_RDWR } from '../linux/constants.ts';
import { AT_FDCWD, close, flock, openat } from '../linux/fs.ts';
import { rootDirectory, stateDirectory } from '../linux/paths.ts';
import { parseContainerRecord } from './parse-record.ts';
import type { Container, ContainerRecord } from './record.ts';
import { computeState } from './state.ts';

const creating = '.creating-';
const removing = '.removing-';

/** A container's lock; whoever holds it may start, reap or remove it. Closing the last copy releases it. */
export interface Lock {
  fd: number;
  release(): void;
}

function codeOf(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined;
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
      mkdirSync(join(building, 'upper'), { mode: 0o755 });
      mkdirSync(join(building, 'work'), { mode: 0o755 });
      writeFileSync(join(building, 'container.json'), JSON.stringify(record), { mode: 0o600 });
      this.takeName(record.name, record.id, building);
    } catch (error) {
      rmSync(building, { recursive: true, force: true });
      throw error;
    }
    const directory = this.directory(record.id);
    renameSync(building, directory);
    return { record, state: computeState(directory), directory };
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
          (existsSync(this.directory(owner)) || existsSync(join(this.root, 'containers', creating + owner)));
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
    rmSync(gone, { recursive: true, force: true });
    rmSync(this.stateDirectory(record.id), { recursive: true, force: true });
  }

  /** The container's lock, or undefined when somebody else has it and `wait` is false. */
  lock(id: string, wait: boolean): Lock | undefined {
    const directory = this.stateDirectory(id);
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    const fd = openat(AT_FDCWD, join(directory, 'lock'), O_RDWR | O_CREAT, 0o600);
    if (!flock(fd, 'exclusive', wait)) {
      close(fd);
      return undefined;
    }
    return { fd, release: () => close(fd) };
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
      if (name.startsWith(removing)) rmSync(join(this.root, 'containers', name), { recursive: true, force: true });
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
