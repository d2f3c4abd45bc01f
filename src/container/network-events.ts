/** Events of networks, with docker's attributes. */
import type { NetworkRecord } from '../network/index.ts';
import { recordEvent } from './events.ts';

type Named = Pick<NetworkRecord, 'id' | 'name' | 'driver'>;

/** Records an event of a network with docker's attributes. */
export function recordNetworkEvent(
  root: string,
  { id, name, driver }: Named,
  action: 'create' | 'connect' | 'disconnect' | 'destroy',
  more: Record<string, string> = {},
): void {
  recordEvent(root, { type: 'network', action, id, attributes: { ...more, name, type: driver } });
}
