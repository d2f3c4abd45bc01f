/** What every pruner is: it takes away what nothing uses, as far as a filter lets it, and tells what went. */
import type { ImageStore } from '../../image/store.ts';
import { type EventType, recordEvent } from '../events.ts';
import type { ContainerStore } from '../store.ts';
import type { PruneFilter } from './filter.ts';

export interface PruneRequest {
  containers: ContainerStore;
  images: ImageStore;
  filter: PruneFilter;
  /** Images with names too, when no container is made from them. */
  allImages: boolean;
  /** Hears of what could not be removed; the others are removed all the same. */
  onNotice: (line: string) => void;
}

export interface Pruned {
  /** A line for each thing, as docker prints it: ids of containers, names, `untagged: …`. */
  deleted: string[];
  /** Bytes. */
  reclaimed: number;
}

/** Removes things of one kind. */
export type Pruner = (request: PruneRequest) => Pruned | Promise<Pruned>;

/** Appends docker's event: how much came free. */
export function recordPrune({ root }: ContainerStore, type: EventType, { reclaimed }: Pruned): void {
  recordEvent(root, { type, action: 'prune', id: '', attributes: { reclaimed: String(reclaimed) } });
}
