/** Flags of the network: names, addresses, ports. */
import type { EndpointOption, LinkOption } from '../../container/run-options.ts';
import { ipFamily, ipv6Text, parseIpv6 } from '../../linux/ip-address.ts';
import { parseInteger } from '../flag.ts';

/** `NAME:ADDRESS` of --add-host, or NAME=ADDRESS as newer clients have it. Throws an `Error` with docker's words. */
export function parseExtraHost(text: string): { name: string; address: string } {
  const match = /^([^:=]+)[:=](.+)$/s.exec(text);
  if (match === null) throw new Error(`bad format for add-host: ${JSON.stringify(text)}`);
  const [, name = '', written = ''] = match;
  const address = /^\[.*\]$/.test(written) ? written.slice(1, -1) : written;
  if (address !== 'host-gateway' && ipFamily(address) === 0) {
    throw new Error(`invalid IP address in add-host: ${JSON.stringify(address)}`);
  }
  return { name, address };
}

/** `CONTAINER[:ALIAS]` of --link. Throws an `Error` with docker's words. */
export function parseLink(text: string): LinkOption {
  if (text === '') throw new Error('empty string specified for links');
  const [target = '', alias, ...rest] = text.split(':');
  if (rest.length > 0 || target === '' || alias === '') throw new Error(`bad format for links: ${text}`);
  const name = target.replace(/^\//, '');
  // `/web:/db/web` is how inspect shows a link: only its last part is the alias.
  return { target: name, alias: (alias ?? name).replace(/^.*\//s, '') };
}

/** Checks one --dns. */
export function checkAddress(text: string): void {
  if (ipFamily(text.trim()) === 0) throw new Error(`${text} is not an ip address`);
}

/** Checks one --dns-search. */
export function checkSearchDomain(text: string): void {
  if (text === '.') return;
  const label = '[a-zA-Z0-9_](?:[a-zA-Z0-9_-]*[a-zA-Z0-9_])?';
  if (!new RegExp(`^(?:${label}\\.)*${label}\\.?$`).test(text)) throw new Error(`${text} is not a valid domain`);
}

/** Checks --mac-address. */
export function checkMac(text: string): void {
  if (!/^[0-9a-fA-F]{2}(:[0-9a-fA-F]{2}){5}$/.test(text)) throw new Error(`${text} is not a valid mac address`);
}

/** `80`, `80-90/udp` of --expose as single ports: `80/udp`. Throws an `Error` with docker's words. */
export function parseExpose(text: string): string[] {
  const [range = '', protocol = 'tcp', ...more] = text.toLowerCase().split('/');
  const invalid = (reason: string): Error => new Error(`invalid range format for --expose: ${text}, error: ${reason}`);
  if (range.includes(':')) throw new Error(`invalid port format for --expose: ${text}`);
  if (more.length > 0 || !['tcp', 'udp', 'sctp'].includes(protocol)) throw invalid(`invalid protocol: ${protocol}`);
  const [from = '', to = from, ...rest] = range.split('-');
  for (const port of [from, to]) {
    if (!/^\d+$/.test(port)) throw invalid(`strconv.ParseUint: parsing ${JSON.stringify(port)}: invalid syntax`);
    if (Number(port) > 65535) throw invalid(`strconv.ParseUint: parsing ${JSON.stringify(port)}: value out of range`);
  }
  if (rest.length > 0 || Number(from) > Number(to)) throw invalid(`invalid range specified for port: ${range}`);
  return Array.from({ length: Number(to) - Number(from) + 1 }, (_, index) => `${Number(from) + index}/${protocol}`);
}

/** --network: a name, or docker's long form `name=…,alias=…,ip=…`. Throws an `Error` with docker's words. */
export function parseNetwork(text: string): EndpointOption {
  if (!/\w+=\w+/.test(text)) return { network: text, aliases: [] };
  const endpoint: EndpointOption = { network: '', aliases: [] };
  for (const field of text.split(',')) {
    const [, key = '', value = ''] = /^([^=]+)=(.*)$/s.exec(field) ?? [];
    if (key === '') throw new Error(`invalid field ${field}`);
    switch (key.toLowerCase()) {
      case 'name':
        endpoint.network = value;
        break;
      case 'alias':
        endpoint.aliases.push(value);
        break;
      case 'ip':
        checkIpv4(value);
        endpoint.ip = value;
        break;
      case 'ip6':
        checkIpv6(value);
        endpoint.ip6 = canonicalIpv6(value);
        break;
      case 'mac-address':
        checkMac(value);
        endpoint.mac = value.toLowerCase();
        break;
      case 'gw-priority':
        endpoint.gatewayPriority = parseInteger(value);
        break;
      default:
        throw new Error(`invalid field key ${key}`);
    }
  }
  if (endpoint.network === '') throw new Error('network name/id is not specified');
  return endpoint;
}

export function checkIpv4(text: string): void {
  if (ipFamily(text) !== 4) throw new Error(`invalid IPv4 address: ${text}`);
}

export function checkIpv6(text: string): void {
  if (ipFamily(text) !== 6 || text.includes('%')) throw new Error(`invalid IPv6 address: ${text}`);
}

/** As the kernel writes it. */
export function canonicalIpv6(text: string): string {
  const bytes = parseIpv6(text);
  return bytes === undefined ? text : ipv6Text(bytes);
}

/** Whether a network mode names a network that a user has made. */
function isUserDefined(mode: string): boolean {
  return !/^(default|bridge|host|none|container:.*)$/s.test(mode);
}

/** What the flags of --network, --network-alias, --ip and --ip6 are together; those beside it go to the first network. */
export interface NetworkFlags {
  networks: readonly string[];
  aliases: readonly string[];
  ip: string | undefined;
  ip6: string | undefined;
}

/**
 * The network mode, and all networks where there is more to say. Throws an `Error` with the words of docker's client,
 * whose newer versions take several networks.
 */
export function networksOf({ networks, aliases, ip, ip6 }: NetworkFlags): {
  network: string;
  endpoints?: EndpointOption[];
} {
  const endpoints = networks.map(parseNetwork);
  const [first = { network: 'default', aliases: [] }] = endpoints;
  const conflict = (what: string): Error => new Error(`conflicting options: ${what}`);
  if (aliases.length > 0) {
    if (first.aliases.length > 0) throw conflict('cannot specify both --network-alias and per-network alias');
    first.aliases = [...aliases];
  }
  if (ip !== undefined) {
    if (first.ip !== undefined) throw conflict('cannot specify both --ip and per-network IPv4 address');
    first.ip = ip;
  }
  if (ip6 !== undefined) {
    if (first.ip6 !== undefined) throw conflict('cannot specify both --ip6 and per-network IPv6 address');
    first.ip6 = ip6;
  }
  const names = new Set<string>();
  for (const { network } of endpoints) {
    if (names.has(network)) throw new Error(`network ${JSON.stringify(network)} is specified multiple times`);
    names.add(network);
  }
  if (endpoints.length > 1 && new Set(endpoints.map(({ network }) => isUserDefined(network))).size > 1) {
    throw conflict('cannot attach both user-defined and non-user-defined network-modes');
  }
  if (!isUserDefined(first.network)) {
    if (first.ip !== undefined || first.ip6 !== undefined) {
      throw new Error('user specified IP address is supported on user defined networks only');
    }
    if (first.aliases.length > 0) {
      throw new Error('network-scoped alias is supported only for containers in user defined networks');
    }
    if (endpoints.length > 1)
      throw new Error(`Container cannot be connected to network endpoints: ${[...names].join(', ')}`);
    return { network: first.network };
  }
  return { network: first.network, endpoints };
}
