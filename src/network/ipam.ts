/**
 * Addresses: the subnet of the bridge, chosen once so that it overlaps no route of the host, and the addresses of its
 * containers, handed out in turn under the network lock.
 */
import { mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { TsrunError } from '../error.ts';
import { ipv4Number, ipv4Text, isIpv4 } from '../linux/ip-address.ts';
import { type Route, RTN_LOCAL, RTN_UNICAST } from '../linux/netlink-route.ts';
import { unlinkIfThere } from '../linux/optional.ts';
import { readOwnText } from '../linux/own-file.ts';
import { rootDirectory, stateDirectory } from '../linux/paths.ts';
import { addressAt, type Cidr, cidrHas, cidrOf, cidrsOverlap, parseCidr } from './cidr.ts';

/** A bridge and its subnets: of the default one what `networks/bridge.json` says, of others what their records say. */
export interface BridgeNetwork {
  /** 64 hexadecimal digits. */
  id: string;
  name: string;
  /** The interface. */
  bridge: string;
  /** `172.30.0.0/16` */
  subnet: string;
  /** The bridge's own address: the first of the subnet, unless the user wants another one. */
  gateway: string;
  /** Bits. */
  prefix: number;
  ipv6?: { subnet: string; gateway: string; prefix: number };
  /** Where addresses are handed out, if not in all of the subnet. */
  range?: string;
  /** Addresses that are handed out to nobody. */
  reserved: readonly string[];
  /** No way out and no way in. */
  internal: boolean;
  /** Whether its members reach each other. */
  icc: boolean;
  /** Whether its members leave under an address of the host. */
  masquerade: boolean;
  /** Bytes; absent: what the way out takes. */
  mtu?: number;
}

/** Ids of the networks that are always there (sha256 of `tsrun network NAME`): the same everywhere. */
export const predefinedIds = {
  bridge: '50a6439cdd00b8bdd6870229430c9c4a7f78f4a4e4c1086eb786e72ebfae4a14',
  host: '56ae3bd76bd30ae04c822ec19395d7c022579fdbae4cba4d8261e6111684b739',
  none: 'c6b24fe967f97f96fc03b43c5565f677bbebfaf91628152429a8a6ba55ecdb81',
} as const;

/** Where networks of users are put, as long as nothing else is there; the default one's places come last. */
function* userCandidates(): Generator<string> {
  for (const second of [31, 23, 22, 21, 20, 19, 18]) yield `172.${second}.0.0/16`;
  for (let second = 231; second < 255; second++) yield `10.${second}.0.0/16`;
  for (let third = 0; third < 224; third += 16) yield `192.168.${third}.0/20`;
  for (let third = 0; third < 256; third++) yield `10.255.${third}.0/24`;
}

/** The interface of the default network. */
export const bridgeName = 'tsrun0';

/** Away from what docker (172.17 and up) and podman (10.88 and up) begin with. */
const candidates = [
  ...[30, 29, 28, 27, 26, 25, 24].map((second) => `172.${second}.0.0/16`),
  ...[230, 229, 228, 227, 226].map((second) => `10.${second}.0.0/16`),
  '192.168.240.0/20',
  '192.168.224.0/20',
];

/** Reads the network's file; undefined where there is none yet. Throws `CORRUPT`. */
export function loadNetwork(name: string): BridgeNetwork | undefined {
  const path = networkFile(name);
  let content: string;
  try {
    content = readOwnText(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
  const network = parseNetwork(content);
  if (network === undefined) {
    throw new TsrunError('CORRUPT', `"${path}" does not describe a network`, {
      hint: 'remove it while no container runs: a new one will be written',
    });
  }
  return network;
}

function parseNetwork(content: string): BridgeNetwork | undefined {
  let value: unknown;
  try {
    value = JSON.parse(content);
  } catch {
    return undefined;
  }
  if (typeof value !== 'object' || value === null) return undefined;
  const { name, bridge, subnet } = value as Record<string, unknown>;
  if (typeof name !== 'string' || typeof bridge !== 'string' || typeof subnet !== 'string') return undefined;
  const range = parseSubnet(subnet);
  if (range === undefined || !/^[a-z0-9_.-]{1,15}$/i.test(bridge)) return undefined;
  return networkOf(name, bridge, subnet);
}

/** Writes the network's file. */
export function saveNetwork(network: BridgeNetwork): void {
  const path = networkFile(network.name);
  mkdirSync(join(path, '..'), { recursive: true, mode: 0o700 });
  const { name, bridge, subnet } = network;
  writeFileSync(`${path}.new`, `${JSON.stringify({ version: 1, name, bridge, subnet })}\n`, { mode: 0o600 });
  renameSync(`${path}.new`, path);
}

function networkFile(name: string): string {
  return join(rootDirectory(), 'networks', `${name}.json`);
}

export function networkOf(name: string, bridge: string, subnet: string): BridgeNetwork {
  const range = parseSubnet(subnet);
  if (range === undefined) throw new TsrunError('USAGE', `"${subnet}" is not a subnet like 172.30.0.0/16`);
  const gateway = ipv4Text(range.first + 1);
  const open = { reserved: [], internal: false, icc: true, masquerade: true };
  return { id: predefinedIds.bridge, name, bridge, subnet, gateway, prefix: range.prefix, ...open };
}

interface Range {
  first: number;
  last: number;
  prefix: number;
}

/** `172.30.0.0/16` as a range; undefined where it is none, or has bits behind its prefix or no room for two hosts. */
export function parseSubnet(subnet: string): Range | undefined {
  const [address = '', bits = ''] = subnet.split('/');
  const prefix = Number(bits);
  if (!isIpv4(address) || !/^\d+$/.test(bits) || prefix < 8 || prefix > 29) return undefined;
  const range = rangeOf(address, prefix);
  return range.first === ipv4Number(address) ? range : undefined;
}

function rangeOf(address: string, prefix: number): Range {
  const size = 2 ** (32 - prefix);
  const first = Math.floor(ipv4Number(address) / size) * size;
  return { first, last: first + size - 1, prefix };
}

/**
 * The routes that a subnet must not overlap: not the default route, also where a VPN writes it as two halves; not
 * blackholes, which a more specific route may well override.
 */
function occupied(routes: readonly Route[]): Cidr[] {
  return routes
    .filter(({ type, prefix }) => prefix > 1 && (type === RTN_UNICAST || type === RTN_LOCAL))
    .flatMap(({ destination, prefix }) => parseCidr(`${destination}/${prefix}`) ?? []);
}

/**
 * Whether a subnet overlaps a route of the host or a subnet of `others`, or holds one of its name servers (which may only
 * have the default route, and would be lost behind the bridge).
 */
export function overlaps(
  subnet: string,
  routes: readonly Route[],
  nameservers: readonly string[],
  others: readonly string[] = [],
): boolean {
  const cidr = parseCidr(subnet);
  if (cidr === undefined) return true;
  const taken = [...occupied(routes), ...others.flatMap((other) => parseCidr(other) ?? [])];
  return taken.some((other) => cidrsOverlap(other, cidr)) || nameservers.some((address) => cidrHas(cidr, address));
}

/** The first candidate that is free. Throws `CONFLICT` where none is. */
export function chooseSubnet(
  routes: readonly Route[],
  nameservers: readonly string[],
  others: readonly string[] = [],
): string {
  const subnet = candidates.find((candidate) => !overlaps(candidate, routes, nameservers, others));
  if (subnet !== undefined) return subnet;
  throw new TsrunError('CONFLICT', `every subnet that tsrun would take overlaps a route: ${candidates.join(', ')}`, {
    hint: `write {"version":1,"name":"bridge","bridge":"tsrun0","subnet":"…/24"} to ${networkFile('bridge')}`,
  });
}

/** A subnet for a network of a user's. Throws `CONFLICT` where none is free. */
export function chooseUserSubnet(
  routes: readonly Route[],
  nameservers: readonly string[],
  others: readonly string[],
): string {
  for (const candidate of userCandidates()) {
    if (!overlaps(candidate, routes, nameservers, others)) return candidate;
  }
  throw new TsrunError(
    'CONFLICT',
    'could not find an available, non-overlapping IPv4 address pool among the defaults to assign to the network',
    { hint: 'give one: --subnet 10.20.30.0/24, or remove networks that are no longer needed: tsrun network prune' },
  );
}

/** The next free address behind `last`, around the end of the subnet. Throws `CONFLICT` where all are in use. */
export function nextAddress(network: BridgeNetwork, last: string | undefined, inUse: ReadonlySet<string>): string {
  const subnet = rangeOf(network.gateway, network.prefix);
  const [address = '', bits = ''] = (network.range ?? network.subnet).split('/');
  const pool = rangeOf(address, Number(bits));
  const reserved = new Set([...network.reserved, network.gateway].filter(isIpv4).map(ipv4Number));
  const usable = (value: number): boolean =>
    value !== subnet.first && value !== subnet.last && value >= pool.first && !reserved.has(value);
  const size = pool.last - pool.first + 1;
  const previous = last !== undefined && isIpv4(last) ? ipv4Number(last) : 0;
  const start = previous >= pool.first && previous < pool.last ? previous - pool.first + 1 : 0;
  let count = 0;
  for (let i = 0; i < size; i++) {
    const value = pool.first + ((start + i) % size);
    if (!usable(value)) continue;
    count++;
    const candidate = ipv4Text(value);
    if (!inUse.has(candidate)) return candidate;
  }
  throw new TsrunError('CONFLICT', `all ${count} addresses of ${network.range ?? network.subnet} are in use`, {
    hint: 'remove containers that are no longer needed',
  });
}

/**
 * The IPv6 address that goes with an IPv4 one: as far from the beginning of its subnet, so that what is handed out once
 * is so in both families; the next free one where somebody has asked for that. Throws `CONFLICT`.
 */
export function address6For(network: BridgeNetwork, address: string, inUse: ReadonlySet<string>): string | undefined {
  if (network.ipv6 === undefined) return undefined;
  const { subnet, gateway } = network.ipv6;
  const cidr = cidrOf(subnet);
  const free = (candidate: string | undefined): candidate is string =>
    candidate !== undefined && candidate !== gateway && !network.reserved.includes(candidate) && !inUse.has(candidate);
  const like = addressAt(cidr, ipv4Number(address) - rangeOf(network.gateway, network.prefix).first);
  if (free(like)) return like;
  for (let offset = 2; offset < 2 ** 17; offset++) {
    const candidate = addressAt(cidr, offset);
    if (candidate === undefined) break;
    if (free(candidate)) return candidate;
  }
  throw new TsrunError('CONFLICT', `all addresses of ${subnet} are in use`);
}

/** The address handed out last, so that one is not used again at once: caches of neighbours would be wrong. */
export function lastAddress(network: BridgeNetwork): string | undefined {
  try {
    return readOwnText(cursorFile(network)).trim();
  } catch {
    return undefined; // the first container since the boot
  }
}

export function rememberAddress(network: BridgeNetwork, address: string): void {
  writeFileSync(cursorFile(network), `${address}\n`, { mode: 0o600 });
}

function cursorFile(network: BridgeNetwork): string {
  const key = network.id === predefinedIds.bridge ? network.name : network.id;
  return join(stateDirectory(), `network-${key}.last`);
}

/** Of a network that is removed. */
export function forgetAddresses(network: BridgeNetwork): void {
  unlinkIfThere(cursorFile(network));
}

/** The hardware address that belongs to an address: locally administered, and the same after every start. */
export function macOf(address: string): string {
  const bytes = address.split('.').map((byte) => Number(byte).toString(16).padStart(2, '0'));
  return ['02', '42', ...bytes].join(':');
}
