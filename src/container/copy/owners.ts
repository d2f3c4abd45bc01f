/**
 * Owners of files in a running container that has a user namespace: through /proc/PID/root they are seen as the machine has
 * them, and files can only be made there by a user that the container has (man 2 setfsuid).
 */
import { availableCapabilities, capabilitySet, encodeCapset } from '../../linux/capabilities.ts';
import { syscall } from '../../linux/ffi.ts';
import { check } from '../../linux/fs.ts';
import { mappedId } from '../../runtime/compile/user-namespace.ts';
import type { IdMapping } from '../../runtime/spec.ts';
import type { IdMappings } from '../../runtime/user-namespace.ts';
import type { Owner } from './place.ts';

/** What an id is shown as that has no number on the other side (/proc/sys/kernel/overflowuid). */
const nobody = 65_534;

function inside(mappings: readonly IdMapping[], id: number): number {
  const found = mappings.find(({ hostID, size }) => id >= hostID && id < hostID + size);
  return found === undefined ? nobody : found.containerID + id - found.hostID;
}

function outside(mappings: readonly IdMapping[], id: number): number {
  return mappedId(mappings, id) ?? mappedId(mappings, nobody) ?? mappedId(mappings, 0) ?? id;
}

export class ContainerOwners {
  /** undefined: the container has the ids of the machine. */
  constructor(private readonly mappings: IdMappings | undefined) {}

  /** Who the owner of a file is in the container. */
  inside({ uid, gid }: Owner): Owner {
    const { mappings } = this;
    return mappings === undefined ? { uid, gid } : { uid: inside(mappings.uids, uid), gid: inside(mappings.gids, gid) };
  }

  /** Who somebody of the container is on the machine. */
  outside({ uid, gid }: Owner): Owner {
    const { mappings } = this;
    return mappings === undefined
      ? { uid, gid }
      : { uid: outside(mappings.uids, uid), gid: outside(mappings.gids, gid) };
  }

  /** Runs `action` with files made by root of the container; the calling thread keeps all its capabilities. */
  async act<T>(action: () => T | Promise<T>): Promise<T> {
    if (this.mappings === undefined) return action();
    const { uid, gid } = this.outside({ uid: 0, gid: 0 });
    const all = capabilitySet(availableCapabilities());
    const { header, data } = encodeCapset({ effective: all, permitted: all, inheritable: 0n });
    syscall('setfsgid', gid);
    syscall('setfsuid', uid);
    try {
      // Another user for files takes the capabilities away that have to do with files.
      check(syscall('capset', header, data), 'capset');
      return await action();
    } finally {
      syscall('setfsuid', 0);
      syscall('setfsgid', 0);
    }
  }
}
