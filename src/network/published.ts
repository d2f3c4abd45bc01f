/** Published ports in the table: elements that lead to one of a container's addresses. Runs under the network lock. */
import { AF_INET, AF_INET6 } from '../linux/constants.ts';
import type { NetlinkSocket } from '../linux/netlink.ts';
import { forgetUdpConnections } from '../linux/netlink-conntrack.ts';
import { dumpAddresses, parseAddress } from '../linux/netlink-route.ts';
import { step } from '../trace.ts';
import type { BridgeAttachment } from './attach.ts';
import { ensureRouteLocalnet, findLink } from './bridge.ts';
import { portElements } from './elements.ts';
import { type Sockets, withSockets } from './sockets.ts';
import { publishing, withdrawing } from './steps.ts';
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
  step(publishing(ports, address, address6), () => publish(sockets.netfilter, portElements(ports, to, containerId)));
  forgetStrayUdp(sockets, to);
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

/**
 * Withdraws what an attachment has published, as far as it is still the container's. Not only what leads to this address: who
 * was to move its ports may have been killed before that was written down.
 */
export function withdrawPorts(netfilter: NetlinkSocket, from: Target, containerId: string): void {
  const { address, address6 = '::', ports } = from;
  if (ports.length === 0) return;
  step(withdrawing(address), () =>
    unpublish(
      netfilter,
      portElements(ports, { address, address6 }, containerId),
      (found, own) => found.comment === own.comment,
    ),
  );
  if (!ports.some(({ protocol }) => protocol === 'udp')) return;
  forgetUdpConnections(netfilter, ({ answersFrom }) => answersFrom === address);
  if (from.address6 === undefined) return;
  forgetUdpConnections(netfilter, ({ answersFrom }) => answersFrom === address6, AF_INET6);
}

/** Lets ports lead to another address of the same container, or to none. */
export function movePorts(from: Target | undefined, to: Target | undefined, containerId: string): void {
  withSockets((sockets) => {
    if (from !== undefined) withdrawPorts(sockets.netfilter, from, containerId);
    if (to !== undefined) publishPorts(sockets, to, containerId);
  });
}
