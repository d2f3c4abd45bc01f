/**
 * Networks on disk: `networks/<id>.json` in the data root for each that a user made, written whole by `network create`
 * and taken away by `network rm`, both under the network lock. Three are always there: bridge, host and none.
 */

import { mkdirSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { TsrunError } from '../error.ts';
import { namesIn, readIfThere, unlinkIfThere } from '../linux/optional.ts';
import { rootDirectory } from '../linux/paths.ts';
import { randomHex } from '../linux/random.ts';
import { cidrOf } from './cidr.ts';
import { type BridgeNetwork, bridgeName, loadNetwork, predefinedIds } from './ipam.ts';

/** What the user asked of addresses, one entry per subnet, in docker's words. */
export interface IpamConfig {
  Subnet?: string;
  IPRange?: string;
  Gateway?: string;
  AuxiliaryAddresses?: Record<string, string>;
}

export interface NetworkRecord {
  version: 1;
  /** 64 hexadecimal digits. */
  id: string;
  name: string;
  /** RFC 3339, UTC. */
  created: string;
  driver: 'bridge' | 'host' | 'null';
  /** The interface; empty for host and none. */
  bridge: string;
  /** Empty for host and none, and for the default bridge before its first container. */
  subnet: string;
  gateway: string;
  ipv6?: { subnet: string; gateway: string };
  range?: string;
  /** As shown by `inspect`. */
  ipam: IpamConfig[];
  /** Whether the user chose the subnet: only then may containers choose their addresses. */
  ownSubnet: boolean;
  internal: boolean;
  attachable: boolean;
  labels: Record<string, string>;
  options: Record<string, string>;
}

export const networkOptions = {
  name: 'com.docker.network.bridge.name',
  icc: 'com.docker.network.bridge.enable_icc',
  masquerade: 'com.docker.network.bridge.enable_ip_masquerade',
  mtu: 'com.docker.network.driver.mtu',
} as const;

const directory = (): string => join(rootDirectory(), 'networks');
const fileOf = (id: string): string => join(directory(), `${id}.json`);

/** A new id. */
export function newNetworkId(): string {
  return randomHex(32);
}

/** Writes a network's record. */
export function saveRecord(record: NetworkRecord): void {
  mkdirSync(directory(), { recursive: true, mode: 0o700 });
  const path = fileOf(record.id);
  writeFileSync(`${path}.new`, `${JSON.stringify(record)}\n`, { mode: 0o600 });
  renameSync(`${path}.new`, path);
}

export function deleteRecord(id: string): void {
  unlinkIfThere(fileOf(id));
}

/** Networks of users, in no order. Throws `CORRUPT`. */
export function userNetworks(): NetworkRecord[] {
  return namesIn(directory()).flatMap((name) => {
    const id = /^([0-9a-f]{64})\.json$/.exec(name)?.[1];
    return (id === undefined ? undefined : readRecord(id)) ?? [];
  });
}

/** All networks, by name, as docker lists them. */
export function allNetworks(): NetworkRecord[] {
  const all = [...Object.values(predefinedIds).map(predefined), ...userNetworks()];
  return all.sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0));
}

/** What the kernel takes as the name of an interface, and what no path can be made of (net/core/dev.c, dev_valid_name). */
function isInterfaceName(name: string): boolean {
  return /^[^\s/:]{1,15}$/.test(name) && name !== '.' && name !== '..';
}

/** A network of a user by its id; undefined where it is gone. */
function readRecord(id: string): NetworkRecord | undefined {
  const path = fileOf(id);
  const text = readIfThere(path);
  if (text === undefined) return undefined;
  let value: Partial<NetworkRecord> | null = null;
  try {
    value = JSON.parse(text) as Partial<NetworkRecord> | null;
  } catch {
    // told below
  }
  const texts = [value?.name, value?.created, value?.bridge, value?.subnet, value?.gateway];
  const objects = [value?.ipam, value?.labels, value?.options];
  const fits =
    value?.version === 1 &&
    value.id === id &&
    texts.every((field) => typeof field === 'string') &&
    objects.every((field) => typeof field === 'object' && field !== null) &&
    isInterfaceName(value.bridge ?? '');
  if (!fits) {
    throw new TsrunError('CORRUPT', `"${path}" does not describe a network`, { hint: 'remove it' });
  }
  return value as NetworkRecord;
}

/** Finds a network by its name, id or the beginning of its id; undefined where there is none. Throws `CONFLICT`. */
export function findNetwork(text: string): NetworkRecord | undefined {
  if (text === '') return undefined;
  if (/^[0-9a-f]{64}$/.test(text)) {
    const found = Object.values(predefinedIds).some((id) => id === text) ? predefined(text) : readRecord(text);
    if (found !== undefined) return found;
  }
  if (Object.hasOwn(predefinedIds, text)) return predefined(predefinedIds[text as keyof typeof predefinedIds]);
  const all = allNetworks();
  const named = all.find(({ name }) => name === text);
  if (named !== undefined) return named;
  const matches = /^[0-9a-f]+$/.test(text) ? all.filter(({ id }) => id.startsWith(text)) : [];
  if (matches.length > 1) {
    throw new TsrunError('CONFLICT', `network ${text} is ambiguous (${matches.length} matches found on ID prefix)`, {
      hint: 'give more digits of the id',
    });
  }
  return matches[0];
}

/** Whether a network is one of the three that are always there. */
export function isPredefined({ id }: Pick<NetworkRecord, 'id'>): boolean {
  return Object.values(predefinedIds).some((known) => known === id);
}

function predefined(id: string): NetworkRecord {
  const empty = { version: 1, id, bridge: '', subnet: '', gateway: '', ownSubnet: false } as const;
  const common = { ...empty, ipam: [], internal: false, attachable: false, labels: {}, options: {}, created: madeAt() };
  if (id === predefinedIds.host) return { ...common, name: 'host', driver: 'host' };
  if (id === predefinedIds.none) return { ...common, name: 'none', driver: 'null' };
  const network = loadNetwork('bridge');
  return {
    ...common,
    name: 'bridge',
    driver: 'bridge',
    bridge: bridgeName,
    subnet: network?.subnet ?? '',
    gateway: network?.gateway ?? '',
    ipam: network === undefined ? [] : [{ Subnet: network.subnet, Gateway: network.gateway }],
    options: {
      'com.docker.network.bridge.default_bridge': 'true',
      [networkOptions.icc]: 'true',
      [networkOptions.masquerade]: 'true',
      'com.docker.network.bridge.host_binding_ipv4': '0.0.0.0',
      [networkOptions.name]: bridgeName,
    },
  };
}

/** The predefined networks came with the data root. */
function madeAt(): string {
  const born = statSync(rootDirectory(), { throwIfNoEntry: false })?.birthtimeMs;
  // Engines do not agree on what `birthtime` makes of a part of a millisecond.
  return new Date(Math.floor(born ?? Date.now())).toISOString();
}

/** What of a user's network matters where packets go. */
export function bridgeNetworkOf(record: NetworkRecord): BridgeNetwork {
  const { id, name, bridge, subnet, gateway, internal, options } = record;
  const off = (option: string): boolean => /^(0|f|false)$/i.test(options[option] ?? '');
  const mtu = Number(options[networkOptions.mtu] ?? 0);
  return {
    ...{ id, name, bridge, subnet, gateway, internal },
    prefix: cidrOf(subnet).prefix,
    ...(record.ipv6 === undefined ? {} : { ipv6: { ...record.ipv6, prefix: cidrOf(record.ipv6.subnet).prefix } }),
    ...(record.range === undefined ? {} : { range: record.range }),
    reserved: record.ipam.flatMap(({ AuxiliaryAddresses = {} }) => Object.values(AuxiliaryAddresses)),
    icc: !off(networkOptions.icc),
    masquerade: !off(networkOptions.masquerade) && !internal,
    ...(mtu > 0 ? { mtu } : {}),
  };
}
