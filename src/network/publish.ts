/** The argument of `-p`/`--publish`: `[[address:][hostPort]:]containerPort[/protocol]`, with ranges, as docker reads it. */
import { TsrunError } from '../error.ts';
import { ipv6Text, isIpv4, parseIpv6 } from '../linux/ip-address.ts';

export type Protocol = 'tcp' | 'udp';

/** A port that is to be published. */
export interface PortRequest {
  /** Empty: every address of the host. */
  hostIp: string;
  /** 0: one that is free. */
  hostPort: number;
  /** Any free port from `hostPort` to this one will do. */
  hostPortEnd?: number;
  containerPort: number;
  protocol: Protocol;
}

/**
 * One request per port. A range of host ports for a single container port stands for any free one of them. Throws
 * `USAGE` with docker's words, `UNSUPPORTED` for what tsrun cannot publish.
 */
export function parsePublish(spec: string): PortRequest[] {
  const parts = spec.split(':');
  const containerPart = parts.pop() ?? '';
  const hostPart = parts.pop() ?? '';
  const hostIp = parseAddress(parts.join(':'));
  const [portPart = '', protocolPart = ''] = containerPart.split('/');
  const protocol = parseProtocol(protocolPart || 'tcp');
  if (portPart === '') throw new TsrunError('USAGE', `no port specified: ${spec}<empty>`);
  const container = parseRange(portPart);
  if (container === undefined || container.first === 0) {
    throw new TsrunError('USAGE', `invalid containerPort: ${portPart}`);
  }
  const host = hostPart === '' ? undefined : parseRange(hostPart);
  if (hostPart !== '' && host === undefined) throw new TsrunError('USAGE', `invalid hostPort: ${hostPart}`);
  const count = container.last - container.first + 1;
  if (host === undefined) return sequence(count, (i) => request(0, container.first + i));
  if (host.last - host.first + 1 === count) {
    return sequence(count, (i) => request(host.first + i, container.first + i));
  }
  if (count > 1) {
    throw new TsrunError(
      'USAGE',
      `invalid ranges specified for container and host Ports: ${portPart} and ${hostPart}`,
      { hint: 'both ranges must have the same number of ports' },
    );
  }
  return [{ ...request(host.first, container.first), hostPortEnd: host.last }];

  function request(hostPort: number, containerPort: number): PortRequest {
    return { hostIp, hostPort, containerPort, protocol };
  }
}

function sequence<T>(count: number, make: (i: number) => T): T[] {
  return Array.from({ length: count }, (_, i) => make(i));
}

/** Of docker: an IPv6 address stands in brackets. */
function parseAddress(text: string): string {
  const address = /^\[(.*)\]$/.exec(text)?.[1] ?? text;
  if (text.startsWith('[') && !text.includes(']')) {
    throw new TsrunError('USAGE', `invalid IP address ${text}: address ${text}:: missing ']' in address`);
  }
  if (address === '' && text === '') return '';
  if (isIpv4(address)) return address;
  const ipv6 = parseIpv6(address);
  if (ipv6 !== undefined) return ipv6Text(ipv6);
  throw new TsrunError('USAGE', `invalid IP address: ${text}`);
}

function parseProtocol(text: string): Protocol {
  const protocol = text.toLowerCase();
  if (protocol === 'tcp' || protocol === 'udp') return protocol;
  if (protocol === 'sctp') {
    throw new TsrunError('UNSUPPORTED', 'cannot publish sctp ports', { hint: 'tcp and udp are supported' });
  }
  throw new TsrunError('USAGE', `invalid proto: ${text}`);
}

function parseRange(text: string): { first: number; last: number } | undefined {
  const match = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(text);
  if (match === null) return undefined;
  const first = Number(match[1]);
  const last = Number(match[2] ?? match[1]);
  return first <= last && last <= 65535 ? { first, last } : undefined;
}
