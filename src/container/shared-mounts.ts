/** Where the root of a container is put together, and what is to be done where that is seen by everybody (--without mount). */
import { join } from 'node:path';
import { MNT_DETACH } from '../linux/constants.ts';
import { errno } from '../linux/errno.ts';
import { syscall } from '../linux/ffi.ts';
import { check } from '../linux/fs.ts';
import type { ContainerRecord } from './record.ts';
import type { ContainerStore } from './store.ts';
import { isWithout } from './walls.ts';

/**
 * The directory that the overlay is mounted on. In a mount namespace of its own it hides nothing from anybody; else it must
 * be one that nobody looks into.
 */
export function mountPointOf(store: ContainerStore, { id, options }: ContainerRecord): string {
  return isWithout(options, 'mount') ? join(store.directory(id), 'root') : store.stateDirectory(id);
}

/** The container has ended: its root and all that it has mounted there goes from the mount table of this machine. */
export function takeMountsAway(store: ContainerStore, record: ContainerRecord): void {
  const path = mountPointOf(store, record);
  for (;;) {
    const result = syscall('umount2', path, MNT_DETACH);
    // Nothing is mounted there, or there is no such directory.
    if (result === -errno.EINVAL || result === -errno.ENOENT) return;
    check(result, 'umount2', path);
  }
}
