/** All containers of a store, from what an earlier list has kept of them and from their records. */
import { existsSync } from 'node:fs';
import { TsrunError } from '../error.ts';
import { ListCache, type ListedContainer, readListCache, type Shown } from './list-cache.ts';
import type { Container, ContainerState } from './record.ts';

/** So many are read faster than a cache of them is looked up. */
const fewContainers = 16;

export type WantedState = (state: Pick<ContainerState, 'status'>) => boolean;

/** What of a `ContainerStore` a list needs. */
export interface ListSource {
  root: string;
  state: string;
  ids(): string[];
  read(id: string, wanted?: WantedState): Container | undefined;
}

/** `ContainerStore.list`. */
export function listContainers(
  source: ListSource,
  onDamaged: (error: TsrunError) => void,
  wanted: WantedState = () => true,
  shown?: Shown,
): ListedContainer[] {
  const { ids, cache } = openCache(source, shown);
  try {
    const found = look(source, ids, cache, onDamaged, wanted);
    cache?.save(ids.length);
    found.sort((a, b) => (a.created < b.created ? 1 : a.created > b.created ? -1 : 0));
    return found.map(({ container }) => container);
  } finally {
    cache?.close();
  }
}

function look(
  source: ListSource,
  ids: readonly string[],
  cache: ListCache | undefined,
  onDamaged: (error: TsrunError) => void,
  wanted: WantedState,
): { created: string; container: ListedContainer }[] {
  const found: { created: string; container: ListedContainer }[] = [];
  const read = (id: string): Container | undefined => source.read(id);
  for (const id of ids) {
    try {
      const known = cache?.find(id, read);
      if (known?.kept !== undefined) {
        const { row, container } = known.kept;
        if (wanted(row)) found.push({ created: row.created, container });
        continue;
      }
      const container = cache === undefined ? source.read(id, wanted) : readToKeep(source, id, wanted);
      if (container === undefined) continue;
      const listed = { id, ...container };
      if (known !== undefined) cache?.add(listed, known.changed);
      if (wanted(container.state)) found.push({ created: container.record.created, container: listed });
    } catch (error) {
      if (!(error instanceof TsrunError) || error.code !== 'CORRUPT') throw error;
      onDamaged(error);
    }
  }
  return found;
}

function openCache(source: ListSource, shown: Shown | undefined): { ids: readonly string[]; cache?: ListCache } {
  const { root, state } = source;
  const content = readListCache(root);
  const open = (): ListCache => new ListCache(root, state, content, shown);
  if (content !== undefined && content.rows.length >= fewContainers && existsSync(`${root}/containers`)) {
    const cache = open();
    return { ids: cache.ids() ?? source.ids(), cache };
  }
  const ids = source.ids();
  if (ids.length < fewContainers) return { ids };
  const cache = open();
  // Again: the time that is kept beside the names must be one from before they were read.
  return { ids: source.ids(), cache };
}

/** All are kept, whichever are wanted; a list of some does not hear of damaged records of the others. */
function readToKeep(source: ListSource, id: string, wanted: WantedState): Container | undefined {
  try {
    return source.read(id);
  } catch {
    return source.read(id, wanted);
  }
}
