/** The network of one container: which mode, its namespace, its ports, its files in /etc. */
import { TsrunError } from '../error.ts';
import { close } from '../linux/fs.ts';
import {
  type AddressInUse,
  type AttachOptions,
  attachUnderLock,
  type BridgeAttachment,
  bridgeNetworkOf,
  createNetns,
  detachBridge,
  detachUnderLock,
  networkFor,
  type PublishedPort,
  predefinedIds,
  prepareNetns,
  withNetworkLock,
  writeNetworkFiles,
} from '../network/index.ts';
import {
  attachmentsOf,
  dropLive,
  endedLive,
  endLive,
  endpointsOf,
  hasLive,
  networkMode,
  noteSharedNetwork,
  prioritized,
  wayOut,
  writeLive,
} from './endpoints.ts';
import { openNamespace } from './join.ts';
import { haveLinks, linkVariables } from './links.ts';
import { recordNetworkEvent } from './network-events.ts';
import {
  copyNames,
  hasNames,
  type LiveContainer,
  liveContainers,
  refreshNames,
  refreshNamesUnderLock,
} from './network-names.ts';
import type { Container, ContainerRecord, StartRecord } from './record.ts';
import type { EndpointOption, PublishOption } from './run-options.ts';
import type { ContainerStore } from './store.ts';

export interface ContainerNetwork {
  /** The network mode: a network's name, `none`, `host`, `container:<id>`. */
  mode: string;
  /** Descriptor of the namespace to enter; -1: the program makes one, or none is made. */
  netns: number;
  /** The way out. */
  attachment: BridgeAttachment | undefined;
  /** Bound sockets that hold the published ports. */
  portFds: number[];
  /** Variables of linked containers (--link). */
  variables?: string[];
  /** Of the container whose network is shared: the names in /etc are its own. */
  hostname?: string;
  undo(): void;
}

/**
 * Sets the network up before the container starts. `own` is a network namespace that was made for the container, -1 where it
 * is to be made; its descriptor is this function's from then on. Throws `USAGE` for modes that do not exist, `CONFLICT` for ports that
 * are taken, `NOT_FOUND` for a network, or a container that is to share its network, that is not there.
 */
export function connectNetwork(
  store: ContainerStore,
  { record, directory }: Container,
  onNotice: (line: string) => void,
  own = -1,
): ContainerNetwork {
  const { options } = record;
  const mode = networkMode(options);
  const files = {
    directory,
    hostname: record.hostname,
    domainname: options.domainname,
    extraHosts: options.extraHosts,
    dns: options.dns,
    dnsSearch: options.dnsSearch,
    dnsOptions: options.dnsOptions,
  };
  if ((mode === 'none' && record.endpoints === undefined) || mode === 'host') {
    if (portRequests(record).length > 0) {
      onNotice(`WARNING: Published ports are discarded when using ${mode} network mode`);
    }
    writeNetworkFiles({ ...files, network: mode });
    recordBuiltin(store, mode, 'connect', record.id);
    if (own >= 0) prepareNetns(own);
    return { mode, netns: own, attachment: undefined, portFds: [], undo: () => close(own) };
  }
  if (mode.startsWith('container:')) return shareNetwork(store, mode.slice('container:'.length), files);
  return connectBridges(store, record, files, onNotice, own);
}

type Files = Omit<Parameters<typeof writeNetworkFiles>[0], 'network' | 'address'>;

/** Plugs the container into all of its networks, at once as far as others can see. */
function connectBridges(
  store: ContainerStore,
  { id, options }: ContainerRecord,
  files: Files,
  onNotice: (line: string) => void,
  own: number,
): ContainerNetwork {
  const { directory } = files;
  const netns = own < 0 ? createNetns() : own;
  const portFds: number[] = [];
  try {
    if (own >= 0) prepareNetns(own);
    let variables: string[] = [];
    const attachments = withNetworkLock(() => {
      // `network connect` may have changed it a moment ago: from here on it finds a container that is being started.
      const now = store.read(id);
      if (now === undefined) throw new TsrunError('NOT_FOUND', `No such container: ${id}`);
      const { record } = now;
      let found: LiveContainer[] | undefined;
      const others = (): LiveContainer[] => {
        found ??= liveContainers(store).filter((other) => other.record.id !== id);
        return found;
      };
      const made: BridgeAttachment[] = [];
      try {
        for (const { gatewayPriority, ...plan } of plansOf(record)) {
          const { attachment, portFds: fds } = attachUnderLock({
            ...plan,
            containerId: id,
            netns,
            inUse: () => addressesOf(others()),
            firewall: options.firewall,
            onWarning: onNotice,
            portOwner: (port) => portOwnerAmong(others(), port),
          });
          made.push({ ...attachment, ...prioritized(gatewayPriority) });
          portFds.push(...fds);
        }
        const address = wayOut(made) ?? made[0];
        writeNetworkFiles({
          ...files,
          network: 'bridge',
          address: address?.address,
          gateway: address?.gateway,
          otherAddresses: ownAddresses(made).filter((own) => own !== address?.address),
        });
        writeLive(directory, { attachments: made, ports: made.flatMap(({ ports }) => ports) });
        variables = linkVariables(store, record, made, others);
        if (made.some(hasNames) || record.options.links !== undefined || haveLinks(others()))
          refreshNamesUnderLock(store, [...others(), { ...now, attachments: made }]);
      } catch (error) {
        portFds.splice(0).forEach(close);
        for (const attachment of made) detachUnderLock(attachment, id);
        dropLive(directory);
        throw error;
      }
      return made;
    });
    recordNetworks(store, attachments, 'connect', id);
    const network: ContainerNetwork = {
      mode: networkMode(options),
      variables,
      netns,
      attachment: wayOut(attachments) ?? attachments[0],
      portFds,
      undo: () => {
        close(network.netns);
        network.portFds.forEach(close);
        disconnectAll(store, id, directory, undefined, 'delete');
      },
    };
    return network;
  } catch (error) {
    close(netns);
    throw error;
  }
}

/** All addresses of a container, those of IPv4 first. */
function ownAddresses(attachments: readonly BridgeAttachment[]): string[] {
  return [...attachments.map(({ address }) => address), ...attachments.flatMap(({ address6 }) => address6 ?? [])];
}

/** How each of a container's networks is to be attached: published ports go by the way out, or wait at the first. */
export function plansOf(
  record: ContainerRecord,
): (Pick<AttachOptions, 'network' | 'interface' | 'isGateway' | 'ports' | 'address' | 'address6' | 'mac'> &
  Pick<EndpointOption, 'gatewayPriority'>)[] {
  const endpoints = endpointsOf(record).map((endpoint, index) => {
    const found = networkFor(endpoint);
    if (found.driver !== 'bridge')
      throw new TsrunError('USAGE', `network ${found.name} cannot be joined together with others`);
    const network = found.name === 'bridge' ? undefined : bridgeNetworkOf(found);
    return { endpoint, index, network };
  });
  const first = wayOut(
    endpoints.map(({ endpoint, index, network }) => ({
      index,
      ...prioritized(endpoint.gatewayPriority),
      network: network?.name ?? 'bridge',
      ...(network?.internal ? { internal: true } : {}),
      ...(network?.ipv6 === undefined ? {} : { address6: '' }),
    })),
  );
  const portIndex = first?.index ?? 0;
  return endpoints.map(({ endpoint, index, network }) => ({
    network,
    interface: `eth${index}`,
    isGateway: index === first?.index,
    ports: index === portIndex ? portRequests(record) : [],
    address: endpoint.ip,
    address6: endpoint.ip6,
    mac: endpoint.mac ?? (index === 0 ? record.options.macAddress : undefined),
    ...prioritized(endpoint.gatewayPriority),
  }));
}

/** What running containers have, for the search for a free address, and for a table that was lost. */
export function addressesOf(containers: readonly LiveContainer[]): AddressInUse[] {
  return containers.flatMap(({ record, attachments }) =>
    attachments.map(({ bridge, address, address6, ports }) => {
      return { bridge, address, address6, ports, containerId: record.id };
    }),
  );
}

function portOwnerAmong(containers: readonly LiveContainer[], port: PublishedPort): string | undefined {
  const holds = ({ ports }: BridgeAttachment): boolean => ports.some((held) => samePort(held, port));
  return containers.find(({ attachments }) => attachments.some(holds))?.record.name;
}

/**
 * Takes a container that has ended, or was not started after all, off its networks; `start` tells what there was before
 * networks.json was, `first` that nobody has cleaned up after it yet.
 */
export function disconnectAll(
  store: ContainerStore,
  id: string,
  directory: string,
  start: StartRecord | undefined,
  cable: 'delete' | 'leave',
  first = false,
): void {
  const recorded = start?.network.attachment;
  const mayHave = recorded !== undefined || hasLive(directory);
  if (!mayHave) {
    if (start !== undefined && first) recordBuiltin(store, start.network.mode, 'disconnect', id);
    return;
  }
  // Whoever connects it to another network at this moment finds it gone, or is found here.
  const { live, attachments } = withNetworkLock(() => {
    const live = endLive(directory)?.attachments;
    return { live, attachments: live ?? (recorded === undefined ? [] : [recorded]) };
  });
  for (const attachment of attachments) detachBridge({ attachment, containerId: id, cable });
  endedLive(directory);
  if (live !== undefined) recordNetworks(store, live, 'disconnect', id);
  if (attachments.some(hasNames)) refreshNames(store);
}

function recordNetworks(
  store: ContainerStore,
  attachments: readonly BridgeAttachment[],
  action: 'connect' | 'disconnect',
  container: string,
): void {
  for (const { network: name, networkId = predefinedIds.bridge } of attachments) {
    recordNetworkEvent(store.root, { id: networkId, name, driver: 'bridge' }, action, { container });
  }
}

/** Of host and none; no other mode is a network of its own without a bridge. */
function recordBuiltin(store: ContainerStore, mode: string, action: 'connect' | 'disconnect', container: string): void {
  if (mode !== 'host' && mode !== 'none') return;
  const driver = mode === 'host' ? 'host' : 'null';
  recordNetworkEvent(store.root, { id: predefinedIds[mode], name: mode, driver }, action, { container });
}

function shareNetwork(store: ContainerStore, name: string, files: Files): ContainerNetwork {
  const other = store.resolve(name);
  const netns = openNamespace(other, 'net', 'network');
  try {
    const [address, ...otherAddresses] = ownAddresses(attachmentsOf(other.state));
    writeNetworkFiles({
      ...files,
      hostname: other.record.hostname,
      domainname: other.record.options.domainname,
      network: address === undefined ? 'none' : 'bridge',
      ...(address === undefined ? {} : { address, otherAddresses }),
    });
    if (attachmentsOf(other.state).some(hasNames)) copyNames(other.directory, files.directory);
    noteSharedNetwork(other.directory);
  } catch (error) {
    close(netns);
    throw error;
  }
  const network: ContainerNetwork = {
    mode: `container:${other.record.id}`,
    hostname: other.record.hostname,
    netns,
    attachment: undefined,
    portFds: [],
    undo: () => close(network.netns),
  };
  return network;
}

/** -p, and with -P every exposed port on a port that the kernel chooses. */
export function portRequests(record: ContainerRecord): PublishOption[] {
  const { options } = record;
  if (!options.publishAll) return options.publish;
  const published = new Set(options.publish.map((port) => `${port.containerPort}/${port.protocol}`));
  const exposed = record.exposedPorts
    .filter((port) => !published.has(port))
    .map((port) => {
      const [number = '', protocol = 'tcp'] = port.split('/');
      return {
        hostIp: '',
        hostPort: 0,
        containerPort: Number(number),
        protocol: protocol === 'udp' ? 'udp' : 'tcp',
      } as const;
    });
  return [...options.publish, ...exposed];
}

function samePort(a: PublishedPort, b: PublishedPort): boolean {
  if (a.hostIp.includes(':') !== b.hostIp.includes(':')) return false;
  const any = (ip: string): boolean => ip === '' || ip === '0.0.0.0' || ip === '::';
  return (
    a.protocol === b.protocol && a.hostPort === b.hostPort && (a.hostIp === b.hostIp || any(a.hostIp) || any(b.hostIp))
  );
}
