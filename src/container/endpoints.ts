/**
 * A container's networks: those that it is to be on (endpoints, in its record), and those that it is on now, in
 * `networks.json` of its directory. That file is written by the start, by `network connect` and `disconnect`, and taken
 * away by the one who cleans up, each under the network lock.
 */
import { existsSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { unlinkIfThere } from '../linux/optional.ts';
import { readOwnText } from '../linux/own-file.ts';
import type { BridgeAttachment, PublishedPort } from '../network/index.ts';
import { parseLiveNetworks } from './parse-record.ts';
import type { ContainerRecord, ContainerState } from './record.ts';
import type { EndpointOption } from './run-options.ts';
import { writeRecord } from './write-record.ts';

/** The networks that a container is to be on, the one of its network mode first; none with `host` and `container:`. */
export function endpointsOf({ endpoints, options }: ContainerRecord): EndpointOption[] {
  if (endpoints !== undefined) return endpoints;
  if (options.endpoints !== undefined) return options.endpoints;
  const network = networkMode(options);
  return /^(none|host|container:.*)$/s.test(network) ? [] : [{ network, aliases: [] }];
}

/** The network mode, `default` being that of the default bridge. */
export function networkMode({ network }: Pick<ContainerRecord['options'], 'network'>): string {
  return network === 'default' ? 'bridge' : network;
}

/** Names of a container on a network of a user's besides its own, as docker lists them. */
export function aliasesOf({ id, options }: ContainerRecord, { aliases }: Pick<EndpointOption, 'aliases'>): string[] {
  const hostname = options.hostname === undefined ? [] : [options.hostname];
  return [...new Set([...aliases, id.slice(0, 12), ...hostname])];
}

export interface LiveNetworks {
  attachments: BridgeAttachment[];
  /** The ports whose sockets the monitor holds; published is what an attachment has of them. */
  ports: PublishedPort[];
}

const fileIn = (directory: string): string => join(directory, 'networks.json');
/** Of a container that is being taken off its networks: nobody counts it among the living, and who is killed is followed by another. */
const endingIn = (directory: string): string => join(directory, 'networks.ending.json');

/**
 * What a container is on now; undefined where it is on no bridge, or does not run. A damaged file counts as none: what its
 * start wrote down stands in for it, and one container's file must not keep others from their networks.
 */
export function readLive(directory: string): LiveNetworks | undefined {
  return readNetworks(fileIn(directory));
}

function readNetworks(path: string): LiveNetworks | undefined {
  try {
    return parseLiveNetworks(readOwnText(path), path);
  } catch {
    return undefined;
  }
}

/** Under the network lock. */
export function writeLive(directory: string, live: LiveNetworks): void {
  writeRecord(fileIn(directory), live);
}

/** Under the network lock. */
export function dropLive(directory: string): void {
  unlinkIfThere(fileIn(directory));
}

/** Whether something is written down that a container is on, or was on. */
export function hasLive(directory: string): boolean {
  return existsSync(fileIn(directory)) || existsSync(endingIn(directory));
}

/**
 * Under the network lock: from now on the container is on no network. What it is to be taken off stays written down until
 * `endedLive`, and is what somebody began with who was killed.
 */
export function endLive(directory: string): LiveNetworks | undefined {
  if (existsSync(fileIn(directory))) renameSync(fileIn(directory), endingIn(directory));
  return readNetworks(endingIn(directory));
}

/** The container has been taken off all of its networks. */
export function endedLive(directory: string): void {
  unlinkIfThere(endingIn(directory));
}

/** What a running container is on. */
export function attachmentsOf(state: Pick<ContainerState, 'attachments' | 'start'>): BridgeAttachment[] {
  if (state.attachments !== undefined) return state.attachments;
  const attachment = state.start?.network.attachment;
  return attachment === undefined ? [] : [attachment];
}

/** The field that remembers a priority; records of containers without one stay as they were. */
export function prioritized(gatewayPriority: number | undefined): { gatewayPriority?: number } {
  return gatewayPriority === undefined ? {} : { gatewayPriority };
}

/**
 * The way out of a container that has several: docker's rule. Internal networks are none; the highest --gw-priority comes first,
 * then one with both families before one with IPv4 alone, then the first by name. Undefined: there is none.
 */
export function wayOut<T extends Pick<BridgeAttachment, 'network' | 'internal' | 'gatewayPriority' | 'address6'>>(
  attachments: readonly T[],
): T | undefined {
  const rank = ({ address6 }: T): number => (address6 === undefined ? 1 : 0);
  const priority = ({ gatewayPriority = 0 }: T): number => gatewayPriority;
  return attachments
    .filter(({ internal }) => internal !== true)
    .sort((a, b) => priority(b) - priority(a) || rank(a) - rank(b) || (a.network < b.network ? -1 : 1))[0];
}

const sharedIn = (directory: string): string => join(directory, 'network-shared');

/** Notes that somebody else joins the container's network namespace, which then need not end with the container. */
export function noteSharedNetwork(directory: string): void {
  writeFileSync(sharedIn(directory), '', { mode: 0o600 });
}

/**
 * What becomes of the cables of a container that has ended, and `goes` for good; `directory` is its own. The veth pair goes with its
 * namespace, which ends with the monitor; the kernel takes 10 ms and more to delete it at once, which is worth it only where
 * its name may be wanted again, or where others live in the namespace.
 */
export function cableOfEnded(directory: string, goes: boolean): 'delete' | 'leave' {
  return goes && !existsSync(sharedIn(directory)) ? 'leave' : 'delete';
}
