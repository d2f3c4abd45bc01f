/** Published ports in the table: elements that lead to one of a container's addresses. Runs under the network lock. */
import { AF_INET, AF_INET6 } from '../linux/constants.ts';
import type { NetlinkSocket } from '../linux/netlink.ts';
import { forgetUdpConnections } from '../linux/netlink-conntrack.ts';
import { dumpAddresses, parseAddress } from '../linux/netlink-route.ts';
import { step } from '../trace.ts';
import type { BridgeAttachment } from './attach.ts';
import { ensureRouteLocalnet, findLink } from './bridge.ts';
import { portElements } from './elements.ts';
import { type PublishedPort, portAddress } from './ports.ts';
import { type Sockets, withSockets } from './sockets.ts';
import { publish, unpublish } from './table.ts';

type Target = Pick<BridgeAttachment, 'bridge' | 'address' | 'address6' | 'internal' | 'ports'>;

/** Publishes what an attachment has; of an internal network nothing leads in. */
export function publishPorts(sockets: Sockets, to: Target, containerId: string): void {
  const { address, address6, ports, internal } = to;
  if (ports.length === 0 || internal === true) return;
  if (ports.some(({ hostIp }) => hostIp === '0.0.0.0' || hostIp.startsWith('127.'))) {
    const bridge = findLink(sockets.route, to.bridge);
    if (bridge !== undefined) ensureRouteLocalnet(sockets.route, bridge);
  }
  step(
    {
      phase: 'network',
      title: `publish ${ports.map((port) => `${portAddress(port)}/${port.protocol}`).join(', ')} at ${address}`,
      why: 'elements of the maps that the redirecting rules look into',
      shell: ports.map((port) => shellCommand(port, address, address6)).join(' && '),
    },
    () => publish(sockets.netfilter, portElements(ports, to, containerId)),
  );
  forgetStrayUdp(sockets, to);
}

function shellCommand(port: PublishedPort, address: string, address6: string | undefined): string {
  const { hostIp, hostPort, containerPort, protocol } = port;
  const ipv6 = hostIp.includes(':');
  const any = hostIp === '0.0.0.0' || hostIp === '::';
  const map = `published${ipv6 ? '6' : ''}${any ? '_any' : ''}`;
  const key = `${any ? '' : `${hostIp} . `}${protocol} . ${hostPort}`;
  return `nft add element inet tsrun ${map} '{ ${key} : ${ipv6 ? address6 : address} . ${containerPort} }'`;
}

/** Who has been sending before the port was published would never be redirected. */
function forgetStrayUdp({ route, netfilter }: Sockets, { address, address6, ports }: Target): void {
  for (const family of [AF_INET, AF_INET6] as const) {
    const target = family === AF_INET ? address : address6;
    const anywhere = family === AF_INET ? '0.0.0.0' : '::';
    const udp = ports.filter(
      ({ protocol, hostIp }) => protocol === 'udp' && hostIp.includes(':') === (family === AF_INET6),
    );
    if (udp.length === 0 || target === undefined) continue;
    const own = new Set(route.dump(dumpAddresses(family)).map((message) => parseAddress(message)?.address));
    forgetUdpConnections(
      netfilter,
      ({ destination, destinationPort, answersFrom }) =>
        udp.some(
          ({ hostIp, hostPort }) =>
            hostPort === destinationPort &&
            answersFrom !== target &&
            (hostIp === destination ||
              (hostIp === anywhere && (own.has(destination) || destination.startsWith('127.')))),
        ),
      family,
    );
  }
}

/** Withdraws what an attachment has published, as far as it still leads there. */
export function withdrawPorts(netfilter: NetlinkSocket, from: Target, containerId: string): void {
  const { address, address6, ports } = from;
  if (ports.length === 0) return;
  step(
    {
      phase: 'teardown',
      title: `withdraw the published ports of ${address}`,
      why: 'only where they still lead to this container: a port may have got another owner',
    },
    () =>
      unpublish(
        netfilter,
        portElements(ports, from, containerId),
        (found, own) =>
          found.comment === own.comment && own.data !== undefined && found.data?.equals(own.data) === true,
      ),
  );
  if (!ports.some(({ protocol }) => protocol === 'udp')) return;
  forgetUdpConnections(netfilter, ({ answersFrom }) => answersFrom === address);
  if (address6 === undefined) return;
  forgetUdpConnections(netfilter, ({ answersFrom }) => answersFrom === address6, AF_INET6);
}

/** Lets ports lead to another address of the same container, or to none. */
export function movePorts(from: Target | undefined, to: Target | undefined, containerId: string): void {
  withSockets((sockets) => {
    if (from !== undefined) withdrawPorts(sockets.netfilter, from, containerId);
    if (to !== undefined) publishPorts(sockets, to, containerId);
  });
}
