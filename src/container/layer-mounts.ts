/**
 * Containers share the mounts of their layers, and so what has been read of them: page cache belongs to a mount's super block.
 * Nobody owns them. Each monitor holds those of its container, and a start takes them from a monitor that is up (man 2
 * pidfd_getfd). Where to ask stands in a file for each layer, which is a hint and no more: what comes is looked at, and on any
 * doubt the layer is mounted anew.
 *
 *     $TSRUN_STATE/layers/<chain id>   a line for each monitor: PID START-TIME DESCRIPTOR DEVICE:INODE CONTAINER
 */
import { mkdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { type Digest, digestHex } from '../image/digest.ts';
import { type ErofsIdentity, identityOf, isMountOf } from '../image/erofs/identity.ts';
import { cloneMount, mountErofs } from '../image/erofs/mount.ts';
import type { MountedPlace } from '../image/layers.ts';
import { O_APPEND, O_CLOEXEC, O_CREAT, O_NOFOLLOW, O_WRONLY } from '../linux/constants.ts';
import { errno } from '../linux/errno.ts';
import { syscall } from '../linux/ffi.ts';
import { AT_FDCWD, close, openat, writeAll } from '../linux/fs.ts';
import { namesIn, readIfThere, unlinkIfThere } from '../linux/optional.ts';
import { openPidfd, processStartTime } from '../linux/process.ts';
import { step } from '../trace.ts';
import { isStill } from './locked-directory.ts';
import { fdLock } from './monitor.ts';
import * as steps from './steps.ts';
import type { ContainerStore } from './store.ts';
import { writeText } from './write-record.ts';

/** So many monitors that are up are named: when all of them have ended, the next start mounts the layer, whoever else has it. */
const maxHolders = 4;
/** So many lines, of monitors that have ended too: then the file is written anew. */
const maxLines = 16;

/** A monitor that holds the mount of a layer, as the file of that layer names it. */
interface Holder {
  pid: number;
  startTime: string;
  /** Of the monitor. */
  fd: number;
  /** Device and inode of the layer's metadata. */
  file: string;
  /** Its container. */
  id: string;
}

/** What was mounted for a start. */
interface Mounted {
  chainId: string;
  file: string;
  /** Who else has it, or had it; without those that were asked and have it not. */
  others: Holder[];
  /** All that are named: also for the file of a layer that was pulled before, or that another data root has. */
  named: readonly Holder[];
  /** Another line can be put behind those that are there. */
  appends: boolean;
}

const lineForm = /^(\d{1,10}) (\d{1,20}) (\d{1,7}) (\d+:\d+) ([0-9a-f]{64})$/;

function parseHolder(line: string): Holder | undefined {
  const [, pid = '', startTime = '', fd = '', file = '', id = ''] = lineForm.exec(line) ?? [];
  return id === '' ? undefined : { pid: Number(pid), startTime, fd: Number(fd), file, id };
}

function lineOf({ pid, startTime, fd, file, id }: Holder): string {
  return `${pid} ${startTime} ${fd} ${file} ${id}\n`;
}

/** `DEVICE:INODE`; empty where it cannot be looked at: whoever mounts it says why. */
function fileOf(path: string): string {
  try {
    const { dev, ino } = statSync(path, { bigint: true });
    return `${dev}:${ino}`;
  } catch {
    return '';
  }
}

/** The mounts of one start. */
export class LayerMounts {
  /** Of each monitor that was asked: -1 where it is none. */
  readonly #monitors = new Map<string, number>();
  /** In the order of their descriptors. */
  readonly #mounted: Mounted[] = [];

  /** `chainIds`: of the container's layers, lowest first. */
  constructor(
    private readonly store: ContainerStore,
    private readonly chainIds: readonly string[],
  ) {}

  /** The mount of the layer with that number: that of a container which is up, else a new one. Throws as `mountErofs` does. */
  mount({ metadata, archive }: MountedPlace, index: number): number {
    const known = this.#look(metadata, index);
    const taken = this.#take(known.others, metadata, index);
    const fd = taken?.fd ?? step(steps.mountLayer(index), () => mountErofs(metadata, archive));
    this.#mounted.push(known);
    return fd;
  }

  /** The container whose mount of a layer would be taken. */
  sharedWith({ metadata }: MountedPlace, index: number): string | undefined {
    const taken = this.#take(this.#look(metadata, index).others, metadata, index);
    if (taken !== undefined) close(taken.fd);
    return taken?.id;
  }

  #path(chainId: string): string {
    return join(this.store.state, 'layers', digestHex(chainId as Digest));
  }

  #look(metadata: string, index: number): Mounted {
    const chainId = this.chainIds[index] ?? '';
    const file = fileOf(metadata);
    const text = this.#read(chainId);
    const named = (text ?? '').split('\n', maxLines).flatMap((line) => parseHolder(line) ?? []);
    const appends = named.length < maxLines && named.map(lineOf).join('') === text;
    return { chainId, file, others: named.filter((holder) => holder.file === file), named, appends };
  }

  /** Undefined for what is no file of text: it is replaced. */
  #read(chainId: string): string | undefined {
    try {
      return readIfThere(this.#path(chainId)) ?? '';
    } catch {
      return undefined;
    }
  }

  /** The mount of the first that has it; who has it not is dropped. */
  #take(holders: Holder[], metadata: string, index: number): { fd: number; id: string } | undefined {
    try {
      const identity = holders.length === 0 ? undefined : identityOf(metadata);
      for (let holder = holders[0]; holder !== undefined; holder = holders[0]) {
        const fd = holder.file === identity?.file ? this.#takeFrom(holder, identity, index) : undefined;
        if (fd !== undefined) return { fd, id: holder.id };
        holders.shift();
      }
    } catch {
      // It does not read: a start says why.
    }
    return undefined;
  }

  #takeFrom(holder: Holder, identity: ErofsIdentity, index: number): number | undefined {
    let theirs = -1;
    try {
      theirs = copyDescriptor(this.#monitor(holder), holder.fd);
      if (theirs < 0 || !isMountOf(theirs, identity)) return undefined;
      // A mount of our own of what is theirs: so the kernel says too whether it was mounted where we are.
      return step(steps.shareLayer(index, holder.id), () => cloneMount(theirs));
    } catch {
      return undefined;
    } finally {
      close(theirs);
    }
  }

  #monitor(holder: Holder): number {
    const key = `${holder.pid} ${holder.startTime} ${holder.id}`;
    const known = this.#monitors.get(key);
    if (known !== undefined) return known;
    const pidfd = this.#openMonitor(holder);
    this.#monitors.set(key, pidfd);
    return pidfd;
  }

  /**
   * A pidfd, if it is the process that was named, and the monitor of that container in this store: it has the container's lock
   * open, which nobody in a container has.
   */
  #openMonitor({ pid, startTime, id }: Holder): number {
    const pidfd = openPidfd(pid, startTime);
    if (pidfd === undefined) return -1;
    const lock = copyDescriptor(pidfd, fdLock);
    const isMonitor = lock >= 0 && isStill(lock, join(this.store.stateDirectory(id), 'lock'));
    close(lock);
    if (isMonitor) return pidfd;
    close(pidfd);
    return -1;
  }

  /**
   * The monitor of the container runs, and holds what was mounted from descriptor `firstFd` on: others may take it from there.
   * Those that held it before and are still there stay in front of it, since they may stay for long.
   */
  publish(id: string, monitor: { pid: number; startTime: string }, firstFd: number): void {
    const isThere = ({ pid, startTime }: Holder): boolean => processStartTime(pid) === startTime;
    this.#mounted.forEach(({ chainId, file, others, named, appends }, index) => {
      if (others.length >= maxHolders && others.filter(isThere).length >= maxHolders) return;
      const own = { ...monitor, fd: firstFd + index, file, id };
      // Written anew, it has room for more.
      const stay = appends ? [] : named.filter(isThere).slice(0, maxLines / 2);
      const text = [...stay, own].map(lineOf).join('');
      try {
        if (appends) this.#append(this.#path(chainId), text);
        else writeText(this.#path(chainId), text);
      } catch {
        // It is a hint for others; they mount the layer themselves.
      }
    });
  }

  #append(path: string, text: string): void {
    const flags = O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW;
    let fd = syscall('openat', AT_FDCWD, path, flags | O_CLOEXEC, 0o600);
    if (fd === -errno.ENOENT) {
      mkdirSync(join(this.store.state, 'layers'), { recursive: true, mode: 0o700 });
      fd = openat(AT_FDCWD, path, flags, 0o600);
    }
    try {
      writeAll(fd, Buffer.from(text));
    } finally {
      close(fd);
    }
  }

  /** Ends what was opened to ask others; mounts that were given out are not its own. */
  close(): void {
    for (const pidfd of this.#monitors.values()) close(pidfd);
    this.#monitors.clear();
  }
}

/** Takes away who holds layers that are not in the store any more. */
export function forgetLayers(state: string, isThere: (hex: string) => boolean): void {
  const directory = join(state, 'layers');
  for (const name of namesIn(directory)) if (!isThere(name)) unlinkIfThere(join(directory, name));
}

/** A copy of a descriptor of another process (man 2 pidfd_getfd), or a negative number. */
function copyDescriptor(pidfd: number, fd: number): number {
  return pidfd < 0 ? -1 : syscall('pidfd_getfd', pidfd, fd, 0);
}
