/** The end of a container's files, and of the volumes that were made for it alone. */
import { recordContainerEvent } from './events.ts';
import { takeCgroupAway } from './own-cgroup.ts';
import type { ContainerRecord } from './record.ts';
import type { ContainerStore } from './store.ts';
import { VolumeStore } from './volumes/store.ts';
import { isAnonymous, removeAnonymousVolumes } from './volumes/users.ts';

/**
 * Takes a container away (`ContainerStore.remove`), with `volumes` its anonymous volumes too, as --rm and `rm -v` do. A
 * volume that cannot be removed is told, and keeps nobody from it. Throws `IN_USE` while its cgroup cannot be removed, which
 * nobody would find again: the container stays then. Who has `reaped` it just now has taken that away.
 */
export function discardContainer(
  store: ContainerStore,
  record: ContainerRecord,
  {
    volumes = true,
    reaped = false,
    onNotice = () => {},
  }: { volumes?: boolean; reaped?: boolean; onNotice?: (line: string) => void } = {},
): void {
  if (!reaped) takeCgroupAway(record.id);
  if (volumes && record.mounts.some(isAnonymous)) {
    removeAnonymousVolumes(new VolumeStore(store.root), store, record, onNotice);
  }
  store.remove(record);
  recordContainerEvent(store.root, record, 'destroy');
}
