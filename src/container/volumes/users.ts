/** Which containers have a volume, and taking volumes away that nobody has. */
import { messageOf, TsrunError } from '../../error.ts';
import { allContainers } from '../all-containers.ts';
import type { ContainerRecord, MountRecord } from '../record.ts';
import type { ContainerStore } from '../store.ts';
import type { VolumeStore } from './store.ts';

/** Names of a container's volumes. */
export function volumesOf(record: ContainerRecord): string[] {
  return record.mounts.flatMap(({ type, name }) => (type === 'volume' && name !== undefined ? [name] : []));
}

/** Ids of containers by volume, stopped ones too. Throws `CORRUPT` for a damaged record: it may name any volume. */
export function volumeUsers(containers: ContainerStore): Map<string, string[]> {
  const users = new Map<string, string[]>();
  for (const { record } of allContainers(containers)) {
    for (const name of new Set(volumesOf(record))) users.set(name, [...(users.get(name) ?? []), record.id]);
  }
  return users;
}

/** Removes a volume. Throws `NOT_FOUND`, and `IN_USE` with docker's words while a container has it. */
export function removeVolume(volumes: VolumeStore, containers: ContainerStore, name: string): void {
  volumes.require(name);
  const lock = volumes.lock(name, true);
  try {
    if (lock === undefined) volumes.require(name);
    const users = volumeUsers(containers).get(name) ?? [];
    if (users.length > 0) {
      throw new TsrunError('IN_USE', `remove ${name}: volume is in use - [${users.join(', ')}]`, {
        hint: `remove the container first: tsrun rm ${users.map((id) => id.slice(0, 12)).join(' ')}`,
      });
    }
    if (lock !== undefined) volumes.remove(name);
  } finally {
    lock?.release();
  }
}

/** Nobody has given the volume of this mount a name. */
export function isAnonymous(mount: MountRecord): boolean {
  return mount.type === 'volume' && mount.name !== undefined && (mount.option?.source ?? '') === '';
}

/**
 * Removes the anonymous volumes of a container that is about to be removed, but for those that another container has too.
 * Before the container's own files: when this is interrupted, its record still leads to what is left.
 */
export function removeAnonymousVolumes(
  volumes: VolumeStore,
  containers: ContainerStore,
  record: ContainerRecord,
  onNotice: (line: string) => void,
): void {
  for (const mount of record.mounts) {
    if (!isAnonymous(mount)) continue;
    const name = mount.name ?? '';
    const lock = volumes.lock(name, true);
    if (lock === undefined) continue;
    try {
      const others = (volumeUsers(containers).get(name) ?? []).filter((id) => id !== record.id);
      if (others.length === 0) volumes.remove(name);
    } catch (error) {
      onNotice(`cannot remove the volume ${name}: ${messageOf(error)}`);
    } finally {
      lock.release();
    }
  }
}
