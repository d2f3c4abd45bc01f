/** `rm -f` of a container whose record does not read: nothing is known of it but its directory. */
import { readdirSync, renameSync, rmSync, unlinkSync } from 'node:fs';
import { join } from 'node:path';
import { TsrunError } from '../error.ts';
import { recordEvent } from './events.ts';
import { takeCgroupAway } from './own-cgroup.ts';
import type { ContainerStore } from './store.ts';

/** Removes it by name, id or beginning of an id. Throws `NOT_FOUND`, `CONFLICT` while somebody has its lock. */
export function removeDamaged(store: ContainerStore, text: string): void {
  const id = damagedId(store, text);
  const lock = store.lock(id, false);
  if (lock === undefined) {
    throw new TsrunError('CONFLICT', `container ${id.slice(0, 12)} is damaged, and it runs or is being started`, {
      hint: 'stop its monitor first: pgrep -a tsrun-monitor lists them',
    });
  }
  try {
    // A process that nobody supervises may still be there.
    takeCgroupAway(id);
    const names = join(store.root, 'names');
    for (const name of readdirSync(names)) if (store.nameOwner(name) === id) unlinkSync(join(names, name));
    renameSync(store.directory(id), join(store.root, 'containers', `.removing-${id}`));
    store.sweepUnfinished();
    rmSync(store.stateDirectory(id), { recursive: true, force: true });
    recordEvent(store.root, { type: 'container', action: 'destroy', id, attributes: {} });
  } finally {
    lock.release();
  }
}

function damagedId(store: ContainerStore, text: string): string {
  const name = text.replace(/^\//, '');
  const owner = store.nameOwner(name);
  const found = store.ids().filter((id) => id === owner || id.startsWith(name));
  if (found.length > 1) {
    throw new TsrunError('CONFLICT', `"${text}" is the beginning of ${found.length} container ids`, {
      hint: 'give more digits of the id',
    });
  }
  const [id] = found;
  if (id === undefined) throw new TsrunError('NOT_FOUND', `No such container: ${text}`);
  return id;
}
