/** The network of containers: a bridge with NAT, published ports, names. What the rest of tsrun may use of it. */
import { newNetns, withNetns } from '../linux/namespaces.ts';
import { NETLINK_ROUTE, NetlinkSocket } from '../linux/netlink.ts';
import { changeLink } from '../linux/netlink-link.ts';
import { step } from '../trace.ts';
import { newNamespace } from './steps.ts';

export {
  type AddressInUse,
  type AttachOptions,
  attachBridge,
  attachUnderLock,
  type BridgeAttachment,
  type DetachOptions,
  detachBridge,
  detachUnderLock,
} from './attach.ts';
export { createNetwork, type NetworkCreation, networkFor, removeNetwork } from './create.ts';
export { findStale, subnetConflict } from './diagnosis.ts';
export type { ForeignFirewall } from './foreign-firewall.ts';
export { type NetworkInfo, networkInfo } from './info.ts';
export { bridgeName, predefinedIds } from './ipam.ts';
export { withNetworkLock } from './lock.ts';
export { type NetworkFiles, parseExtraHost, writeInPlace, writeNetworkFiles } from './names.ts';
export type { PublishedPort } from './ports.ts';
export { type PortRequest, parsePublish } from './publish.ts';
export { movePorts } from './published.ts';
export {
  allNetworks,
  bridgeNetworkOf,
  findNetwork,
  isPredefined,
  type NetworkRecord,
  userNetworks,
} from './records.ts';
export { hostNameservers } from './resolver.ts';
export { removeStale } from './stale.ts';
export { changeWayOut } from './veth.ts';

/** A fresh network namespace with its loopback interface up; the caller closes the descriptor. */
export function createNetns(): number {
  return step(newNamespace(), () => newNetns(loopbackUp));
}

/** Turns the loopback interface of a network namespace on that somebody else has made. */
export function prepareNetns(netns: number): void {
  withNetns(netns, loopbackUp);
}

function loopbackUp(): void {
  const socket = NetlinkSocket.open(NETLINK_ROUTE);
  try {
    socket.run([changeLink('lo', { up: true })]);
  } finally {
    socket.close();
  }
}
