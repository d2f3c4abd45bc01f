/** `network create`, `rm`, `prune` and what `inspect` shows: networks together with the containers on them. */

import { TsrunError } from '../error.ts';
import { createHash } from '../linux/hash.ts';
import {
  createNetwork as createBelow,
  findNetwork,
  isPredefined,
  type NetworkCreation,
  type NetworkRecord,
  removeNetwork as removeBelow,
  withNetworkLock,
} from '../network/index.ts';
import { addressesOf } from './network.ts';
import { recordNetworkEvent } from './network-events.ts';
import { type LiveContainer, liveContainers } from './network-names.ts';
import type { ContainerStore } from './store.ts';

/** What docker calls an endpoint: a container's place on a network. The same as long as both are. */
export function endpointId(containerId: string, networkId: string): string {
  return createHash('sha256').update(`endpoint ${containerId} ${networkId}`).digest('hex');
}

/** Makes a network. Throws `CONFLICT`. */
export function createNetwork(store: ContainerStore, creation: NetworkCreation): NetworkRecord {
  const record = withNetworkLock(() => createBelow(creation, addressesOf(liveContainers(store))));
  recordNetworkEvent(store.root, record, 'create');
  return record;
}

/** Containers that are on a network now. */
export function membersOf(containers: readonly LiveContainer[], { id, bridge }: NetworkRecord): LiveContainer[] {
  return containers.filter(({ attachments }) =>
    attachments.some((each) => (each.networkId === undefined ? each.bridge === bridge : each.networkId === id)),
  );
}

/** A network by name or id. Throws `NOT_FOUND` with docker's words. */
function resolveNetwork(text: string): NetworkRecord {
  const found = findNetwork(text);
  if (found !== undefined) return found;
  throw new TsrunError('NOT_FOUND', `No such network: ${text}`, { hint: 'tsrun network ls lists all networks' });
}

/** Removes a network. Throws `NOT_FOUND`, `IN_USE` while a container is on it, `CONFLICT` for those that are always there. */
export function removeNetwork(store: ContainerStore, text: string): void {
  const removed = withNetworkLock(() => {
    const record = resolveNetwork(text);
    if (isPredefined(record)) {
      throw new TsrunError('CONFLICT', `${record.name} is a pre-defined network and cannot be removed`);
    }
    const [member] = membersOf(liveContainers(store), record);
    if (member !== undefined) {
      throw new TsrunError(
        'IN_USE',
        `error while removing network: network ${record.name} id ${record.id} has active endpoints`,
        {
          hint: `stop the containers on it, or take them off: tsrun network disconnect ${record.name} ${member.record.name}`,
        },
      );
    }
    removeBelow(record);
    return record;
  });
  recordNetworkEvent(store.root, removed, 'destroy');
}
