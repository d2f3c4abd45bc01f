/**
 * resolv.conf of a container (man 5 resolv.conf): the host's, without what a container cannot reach.
 */
import { readFileSync } from 'node:fs';
import { isIpv4 } from '../linux/ip-address.ts';

/** What a resolv.conf says, as far as containers need it. */
export interface ResolverConfig {
  nameservers: string[];
  search: string[];
  options: string[];
  /** What comes first in the file. */
  first?: 'nameserver' | 'search' | 'options' | undefined;
}

const hostFile = '/etc/resolv.conf';
/** Where systemd-resolved writes the servers that its stub on 127.0.0.53 asks. */
const upstreamFile = '/run/systemd/resolve/resolv.conf';
/** Google's, as docker has it: where the host names none that a container can reach. */
const fallback = ['8.8.8.8', '8.8.4.4'];

export function parseResolvConf(content: string): ResolverConfig {
  const config: ResolverConfig = { nameservers: [], search: [], options: [] };
  for (const line of content.split('\n')) {
    const [keyword, ...values] = line
      .replace(/[#;].*$/, '')
      .trim()
      .split(/\s+/);
    if (keyword === 'nameserver' || keyword === 'options') config.first ??= keyword;
    else if (keyword === 'search' || keyword === 'domain') config.first ??= 'search';
    if (keyword === 'nameserver' && values[0] !== undefined) config.nameservers.push(values[0]);
    else if (keyword === 'search' || keyword === 'domain')
      config.search = values; // the last one counts
    else if (keyword === 'options') config.options.push(...values);
  }
  return config;
}

/** Reads a host's resolv.conf, or the upstream one where it names only servers on loopback addresses. */
export function readHostResolver(file = hostFile, upstream = upstreamFile): ResolverConfig {
  const config = parseResolvConf(readText(file));
  if (config.nameservers.length > 0 && config.nameservers.every(isLoopback)) {
    const content = readText(upstream);
    if (content !== '') return parseResolvConf(content);
  }
  return config;
}

/** The host's name servers. */
export function hostNameservers(): string[] {
  return readHostResolver().nameservers;
}

/** What the user asks for; each given list replaces the host's. */
export interface ResolverRequest {
  dns?: string[] | undefined;
  /** `.` alone: no search list. */
  dnsSearch?: string[] | undefined;
  dnsOptions?: string[] | undefined;
}

/**
 * The content of a container's resolv.conf. `reachable` says which of the host's name servers it can ask: in a namespace
 * of its own neither loopback addresses nor, without an IPv6 address, IPv6 ones. As with docker, where something is asked for
 * the search list comes first, and else what comes first in the host's file.
 */
export function resolvConf(host: ResolverConfig, request: ResolverRequest, reachable: 'all' | 'outside'): string {
  let nameservers = request.dns ?? [];
  if (nameservers.length === 0) {
    nameservers =
      reachable === 'all'
        ? host.nameservers
        : host.nameservers.filter((address) => isIpv4(address) && !isLoopback(address));
    if (nameservers.length === 0 && reachable === 'outside') nameservers = fallback;
  }
  const search = request.dnsSearch?.length ? request.dnsSearch.filter((domain) => domain !== '.') : host.search;
  const options = request.dnsOptions?.length ? request.dnsOptions : host.options;
  const servers = nameservers.map((address) => `nameserver ${address}\n`).join('');
  const searchLine = search.length > 0 ? `search ${search.join(' ')}\n` : '';
  const optionsLine = options.length > 0 ? `options ${options.join(' ')}\n` : '';
  const asked = [request.dns, request.dnsSearch, request.dnsOptions].some((list) => list?.length);
  if (!asked && host.first === 'nameserver') return servers + searchLine + optionsLine;
  if (!asked && host.first === 'options') return optionsLine + searchLine + servers;
  return searchLine + servers + optionsLine;
}

/** Addresses that mean the machine itself; a zone (`fe80::1%eth0`) is no part of an address. */
function isLoopback(nameserver: string): boolean {
  const address = nameserver.split('%', 1)[0] ?? '';
  if (isIpv4(address)) return address.startsWith('127.') || address === '0.0.0.0';
  return /^(0*:)+0*1$/.test(address) || /^::ffff:127\./i.test(address) || !address.includes(':');
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return ''; // a host without the file asks nobody
  }
}
