/**
 * The files by which a container knows names: hosts, hostname, resolv.conf (man 5 hosts, hostname, resolv.conf). They
 * are written into the container's directory and bind-mounted, so that a later change must keep the file itself.
 */
import { closeSync, constants, fchmodSync, ftruncateSync, openSync, readFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { TsrunError } from '../error.ts';
import { ipFamily } from '../linux/ip-address.ts';
import { uname } from '../linux/uname.ts';
import { step } from '../trace.ts';
import { type ResolverRequest, readHostResolver, resolvConf } from './resolver.ts';
import { nameFiles } from './steps.ts';

export interface NetworkFiles extends ResolverRequest {
  /** The container's directory. */
  directory: string;
  hostname: string;
  /** Its hosts file has the name with this domain too. */
  domainname?: string | undefined;
  /** Of the container; none without a network of its own. */
  address?: string | undefined;
  /** Those on its other networks, and those of IPv6. */
  otherAddresses?: readonly string[];
  /** What `host-gateway` stands for in `extraHosts`. */
  gateway?: string | undefined;
  /** `name:address` */
  extraHosts: string[];
  network: 'bridge' | 'none' | 'host';
}

/** Writes hosts, hostname and resolv.conf. Throws as `networkFiles` does. */
export function writeNetworkFiles(files: NetworkFiles): void {
  step(nameFiles(), () => {
    for (const [name, content] of Object.entries(networkFiles(files)))
      writeInPlace(join(files.directory, name), content);
  });
}

/** The content of hosts, hostname and resolv.conf. Throws `USAGE` for extra hosts and name servers that are none. */
export function networkFiles(
  files: Omit<NetworkFiles, 'directory'>,
): Record<'hosts' | 'hostname' | 'resolv.conf', string> {
  const { network, dns = [] } = files;
  for (const server of dns) {
    if (ipFamily(server) === 0) throw new TsrunError('USAGE', `${server} is not an ip address`);
  }
  const extra = files.extraHosts.map((text) => parseExtraHost(text, files.gateway));
  const onHost = network === 'host';
  const ownResolver = onHost && dns.length === 0 && !files.dnsSearch?.length && !files.dnsOptions?.length;
  const resolver = ownResolver
    ? readFileOr('/etc/resolv.conf', '')
    : resolvConf(
        onHost ? readHostResolver('/etc/resolv.conf', '') : readHostResolver(),
        files,
        onHost ? 'all' : 'outside',
      );
  const hosts = onHost
    ? withHosts(readFileOr('/etc/hosts', hostsFile(undefined, '', [])), extra)
    : hostsFile(files.address, fullName(files), extra, files.otherAddresses);
  return {
    hosts,
    hostname: `${onHost ? files.hostname || uname().nodename : files.hostname}\n`,
    'resolv.conf': resolver,
  };
}

function fullName({ hostname, domainname }: Pick<NetworkFiles, 'hostname' | 'domainname'>): string {
  return domainname ? `${hostname}.${domainname}` : hostname;
}

export interface HostsEntry {
  address: string;
  names: string;
}

/** The content of a hosts file as docker makes it. */
export function hostsFile(
  address: string | undefined,
  hostname: string,
  extra: readonly HostsEntry[],
  others: readonly string[] = [],
): string {
  const entries: HostsEntry[] = [
    { address: '127.0.0.1', names: 'localhost' },
    { address: '::1', names: 'localhost ip6-localhost ip6-loopback' },
    { address: 'fe00::0', names: 'ip6-localnet' },
    { address: 'ff00::0', names: 'ip6-mcastprefix' },
    { address: 'ff02::1', names: 'ip6-allnodes' },
    { address: 'ff02::2', names: 'ip6-allrouters' },
    ...extra,
  ];
  const short = hostname.split('.', 1)[0] ?? hostname;
  const names = short === hostname || short === '' ? hostname : `${hostname} ${short}`;
  for (const own of [address ?? [], ...others].flat()) entries.push({ address: own, names });
  return withHosts('', entries);
}

function withHosts(content: string, entries: readonly HostsEntry[]): string {
  const begin = content === '' || content.endsWith('\n') ? content : `${content}\n`;
  return begin + entries.map((entry) => `${entry.address}\t${entry.names}\n`).join('');
}

/** `name:address`, also `name=address`, `name:[::1]`, `name:host-gateway`. Throws `USAGE` with docker's words. */
export function parseExtraHost(text: string, gateway: string | undefined): HostsEntry {
  const [, names, value] = /^([^:=\s]+)[:=](\S+)$/.exec(text) ?? [];
  if (names === undefined || value === undefined) {
    throw new TsrunError('USAGE', `bad format for add-host: "${text}"`, { hint: 'write NAME:ADDRESS' });
  }
  if (value === 'host-gateway') {
    // Without a bridge there is no address that means the host, but its own loopback address does on its own network.
    return { address: gateway ?? '127.0.0.1', names };
  }
  const address = /^\[(.*)\]$/.exec(value)?.[1] ?? value;
  if (ipFamily(address) === 0) throw new TsrunError('USAGE', `invalid IP address in add-host: "${value}"`);
  return { address, names };
}

/** Replaces a file's content without replacing the file: a running container has it mounted. */
export function writeInPlace(path: string, content: string): void {
  const fd = openSync(path, constants.O_WRONLY | constants.O_CREAT | constants.O_NOFOLLOW, 0o644);
  try {
    const bytes = Buffer.from(content);
    // Write first, cut afterwards: nobody ever reads an empty file.
    writeSync(fd, bytes, 0, bytes.length, 0);
    ftruncateSync(fd, bytes.length);
    fchmodSync(fd, 0o644); // whatever the umask: every user of the container reads it
  } finally {
    closeSync(fd);
  }
}

function readFileOr(path: string, otherwise: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return otherwise;
  }
}
