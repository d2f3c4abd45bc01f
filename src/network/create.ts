/** `network create` and `network rm` below the command line. Both run under the network lock. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { TsrunError } from '../error.ts';
import { AF_INET6 } from '../linux/constants.ts';
import { addressText, isIpv4 } from '../linux/ip-address.ts';
import type { NetlinkSocket } from '../linux/netlink.ts';
import { readOwnText } from '../linux/own-file.ts';
import { rootDirectory } from '../linux/paths.ts';
import { randomBytes } from '../linux/random.ts';
import { type AddressInUse, ensureBridgeNetwork } from './attach.ts';
import { findLink, removeBridge, routesOf } from './bridge.ts';
import { addressAt, type Cidr, cidrOf } from './cidr.ts';
import { chooseUserSubnet, forgetAddresses, loadNetwork, overlaps } from './ipam.ts';
import {
  allNetworks,
  bridgeNetworkOf,
  deleteRecord,
  findNetwork,
  type IpamConfig,
  type NetworkRecord,
  networkOptions,
  newNetworkId,
  saveRecord,
  userNetworks,
} from './records.ts';
import { hostNameservers } from './resolver.ts';
import { withSockets } from './sockets.ts';
import { forgetNetwork } from './table.ts';

/** What `network create` asks for, checked as far as that goes without looking at the machine. */
export interface NetworkCreation {
  name: string;
  internal: boolean;
  attachable: boolean;
  ipv6: boolean;
  /** At most one subnet of each family. */
  ipam: IpamConfig[];
  labels: Record<string, string>;
  options: Record<string, string>;
}

/**
 * Makes a network: its record, its bridge, its place in the table. `inUse` tells of all running containers. Runs under
 * the network lock. Throws `CONFLICT` for a name, a bridge or a subnet that is taken; nothing is left then.
 */
export function createNetwork(creation: NetworkCreation, inUse: readonly AddressInUse[]): NetworkRecord {
  const { name } = creation;
  if (allNetworks().some((other) => other.name === name)) {
    throw new TsrunError('CONFLICT', `network with name ${name} already exists`, {
      hint: `take another name, or remove it first: tsrun network rm ${name}`,
    });
  }
  return withSockets((sockets) => {
    const record = recordOf(sockets.route, creation);
    const network = bridgeNetworkOf(record);
    if (findLink(sockets.route, record.bridge) !== undefined) {
      throw new TsrunError('CONFLICT', `the interface "${record.bridge}" is there already`, {
        hint: `give the bridge another name: -o ${networkOptions.name}=NAME`,
      });
    }
    // First of all: what is made for it belongs to a network that people see and can remove.
    saveRecord(record);
    try {
      ensureBridgeNetwork(sockets, network, inUse);
    } catch (error) {
      removeBridge(sockets.route, network);
      deleteRecord(record.id);
      throw error;
    }
    return record;
  });
}

function recordOf(route: NetlinkSocket, creation: NetworkCreation): NetworkRecord {
  const { name, internal, attachable, labels, options } = creation;
  const id = newNetworkId();
  const v4 = creation.ipam.find(({ Subnet = '' }) => !Subnet.includes(':'));
  const v6 = creation.ipam.find(({ Subnet = '' }) => Subnet.includes(':'));
  const known = userNetworks();
  const default4 = loadNetwork('bridge')?.subnet ?? [];
  const others = [...known.flatMap(({ subnet, ipv6 }) => [subnet, ipv6?.subnet ?? []].flat()), default4].flat();
  const subnet = v4?.Subnet === undefined ? undefined : cidrOf(v4.Subnet);
  if (subnet !== undefined) refuseOverlap(subnet, others, routesOf(route));
  const cidr = subnet ?? cidrOf(chooseUserSubnet(routesOf(route), hostNameservers(), others));
  const range = v4?.IPRange === undefined ? undefined : cidrOf(v4.IPRange);
  const gateway = v4?.Gateway ?? firstAddress(range ?? cidr, cidr);
  const ipv6 = creation.ipv6 ? ipv6Of(route, v6, others) : undefined;
  const shown = subnet === undefined ? { Subnet: cidr.text, Gateway: gateway } : v4;
  return {
    version: 1,
    id,
    name,
    created: new Date().toISOString(),
    driver: 'bridge',
    bridge: options[networkOptions.name] ?? `br-${id.slice(0, 12)}`,
    subnet: cidr.text,
    gateway,
    ...(ipv6 === undefined ? {} : { ipv6 }),
    ...(range === undefined ? {} : { range: range.text }),
    ipam: [...(shown === undefined ? [] : [shown]), ...(v6 === undefined ? ipamOf(ipv6) : [v6])],
    ownSubnet: subnet !== undefined,
    ...{ internal, attachable, labels, options },
  };
}

function ipamOf(ipv6: NetworkRecord['ipv6']): IpamConfig[] {
  return ipv6 === undefined ? [] : [{ Subnet: ipv6.subnet, Gateway: ipv6.gateway }];
}

/** The first address of a pool that is not the subnet's own. */
function firstAddress(pool: Cidr, subnet: Cidr): string {
  const first = addressText(pool.bytes);
  return first === addressText(subnet.bytes) ? (addressAt(pool, 1) ?? first) : first;
}

function ipv6Of(
  route: NetlinkSocket,
  asked: IpamConfig | undefined,
  others: readonly string[],
): { subnet: string; gateway: string } {
  const routes = routesOf(route, AF_INET6);
  if (asked?.Subnet !== undefined) {
    const cidr = cidrOf(asked.Subnet);
    refuseOverlap(cidr, others, routes);
    return { subnet: cidr.text, gateway: asked.Gateway ?? firstAddress(cidr, cidr) };
  }
  for (let attempt = 0; attempt < 1000; attempt++) {
    const cidr = cidrOf(`${localPrefix()}:${randomBytes(2).readUInt16BE().toString(16)}::/64`);
    if (!overlaps(cidr.text, routes, [], others)) {
      return { subnet: cidr.text, gateway: firstAddress(cidr, cidr) };
    }
  }
  throw new TsrunError(
    'CONFLICT',
    'could not find an available, non-overlapping IPv6 address pool among the defaults to assign to the network',
    { hint: 'give one: --subnet fd00:1:2:3::/64' },
  );
}

/** 48 bits of a unique local address (RFC 4193, section 3.2): chosen at random once per data root. */
function localPrefix(): string {
  const path = join(rootDirectory(), 'networks', 'ipv6-prefix');
  try {
    const kept = readOwnText(path).trim();
    if (/^fd[0-9a-f]{2}(:[0-9a-f]{1,4}){2}$/.test(kept)) return kept;
  } catch {
    // the first network with IPv6
  }
  const bytes = randomBytes(6);
  bytes[0] = 0xfd;
  const prefix = [0, 2, 4].map((at) => bytes.readUInt16BE(at).toString(16)).join(':');
  mkdirSync(join(path, '..'), { recursive: true, mode: 0o700 });
  writeFileSync(path, `${prefix}\n`, { mode: 0o600 });
  return prefix;
}

function refuseOverlap(cidr: Cidr, others: readonly string[], routes: ReturnType<typeof routesOf>): void {
  const message = 'Pool overlaps with other one on this address space';
  if (overlaps(cidr.text, [], [], others)) {
    throw new TsrunError('CONFLICT', message, { hint: `another network has part of ${cidr.text}: tsrun network ls` });
  }
  if (overlaps(cidr.text, routes, [])) {
    throw new TsrunError('CONFLICT', message, {
      hint: `this machine has a route into ${cidr.text}, which containers would take from it: ip route`,
    });
  }
}

/** Removes a network that no container is on any more. Runs under the network lock. */
export function removeNetwork(record: NetworkRecord): void {
  const network = bridgeNetworkOf(record);
  withSockets(({ route, netfilter }) => {
    removeBridge(route, network);
    forgetNetwork(netfilter, network);
  });
  forgetAddresses(network);
  deleteRecord(record.id);
}

/**
 * The network that a container asks for by name or id, and what it may ask of it. Throws `NOT_FOUND`, `USAGE` with
 * docker's words.
 */
export function networkFor(asked: {
  network: string;
  aliases: readonly string[];
  ip?: string;
  ip6?: string;
}): NetworkRecord {
  const record = findNetwork(asked.network);
  if (record === undefined) {
    throw new TsrunError('NOT_FOUND', `network ${asked.network} not found`, {
      hint: 'tsrun network ls lists all networks; tsrun network create makes one',
    });
  }
  const { ip, ip6, aliases } = asked;
  if (record.name === 'bridge') {
    if (ip !== undefined || ip6 !== undefined) {
      throw new TsrunError('USAGE', 'user specified IP address is supported on user defined networks only');
    }
    if (aliases.length > 0) {
      throw new TsrunError('USAGE', 'network-scoped alias is supported only for containers in user defined networks');
    }
    return record;
  }
  for (const address of [ip, ip6]) if (address !== undefined) checkAddress(record, address);
  return record;
}

function checkAddress(record: NetworkRecord, address: string): void {
  const v4 = isIpv4(address);
  const own = v4 ? record.ownSubnet : record.ipam.some(({ Subnet = '' }) => Subnet.includes(':'));
  const subnet = v4 ? record.subnet : record.ipv6?.subnet;
  if (!own || subnet === undefined) {
    throw new TsrunError(
      'USAGE',
      'user specified IP address is supported only when connecting to networks with user configured subnets',
      { hint: 'create the network with --subnet' },
    );
  }
  const cidr = cidrOf(subnet);
  if (overlaps(`${address}/${cidr.bytes.length * 8}`, [], [], [cidr.text])) return;
  throw new TsrunError('USAGE', `Invalid address ${address}: It does not belong to any of this network's subnets`);
}
