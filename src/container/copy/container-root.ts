/**
 * The files of a container as it sees them, for `cp`: a running one's through /proc/PID/root (man 5 proc), a stopped one's
 * through an overlay that is mounted nowhere (man 2 fsmount) and ends with its descriptor, volumes laid on it in the same way.
 *
 * A path is walked here, component by component, each opened as a handle that follows no link (man 2 openat, O_PATH); links
 * are read and walked in the same way from this root on. So nothing that a container does meanwhile leads out of it, no link
 * of /proc leads elsewhere, and no device or fifo is opened on the way.
 */
import { existsSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { TsrunError } from '../../error.ts';
import { type BytePath, bytePath, joinPath } from '../../image/unpack/byte-path.ts';
import * as calls from '../../image/unpack/calls.ts';
import { unpackError } from '../../image/unpack/failures.ts';
import {
  AT_EMPTY_PATH,
  AT_RECURSIVE,
  MOUNT_ATTR_RDONLY,
  MOVE_MOUNT_F_EMPTY_PATH,
  MOVE_MOUNT_T_EMPTY_PATH,
  O_DIRECTORY,
  O_NOFOLLOW,
  O_PATH,
  OPEN_TREE_CLOEXEC,
  OPEN_TREE_CLONE,
  RESOLVE_IN_ROOT,
  S_IFDIR,
  S_IFLNK,
} from '../../linux/constants.ts';
import { errno } from '../../linux/errno.ts';
import { syscall } from '../../linux/ffi.ts';
import { readTextIn } from '../../linux/foreign-file.ts';
import { AT_FDCWD, check, close, mkdirat, openat, openat2 } from '../../linux/fs.ts';
import { step } from '../../trace.ts';
import type { Lock } from '../locked-directory.ts';
import type { Container, ContainerRecord } from '../record.ts';
import { isAlive } from '../state.ts';
import type { ContainerStore } from '../store.ts';
import { mappingsOf } from '../userns.ts';
import type { AccountFiles } from '../users.ts';
import { volumeFiles } from '../volumes/options.ts';
import { detachedOverlay } from './detached-overlay.ts';
import { ContainerOwners } from './owners.ts';

const linksFollowedMax = 40;
/** Milliseconds between two looks at a container that somebody else is at work on, and how often. */
const lockPollInterval = 50;
const lockPolls = 200;

/** Where a path of the container leads. */
export interface Located {
  /** The canonical path, without its first slash; `''` is the root. */
  path: BytePath;
  /** The directory that has the name, as a handle; both may be used until `close`. */
  directory: number;
  /** `.`: the directory itself. */
  name: BytePath;
  /** Absent where there is nothing of that name. */
  stat: calls.Stat | undefined;
  /** Of a link, where it leads to as it is written. */
  target: BytePath | undefined;
  close(): void;
}

export class ContainerRoot implements AccountFiles {
  private constructor(
    readonly record: ContainerRecord,
    private readonly fd: number,
    /** Mounts that could not be laid on the overlay, by canonical path: handles of directories. */
    private readonly mounts: ReadonlyMap<BytePath, number>,
    private readonly lock: Lock | undefined,
    readonly owners = new ContainerOwners(undefined),
  ) {}

  /** `layers`: paths of the image's layers, lowest first. A stopped container cannot be started until `close`. */
  static async open(
    store: ContainerStore,
    container: Container,
    layers: () => readonly string[],
  ): Promise<ContainerRoot> {
    const { id, name } = container.record;
    for (let attempt = 0; attempt < lockPolls; attempt++) {
      const now = store.read(id);
      if (now === undefined) throw new TsrunError('NOT_FOUND', `No such container: ${name}`);
      const running = openRunning(now);
      if (running !== undefined) {
        const owners = new ContainerOwners(mappingsOf(now.state.pid, now.record.options));
        return new ContainerRoot(now.record, running, new Map(), undefined, owners);
      }
      const lock = store.lock(id, false);
      if (lock !== undefined) {
        try {
          const locked = store.read(id);
          if (locked?.state.pid === 0) return ContainerRoot.stopped(now, layers(), lock);
          // Removed meanwhile: taking its lock has made its state again.
          if (locked === undefined) store.forget(id);
        } catch (error) {
          lock.release();
          throw error;
        }
        lock.release();
      }
      await delay(lockPollInterval);
    }
    throw new TsrunError('CONFLICT', `container "${name}" is being started or cleaned up`, { hint: 'try again' });
  }

  private static stopped(container: Container, layers: readonly string[], lock: Lock): ContainerRoot {
    const fd = step(
      {
        phase: 'rootfs',
        title: 'overlay of the layers, mounted nowhere',
        why: 'the container does not run; what is changed goes to its upper directory',
      },
      () => detachedOverlay(container.directory, layers),
    );
    const mounts = new Map<BytePath, number>();
    try {
      for (const mount of stoppedMounts(container)) layMount(fd, mount, mounts);
    } catch (error) {
      for (const handle of mounts.values()) close(handle);
      close(fd);
      throw error;
    }
    return new ContainerRoot(container.record, fd, mounts, lock);
  }

  /** Of passwd and group, as the container sees them. */
  readText(path: string): string | undefined {
    return readTextIn(this.fd, path);
  }

  close(): void {
    for (const handle of this.mounts.values()) close(handle);
    close(this.fd);
    this.lock?.release();
  }

  /**
   * Where `path` leads. A link at its end is followed with `follow`, and where a slash or `/.` behind it says that a
   * directory is meant. Undefined where a directory on the way is missing; throws where one is no directory.
   */
  locate(path: BytePath, follow: boolean): Located | undefined {
    const opened: number[] = [];
    const closeAll = (): void => {
      for (const fd of opened.splice(0)) calls.closeDescriptor(fd);
    };
    try {
      const asserts = /\/\.?$/.test(path);
      const located = this.walk(path, follow || asserts, opened);
      if (asserts && located?.stat !== undefined && located.stat.type !== S_IFDIR) {
        throw new TsrunError('USAGE', `lstat ${text(path)}: not a directory`);
      }
      if (located === undefined) closeAll();
      return located === undefined ? undefined : { ...located, close: closeAll };
    } catch (error) {
      closeAll();
      throw error;
    }
  }

  private walk(whole: BytePath, follow: boolean, opened: number[]): Omit<Located, 'close'> | undefined {
    const root = { fd: this.fd, path: '' };
    let stack = [root];
    const todo = componentsOf(whole).reverse();
    for (let links = 0; ; ) {
      const at = stack.at(-1) ?? root;
      const name = todo.pop();
      if (name === undefined) {
        const stat = must(calls.stat(at.fd, ''), 'look at', whole);
        return { path: at.path, directory: at.fd, name: '.', stat, target: undefined };
      }
      if (name === '..') {
        if (stack.length > 1) stack.pop();
        continue;
      }
      const isLast = todo.length === 0;
      const path = joinPath(at.path, name);
      const mounted = this.mounts.get(path);
      const fd = mounted ?? calls.openName(at.fd, name, O_PATH | O_NOFOLLOW, 0);
      if (fd === -errno.ENOENT) {
        return isLast ? { path, directory: at.fd, name, stat: undefined, target: undefined } : undefined;
      }
      if (fd < 0) throw unpackError('open', path, fd);
      if (mounted === undefined) opened.push(fd);
      const stat = must(calls.stat(fd, ''), 'look at', path);
      if (stat.type === S_IFDIR) {
        stack.push({ fd, path });
        continue;
      }
      if (stat.type === S_IFLNK) {
        const target = must(calls.readLink(fd, ''), 'read the link', path);
        if (isLast && !follow) return { path, directory: at.fd, name, stat, target };
        if (++links > linksFollowedMax) throw unpackError('follow', path, -errno.ELOOP);
        if (target.startsWith('/')) stack = [root];
        todo.push(...componentsOf(target).reverse());
        continue;
      }
      if (isLast) return { path, directory: at.fd, name, stat, target: undefined };
      throw new TsrunError('USAGE', `${text(path)}: not a directory`);
    }
  }

  /**
   * What a copy of a whole tree leaves out, by its path below `top`: the kernel's own filesystems of a running container,
   * which are no files of it. Their directories stay, empty.
   */
  isKernels(top: BytePath, path: BytePath): boolean {
    return this.lock === undefined && top === '' && /^(proc|sys|dev)\//.test(path);
  }

  /** Throws docker's words where nothing may be written at a canonical path. */
  checkWritable(path: BytePath): void {
    const inside = this.record.mounts
      .map((mount) => ({ mount, at: bytePath(mount.destination).replace(/^\/+|\/+$/g, '') }))
      .filter(({ at }) => path === at || path.startsWith(`${at}/`))
      .sort((a, b) => b.at.length - a.at.length)[0];
    if (inside !== undefined) {
      if (!inside.mount.readWrite) throw new TsrunError('USAGE', 'mounted volume is marked read-only');
    } else if (this.record.options.readOnly) {
      throw new TsrunError('USAGE', 'container rootfs is marked read-only', {
        hint: 'a volume or tmpfs of it can be written to',
      });
    }
  }
}

function text(path: BytePath): string {
  return `/${Buffer.from(path, 'latin1').toString().replace(/^\/+/, '')}`;
}

function must<T>(result: T | number, action: string, path: BytePath): T {
  if (typeof result === 'number') throw unpackError(action, path, result);
  return result;
}

function componentsOf(path: BytePath): BytePath[] {
  return path.split('/').filter((part) => part !== '' && part !== '.');
}

/** The root of the container's first process; looked at twice, so that it is that process's and no later one's. */
function openRunning({ state }: Container): number | undefined {
  if (state.pid === 0 || state.start === undefined) return undefined;
  let fd: number;
  try {
    fd = openat(AT_FDCWD, `/proc/${state.pid}/root`, O_PATH | O_DIRECTORY);
  } catch {
    return undefined;
  }
  if (isAlive(state.start)) return fd;
  close(fd);
  return undefined;
}

interface StoppedMount {
  source: string;
  destination: string;
  readOnly: boolean;
}

/** Volumes and bind mounts as far as they are on the host; a tmpfs is empty while the container does not run. */
function stoppedMounts({ record, directory }: Container): StoppedMount[] {
  const own = ['resolv.conf', 'hostname', 'hosts'].map((name) => ({
    source: join(directory, name),
    destination: `/etc/${name}`,
    readOnly: false,
  }));
  const asked = record.mounts.flatMap(({ type, source, destination, readWrite, volumeOptions }): StoppedMount[] => {
    const files = volumeFiles(volumeOptions);
    if (type === 'tmpfs' || files.kind === 'filesystem') return [];
    return [{ source: files.kind === 'bind' ? files.device : source, destination, readOnly: !readWrite }];
  });
  const depth = (path: string): number => componentsOf(path).length;
  const taken = new Set(asked.map((mount) => mount.destination));
  return [...own.filter((mount) => !taken.has(mount.destination)), ...asked]
    .filter((mount) => existsSync(mount.source))
    .sort((a, b) => depth(a.destination) - depth(b.destination));
}

/** Lays a copy of a mount on the detached overlay; Linux before 6.15 refuses, then paths are led there (`mounts`). */
function layMount(root: number, mount: StoppedMount, mounts: Map<BytePath, number>): void {
  const directory = statSync(mount.source).isDirectory();
  const target = openTarget(root, mount.destination, directory);
  if (target === undefined) return;
  try {
    const flags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE;
    const tree = check(syscall('open_tree', AT_FDCWD, mount.source, flags), 'open_tree', mount.source);
    try {
      if (mount.readOnly) {
        const attributes = Buffer.alloc(32);
        attributes.writeBigUInt64LE(BigInt(MOUNT_ATTR_RDONLY), 0);
        const where = AT_EMPTY_PATH | AT_RECURSIVE;
        check(syscall('mount_setattr', tree, '', where, attributes, attributes.length), 'mount_setattr', mount.source);
      }
      const move = MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH;
      if (syscall('move_mount', tree, '', target, '', move) >= 0 || !directory) return;
      const path = bytePath(mount.destination).replace(/^\/+|\/+$/g, '');
      mounts.set(path, openat(tree, '.', O_PATH | O_DIRECTORY));
    } finally {
      close(tree);
    }
  } finally {
    close(target);
  }
}

/** The place of a mount, made where it is missing as a start makes it; undefined where it cannot be. */
function openTarget(root: number, path: string, directory: boolean): number | undefined {
  const open = (inner: string, flags: number): number =>
    openat2(root, inner.replace(/^\/+/, '') || '.', flags, RESOLVE_IN_ROOT);
  try {
    return open(path, O_PATH);
  } catch {
    if (!directory) return undefined;
  }
  const parent = dirname(path) === '/' ? open('/', O_PATH) : openTarget(root, dirname(path), true);
  if (parent === undefined) return undefined;
  try {
    mkdirat(parent, path.slice(path.lastIndexOf('/') + 1), 0o755);
    return open(path, O_PATH);
  } catch {
    return undefined;
  } finally {
    close(parent);
  }
}
