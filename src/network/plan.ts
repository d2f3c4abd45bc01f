/**
 * What `attachUnderLock` and `detachBridge` would do on this machine as it is now, step by step, without doing it. Reads by
 * netlink and /proc, which needs no root; what only root sees (the table) is taken as it usually is.
 */
import { codeOf } from '../error.ts';
import { NETLINK_NETFILTER, NETLINK_ROUTE, NetlinkError, NetlinkSocket } from '../linux/netlink.ts';
import { IFF_UP, type Link } from '../linux/netlink-link.ts';
import type { Step } from '../trace.ts';
import type { AttachOptions, BridgeAttachment } from './attach.ts';
import { decideNetwork, findLink, isStanding, networkOnBridge, readSysctl, routesOf, uplinkMtu } from './bridge.ts';
import {
  address6For,
  type BridgeNetwork,
  bridgeName,
  chooseSubnet,
  lastAddress,
  macOf,
  networkOf,
  nextAddress,
} from './ipam.ts';
import { distinct, type PublishedPort } from './ports.ts';
import { hostNameservers } from './resolver.ts';
import { rulesetVersion } from './ruleset.ts';
import * as steps from './steps.ts';
import { tableVersion } from './table.ts';
import { hostInterfaceOf } from './veth.ts';

export type AttachPlanOptions = Pick<
  AttachOptions,
  'containerId' | 'network' | 'interface' | 'isGateway' | 'ports' | 'address' | 'address6' | 'mac' | 'inUse'
>;

/** What a plan has come to know of the machine; handed on from one network to the next, as the real calls change it. */
export class NetworkLook {
  readonly route = NetlinkSocket.open(NETLINK_ROUTE);
  private table: 'there' | 'old' | 'missing' | 'unknown' | undefined;
  forwarding = readSysctl('ipv4/ip_forward') === '1';
  forwarding6 = readSysctl('ipv6/conf/all/forwarding') === '1';

  /** How the table stands; without root it is said to be there where a bridge is. */
  tableState(bridge: Link | undefined): 'there' | 'old' | 'missing' {
    this.table ??= lookAtTable();
    if (this.table !== 'unknown') return this.table;
    return bridge === undefined ? 'missing' : 'there';
  }

  tableMade(): void {
    this.table = 'there';
  }

  close(): void {
    this.route.close();
  }
}

function lookAtTable(): 'there' | 'old' | 'missing' | 'unknown' {
  try {
    const socket = NetlinkSocket.open(NETLINK_NETFILTER);
    try {
      const version = tableVersion(socket);
      if (version === undefined) return 'missing';
      return version >= rulesetVersion ? 'there' : 'old';
    } finally {
      socket.close();
    }
  } catch (error) {
    if (error instanceof NetlinkError) return 'unknown';
    throw error;
  }
}

export interface AttachPlan {
  steps: Step[];
  network: BridgeNetwork;
  attachment: BridgeAttachment;
}

/** One network. Ports that the kernel is to choose stand as 0. */
export function planAttach(look: NetworkLook, options: AttachPlanOptions): AttachPlan {
  const { route } = look;
  const { containerId, isGateway = true, interface: name = 'eth0' } = options;
  const inUse = options.inUse().filter((other) => other.containerId !== containerId);
  const requests = distinct(options.ports);
  const ports = requests.flatMap((request): PublishedPort[] => {
    const { hostPort, containerPort, protocol } = request;
    const both = request.hostIp === '' && options.network?.ipv6 !== undefined && !options.network.internal;
    const one = { hostIp: request.hostIp || '0.0.0.0', hostPort, containerPort, protocol };
    return both ? [one, { ...one, hostIp: '::' }] : [one];
  });
  const planned = requests.map(steps.takePort);
  const found = findLink(route, options.network?.bridge ?? bridgeName);
  const { network, standing } =
    options.network === undefined
      ? decide(
          route,
          found,
          inUse.some(({ bridge = bridgeName }) => bridge === bridgeName),
        )
      : { network: options.network, standing: isStanding(route, options.network, found) };
  planned.push(...ensureSteps(look, network, found, standing));
  const taken = new Set(inUse.map(({ address }) => address));
  const address = options.address ?? nextAddress(network, lastAddress(network), taken);
  const taken6 = new Set(inUse.flatMap(({ address6 }) => address6 ?? []));
  const address6 = options.address6 ?? address6For(network, address, taken6);
  const mac = options.mac ?? macOf(address);
  const cable = hostInterfaceOf(containerId, network.id);
  const mtu = found?.mtu ?? network.mtu ?? uplinkMtu(route);
  const { gateway, prefix, ipv6, internal } = network;
  planned.push(
    steps.plugCable(network, { name: cable, peer: name, mac, mtu }),
    address6 === undefined ? steps.noIpv6(name) : steps.guardedIpv6(name),
    steps.insideAddress(network, { name, address, address6 }, isGateway && !internal),
  );
  if (ports.length > 0 && !internal) {
    const local = ports.some(({ hostIp }) => hostIp === '0.0.0.0' || hostIp.startsWith('127.'));
    if (local && found?.routeLocalnet !== true) planned.push(steps.routeLocalnet(network.bridge));
    planned.push(steps.publishing(ports, address, address6));
  }
  const attachment: BridgeAttachment = {
    ...{ network: network.name, networkId: network.id, bridge: network.bridge, interface: name },
    ...{ address, prefix, gateway, mac, hostInterface: cable, ports },
    ...(address6 === undefined || ipv6 === undefined ? {} : { address6, prefix6: ipv6.prefix, gateway6: ipv6.gateway }),
    ...(internal ? { internal: true } : {}),
  };
  return { steps: planned, network, attachment };
}

/** Who may not read the data root is shown what a fresh one would have. */
function decide(
  route: NetlinkSocket,
  found: Link | undefined,
  inUse: boolean,
): { network: BridgeNetwork; standing: boolean } {
  try {
    return decideNetwork(route, found, inUse);
  } catch (error) {
    if (codeOf(error) !== 'EACCES') throw error;
    const standing = found === undefined ? undefined : networkOnBridge(route, found);
    const fresh = (): BridgeNetwork =>
      networkOf('bridge', bridgeName, chooseSubnet(routesOf(route), hostNameservers()));
    return { network: standing ?? fresh(), standing: standing !== undefined };
  }
}

/** What is made once and stays: the table, the bridge, forwarding. */
function ensureSteps(look: NetworkLook, network: BridgeNetwork, found: Link | undefined, standing: boolean): Step[] {
  const planned: Step[] = [];
  const table = look.tableState(found);
  if (table !== 'there') planned.push(steps.makeTable(table === 'old'));
  else if (found === undefined) planned.push(steps.tableKnows(network));
  look.tableMade();
  const { bridge, gateway, ipv6 } = network;
  if (found === undefined) {
    planned.push(steps.makeBridge(network, macOf(gateway), network.mtu ?? uplinkMtu(look.route)));
    planned.push(ipv6 === undefined ? steps.noIpv6(bridge) : steps.guardedIpv6(bridge));
  }
  if (found === undefined || (found.flags & IFF_UP) === 0 || !standing) {
    planned.push(steps.bridgeAddress(network));
    if (ipv6 !== undefined) planned.push(steps.bridgeAddress6(bridge, ipv6));
  }
  if (network.internal) return planned;
  if (!look.forwarding) planned.push(steps.forwarding());
  look.forwarding = true;
  if (ipv6 !== undefined && !look.forwarding6) planned.push(steps.forwarding6());
  if (ipv6 !== undefined) look.forwarding6 = true;
  return planned;
}

/** The way back. `cable` as in `detachBridge`. */
export function planDetach(
  { address, hostInterface, ports }: BridgeAttachment,
  { cable }: { cable: 'delete' | 'leave' },
): Step[] {
  return [
    ...(ports.length > 0 ? [steps.withdrawing(address)] : []),
    ...(cable === 'delete' ? [steps.deleteCable(hostInterface)] : []),
  ];
}
