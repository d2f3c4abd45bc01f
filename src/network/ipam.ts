/**
 * Addresses: the subnet of the bridge, chosen once so that it overlaps no route of the host, and the addresses of its
 * containers, handed out in turn under the network lock.
 */
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { TsrunError } from '../error.ts';
import { ipv4Number, ipv4Text, isIpv4, type Route, RTN_LOCAL, RTN_UNICAST } from '../linux/netlink-route.ts';
import { rootDirectory, stateDirectory } from '../linux/paths.ts';

/** A bridge and its subnet: `networks/bridge.json` in the data root. */
export interface BridgeNetwork {
  name: string;
  /** The interface. */
  bridge: string;
  /** `172.30.0.0/16` */
  subnet: string;
  /** The bridge's own address: the first of the subnet. */
  gateway: string;
  /** Bits. */
  prefix: number;
}

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
    content = readFileSync(path, 'utf8');
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
  return { name, bridge, subnet, gateway: ipv4Text(range.first + 1), prefix: range.prefix };
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
function occupied(routes: readonly Route[]): Range[] {
  return routes
    .filter(({ type, prefix }) => prefix > 1 && (type === RTN_UNICAST || type === RTN_LOCAL))
    .map(({ destination, prefix }) => rangeOf(destination, prefix));
}

/**
 * Whether a subnet overlaps a route of the host, or holds one of its name servers (which may only have the default
 * route, and would be lost behind the bridge).
 */
export function overlaps(subnet: string, routes: readonly Route[], nameservers: readonly string[]): boolean {
  const range = parseSubnet(subnet);
  if (range === undefined) return true;
  const taken = [...occupied(routes), ...nameservers.filter(isIpv4).map((address) => rangeOf(address, 32))];
  return taken.some(({ first, last }) => first <= range.last && range.first <= last);
}

/** The first candidate that is free. Throws `CONFLICT` where none is. */
export function chooseSubnet(routes: readonly Route[], nameservers: readonly string[]): string {
  const subnet = candidates.find((candidate) => !overlaps(candidate, routes, nameservers));
  if (subnet !== undefined) return subnet;
  throw new TsrunError('CONFLICT', `every subnet that tsrun would take overlaps a route: ${candidates.join(', ')}`, {
    hint: `write {"version":1,"name":"bridge","bridge":"tsrun0","subnet":"…/24"} to ${networkFile('bridge')}`,
  });
}

/** The next free address behind `last`, around the end of the subnet. Throws `CONFLICT` where all are in use. */
export function nextAddress(network: BridgeNetwork, last: string | undefined, inUse: ReadonlySet<string>): string {
  const range = rangeOf(network.gateway, network.prefix);
  const lowest = range.first + 2;
  const count = range.last - lowest;
  const previous = last !== undefined && isIpv4(last) ? ipv4Number(last) : 0;
  const start = previous >= lowest && previous < range.last ? previous - lowest + 1 : 0;
  for (let i = 0; i < count; i++) {
    const address = ipv4Text(lowest + ((start + i) % count));
    if (!inUse.has(address)) return address;
  }
  throw new TsrunError('CONFLICT', `all ${count} addresses of ${network.subnet} are in use`, {
    hint: 'remove containers that are no longer needed',
  });
}

/** The address handed out last, so that one is not used again at once: caches of neighbours would be wrong. */
export function lastAddress(network: BridgeNetwork): string | undefined {
  try {
    return readFileSync(cursorFile(network), 'utf8').trim();
  } catch {
    return undefined; // the first container since the boot
  }
}

export function rememberAddress(network: BridgeNetwork, address: string): void {
  writeFileSync(cursorFile(network), `${address}\n`, { mode: 0o600 });
}

function cursorFile(network: BridgeNetwork): string {
  return join(stateDirectory(), `network-${network.name}.last`);
}

/** The hardware address that belongs to an address: locally administered, and the same after every start. */
export function macOf(address: string): string {
  const bytes = address.split('.').map((byte) => Number(byte).toString(16).padStart(2, '0'));
  return ['02', '42', ...bytes].join(':');
}
