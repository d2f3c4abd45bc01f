/**
 * Published ports as the kernel sees them: a bound socket per port, on which nobody ever listens. It is held as long as
 * the container runs, so that the kernel arbitrates with every other process, and frees the port even on kill -9.
 * Packets never reach it: they are redirected before. On IPv6 only what leads to a container that has an IPv6 address:
 * elsewhere a name that has one too is refused there at once, and programs go on with the IPv4 one.
 */
import { TsrunError } from '../error.ts';
import {
  AF_INET,
  AF_INET6,
  SO_REUSEADDR,
  SOCK_CLOEXEC,
  SOCK_DGRAM,
  SOCK_STREAM,
  SOL_SOCKET,
} from '../linux/constants.ts';
import { errno, SyscallError } from '../linux/errno.ts';
import { syscall } from '../linux/ffi.ts';
import { check, close } from '../linux/fs.ts';
import { addressBytes } from '../linux/ip-address.ts';
import { step } from '../trace.ts';
import { describeHolder, onlyRemains } from './port-holder.ts';
import type { PortRequest, Protocol } from './publish.ts';
import { portAddress, takePort } from './steps.ts';

const SO_RCVBUF = 8;
const IPPROTO_IPV6 = 41;
const IPV6_V6ONLY = 26;

/** What a request became. */
export interface PublishedPort {
  /** `0.0.0.0` for every IPv4 address of the host, `::` for every IPv6 one. */
  hostIp: string;
  hostPort: number;
  containerPort: number;
  protocol: Protocol;
}

export type PortOwner = (port: PublishedPort) => string | undefined;

/**
 * Takes the ports, with `ipv6` those for every address in both families. `portOwner` names the container that has a port published, as far as the caller knows.
 * Throws `CONFLICT` naming the owner, `USAGE` for an address that the host has not; nothing stays bound then.
 */
export function bindPorts(
  requests: readonly PortRequest[],
  portOwner: PortOwner,
  ipv6 = false,
): { ports: PublishedPort[]; fds: number[] } {
  const ports: PublishedPort[] = [];
  const fds: number[] = [];
  try {
    for (const request of distinct(requests)) {
      const bound = step(takePort(request), () => {
        const owner: PortOwner = (port) => ownerOf(port, ports, portOwner);
        return request.hostIp === '' && ipv6 ? bindBoth(request, owner) : [bindRequest(request, owner)];
      });
      for (const { port, fd } of bound) {
        fds.push(fd);
        ports.push(port);
      }
    }
    return { ports, fds };
  } catch (error) {
    fds.forEach(close);
    throw error;
  }
}

/** `-p 80:80 -p 80:80` is one port. */
export function distinct(requests: readonly PortRequest[]): PortRequest[] {
  const seen = new Set<string>();
  return requests.filter((request) => {
    const { hostIp, hostPort, hostPortEnd, containerPort, protocol } = request;
    const key = [hostIp || '0.0.0.0', hostPort, hostPortEnd, containerPort, protocol].join(' ');
    if (hostPort !== 0 && seen.has(key)) return false;
    seen.add(key);
    return true;
  });
}

/** Who has a port, in words, as far as it is a container. */
function ownerOf(port: PublishedPort, own: readonly PublishedPort[], portOwner: PortOwner): string | undefined {
  const twice = own.some(
    ({ hostIp, hostPort, protocol }) =>
      hostPort === port.hostPort &&
      protocol === port.protocol &&
      hostIp.includes(':') === port.hostIp.includes(':') &&
      (hostIp === port.hostIp || [hostIp, port.hostIp].some((ip) => ip === '0.0.0.0' || ip === '::')),
  );
  if (twice) return 'this container itself: it is published twice';
  const name = portOwner(port);
  return name === undefined ? undefined : `container ${JSON.stringify(name)}`;
}

/** One port of every address in both families; where the kernel chooses it, one that is free in both. */
function bindBoth(request: PortRequest, containerWith: PortOwner): { port: PublishedPort; fd: number }[] {
  for (let attempt = 0; ; attempt++) {
    const first = bindRequest(request, containerWith);
    const { hostPortEnd: _, ...exact } = request;
    try {
      return [first, bindRequest({ ...exact, hostIp: '::', hostPort: first.port.hostPort }, containerWith)];
    } catch (error) {
      close(first.fd);
      if (request.hostPort !== 0 || attempt === 20) throw error;
    }
  }
}

function bindRequest(request: PortRequest, containerWith: PortOwner): { port: PublishedPort; fd: number } {
  const { hostPort, hostPortEnd = hostPort, containerPort, protocol } = request;
  const hostIp = request.hostIp || '0.0.0.0';
  for (let candidate = hostPort; ; candidate++) {
    const port = { hostIp, hostPort: candidate, containerPort, protocol };
    const bound = bind(port);
    if (typeof bound !== 'number') return { port: { ...port, hostPort: bound.port }, fd: bound.fd };
    if (bound === errno.EADDRINUSE && candidate < hostPortEnd) continue;
    if (bound === errno.EADDRINUSE && hostPortEnd > hostPort) {
      throw new TsrunError('CONFLICT', `every port of ${hostIp}:${hostPort}-${hostPortEnd}/${protocol} is in use`, {
        hint: 'give a wider range, or none to take any free port',
      });
    }
    throw refused(port, bound, containerWith);
  }
}

/** The bound socket with its port, or the errno of bind(2). */
function bind(port: PublishedPort): { fd: number; port: number } | number {
  const type = port.protocol === 'tcp' ? SOCK_STREAM : SOCK_DGRAM;
  const ipv6 = port.hostIp.includes(':');
  const family = ipv6 ? AF_INET6 : AF_INET;
  const fd = check(syscall('socket', family, type | SOCK_CLOEXEC, 0), 'socket', port.protocol);
  if (ipv6) setOption(fd, IPV6_V6ONLY, 1, IPPROTO_IPV6);
  // struct sockaddr_in6 has its flow information before the address.
  const address = Buffer.alloc(ipv6 ? 28 : 16);
  address.writeUInt16LE(family, 0);
  address.writeUInt16BE(port.hostPort, 2);
  address.set(addressBytes(port.hostIp), ipv6 ? 8 : 4);
  let result = syscall('bind', fd, address, address.length);
  if (result === -errno.EADDRINUSE && port.protocol === 'tcp' && onlyRemains(port)) {
    // Connections of a server that has ended, in TIME_WAIT for a minute: nothing to wait for. The flag goes again at
    // once, since two sockets that both have it may be bound to one port.
    setOption(fd, SO_REUSEADDR, 1);
    result = syscall('bind', fd, address, address.length);
    setOption(fd, SO_REUSEADDR, 0);
  }
  if (result < 0) {
    close(fd);
    return -result;
  }
  // Multicast and broadcast are not redirected; as little as possible of them may pile up.
  if (port.protocol === 'udp') setOption(fd, SO_RCVBUF, 0);
  syscall('getsockname', fd, address, Buffer.of(address.length, 0, 0, 0));
  return { fd, port: address.readUInt16BE(2) };
}

function setOption(fd: number, option: number, value: number, level: number = SOL_SOCKET): void {
  const bytes = Buffer.of(value, 0, 0, 0);
  syscall('setsockopt', fd, level, option, bytes, bytes.length);
}

function refused(port: PublishedPort, number: number, containerWith: PortOwner): TsrunError {
  const name = `${portAddress(port)}/${port.protocol}`;
  if (number === errno.EADDRINUSE) {
    const anyPort = port.hostIp === '0.0.0.0' ? port.containerPort : `${port.hostIp}::${port.containerPort}`;
    const owner = containerWith(port) ?? describeHolder(port);
    return new TsrunError('CONFLICT', `cannot publish ${name}: port is already allocated, in use by ${owner}`, {
      hint: `stop it, or publish another port; -p ${anyPort} takes a free one`,
      cause: new SyscallError('bind', number, name),
    });
  }
  if (number === errno.EADDRNOTAVAIL) {
    return new TsrunError('USAGE', `cannot publish ${name}: ${port.hostIp} is not an address of this machine`, {
      hint: 'see `ip address`',
      cause: new SyscallError('bind', number, name),
    });
  }
  return new SyscallError('bind', number, name, {
    hint: number === errno.EACCES ? 'ports below 1024 need root' : undefined,
  });
}
