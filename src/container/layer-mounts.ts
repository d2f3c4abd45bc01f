/**
 * Containers share the mounts of their layers, and so what has been read of them: page cache belongs to a mount's super block.
 * Nobody owns them. Each monitor holds those of its container, and a start takes them from a monitor that is up (man 2
 * pidfd_getfd). Where to ask stands in a file for each layer, which is a hint and no more: what comes is looked at, and on any
 * doubt the layer is mounted anew.
 *
 *     $TSRUN_STATE/layers/<chain id>   a line for each monitor: PID START-TIME DESCRIPTOR DEVICE:INODE CONTAINER
 */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { codeOf } from '../error.ts';
import { type Digest, digestHex } from '../image/digest.ts';
import { type ErofsIdentity, identityOf, isMountOf } from '../image/erofs/identity.ts';
import { cloneMount, mountErofs } from '../image/erofs/mount.ts';
import type { MountedPlace } from '../image/layers.ts';
import { syscall } from '../linux/ffi.ts';
import { close } from '../linux/fs.ts';
import { readIfThere } from '../linux/optional.ts';
import { step } from '../trace.ts';
import { isStill } from './locked-directory.ts';
import { fdLock } from './monitor.ts';
import { processStartTime } from './state.ts';
import * as steps from './steps.ts';
import type { ContainerStore } from './store.ts';
import { writeText } from './write-record.ts';

/** So many monitors are named: when they have all ended, those that took from them are not known, and a layer is mounted twice. */
const maxHolders = 4;

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

const lineForm = /^(\d{1,10}) (\d{1,20}) (\d{1,7}) (\d+:\d+) ([0-9a-f]{64})$/;

function parseHolder(line: string): Holder | undefined {
  const [, pid = '', startTime = '', fd = '', file = '', id = ''] = lineForm.exec(line) ?? [];
  return id === '' ? undefined : { pid: Number(pid), startTime, fd: Number(fd), file, id };
}

function lineOf({ pid, startTime, fd, file, id }: Holder): string {
  return `${pid} ${startTime} ${fd} ${file} ${id}\n`;
}

/** The mounts of one start. */
export class LayerMounts {
  /** Of each monitor that was asked: -1 where it is none. */
  readonly #monitors = new Map<string, number>();
  /** What was mounted, in its order: the layer, its metadata, and who else has it. */
  readonly #mounted: { chainId: string; file: string; others: Holder[] }[] = [];

  /** `chainIds`: of the container's layers, lowest first. */
  constructor(
    private readonly store: ContainerStore,
    private readonly chainIds: readonly string[],
  ) {}

  /** The mount of the layer with that number: that of a container which is up, else a new one. Throws as `mountErofs` does. */
  mount({ metadata, archive }: MountedPlace, index: number): number {
    const chainId = this.chainIds[index] ?? '';
    const identity = this.#identity(metadata);
    const holders = identity === undefined ? [] : this.#holders(chainId, identity);
    const taken = identity === undefined ? undefined : this.#take(holders, identity);
    const fd =
      taken === undefined
        ? step(steps.mountLayer(index), () => mountErofs(metadata, archive))
        : step(steps.shareLayer(index, taken.holder.id), () => taken.fd);
    if (identity !== undefined) this.#mounted.push({ chainId, file: identity.file, others: holders });
    return fd;
  }

  /** The container whose mount of a layer would be taken. */
  sharedWith({ metadata }: MountedPlace, index: number): string | undefined {
    const identity = this.#identity(metadata);
    if (identity === undefined) return undefined;
    const taken = this.#take(this.#holders(this.chainIds[index] ?? '', identity), identity);
    if (taken !== undefined) close(taken.fd);
    return taken?.holder.id;
  }

  /** What is known of the layer is needed for sharing alone: whoever mounts it says what is wrong with it. */
  #identity(metadata: string): ErofsIdentity | undefined {
    try {
      return identityOf(metadata);
    } catch {
      return undefined;
    }
  }

  #path(chainId: string): string {
    return join(this.store.state, 'layers', digestHex(chainId as Digest));
  }

  /** Those that are named for this very file, not that of a layer that was pulled before under the same name. */
  #holders(chainId: string, { file }: ErofsIdentity): Holder[] {
    try {
      const lines = readIfThere(this.#path(chainId))?.split('\n') ?? [];
      return lines.slice(0, maxHolders).flatMap((line) => {
        const holder = parseHolder(line);
        return holder?.file === file ? [holder] : [];
      });
    } catch {
      return [];
    }
  }

  /** The mount of the first that has it; those that have not are dropped from the list. */
  #take(holders: Holder[], identity: ErofsIdentity): { fd: number; holder: Holder } | undefined {
    for (let holder = holders[0]; holder !== undefined; holder = holders[0]) {
      const fd = this.#takeFrom(holder, identity);
      if (fd !== undefined) return { fd, holder };
      holders.shift();
    }
    return undefined;
  }

  #takeFrom(holder: Holder, identity: ErofsIdentity): number | undefined {
    const theirs = copyDescriptor(this.#monitor(holder), holder.fd);
    try {
      // A mount of our own of what is theirs: so the kernel says too whether it was mounted where we are.
      return theirs >= 0 && isMountOf(theirs, identity) ? cloneMount(theirs) : undefined;
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
    const pidfd = syscall('pidfd_open', pid, 0);
    if (pidfd < 0) return -1;
    const lock = processStartTime(pid) === startTime ? copyDescriptor(pidfd, fdLock) : -1;
    const isMonitor = lock >= 0 && isStill(lock, join(this.store.stateDirectory(id), 'lock'));
    close(lock);
    if (isMonitor) return pidfd;
    close(pidfd);
    return -1;
  }

  /**
   * The monitor of the container runs, and holds what was mounted from descriptor `firstFd` on: others may take it from there.
   * Of those that held it before as many stay as are still there, the oldest first: it may stay for long.
   */
  publish(id: string, monitor: { pid: number; startTime: string }, firstFd: number): void {
    this.#mounted.forEach(({ chainId, file, others }, index) => {
      const stay = others.filter(({ pid, startTime }) => processStartTime(pid) === startTime);
      if (stay.length >= maxHolders) return;
      const text = [...stay, { ...monitor, fd: firstFd + index, file, id }].map(lineOf).join('');
      try {
        this.#write(this.#path(chainId), text);
      } catch {
        // It is a hint for others; they mount the layer themselves.
      }
    });
  }

  #write(path: string, text: string): void {
    try {
      writeText(path, text);
    } catch (error) {
      if (codeOf(error) !== 'ENOENT') throw error;
      mkdirSync(join(this.store.state, 'layers'), { recursive: true, mode: 0o700 });
      writeText(path, text);
    }
  }

  /** Ends what was opened to ask others; mounts that were given out are not its own. */
  close(): void {
    for (const pidfd of this.#monitors.values()) close(pidfd);
    this.#monitors.clear();
  }
}

/** A copy of a descriptor of another process (man 2 pidfd_getfd), or a negative number. */
function copyDescriptor(pidfd: number, fd: number): number {
  return pidfd < 0 ? -1 : syscall('pidfd_getfd', pidfd, fd, 0);
}
