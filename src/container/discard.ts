/** Takes a container away together with the volumes that were made for it alone. */
import type { ContainerRecord } from './record.ts';
import type { ContainerStore } from './store.ts';
import { VolumeStore } from './volumes/store.ts';
import { isAnonymous, removeAnonymousVolumes } from './volumes/users.ts';

/** As `ContainerStore.remove`, for --rm and `rm -v`. A volume that cannot be removed is told, and keeps nobody from it. */
export function discardContainer(
  store: ContainerStore,
  record: ContainerRecord,
  onNotice: (line: string) => void = () => {},
): void {
  if (record.mounts.some(isAnonymous)) {
    removeAnonymousVolumes(new VolumeStore(store.root), store, record, onNotice);
  }
  store.remove(record);
}
