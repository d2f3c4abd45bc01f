/** `network connect` and `disconnect`: changes what a container is to be on, and, while it runs, what it is on. */
import { TsrunError } from '../error.ts';
import { close } from '../linux/fs.ts';
import {
  attachUnderLock,
  type BridgeAttachment,
  bridgeNetworkOf,
  changeWayOut,
  detachUnderLock,
  findNetwork,
  movePorts,
  type NetworkRecord,
  networkFor,
  withNetworkLock,
} from '../network/index.ts';
import {
  attachmentsOf,
  endpointsOf,
  type LiveNetworks,
  networkMode,
  prioritized,
  readLive,
  wayOut,
  writeLive,
} from './endpoints.ts';
import { openNamespace } from './join.ts';
import { addressesOf } from './network.ts';
import { recordNetworkEvent } from './network-events.ts';
import {
  editHosts,
  hasNames,
  liveContainers,
  refreshNamesUnderLock,
  withOwnNames,
  withoutOwnNames,
} from './network-names.ts';
import type { Container } from './record.ts';
import type { EndpointOption } from './run-options.ts';
import type { ContainerStore } from './store.ts';

const privateMode =
  'container cannot be connected to multiple networks with one of the networks in private (none) mode';
const hostMode = 'container cannot be disconnected from host network or connected to host network';

/** Milliseconds that a container gets to be started or cleaned up. */
const patience = 10_000;

/**
 * Connects a container, running or not, to a network. Throws `NOT_FOUND`, `CONFLICT` and `USAGE` with docker's words.
 */
export async function connect(
  store: ContainerStore,
  name: string,
  endpoint: EndpointOption,
  onNotice: (line: string) => void,
): Promise<void> {
  const network = await whileStable(store, name, (container) => {
    const { record } = container;
    const mode = networkMode(record.options);
    if (mode === 'host' || mode.startsWith('container:')) {
      throw new TsrunError(
        'CONFLICT',
        'container sharing network namespace with another container or host cannot be connected to any other network',
      );
    }
    const found = networkFor(endpoint);
    if (found.driver === 'host') throw new TsrunError('CONFLICT', hostMode);
    if (found.driver === 'null' || (mode === 'none' && record.endpoints === undefined)) {
      throw new TsrunError('CONFLICT', privateMode, {
        hint:
          found.driver === 'null' ? undefined : `take it from none first: tsrun network disconnect none ${record.name}`,
      });
    }
    const live = liveOf(container);
    if (live !== undefined) {
      if (live.attachments.some(({ networkId }) => networkId === found.id)) {
        throw new TsrunError('CONFLICT', `endpoint with name ${record.name} already exists in network ${found.name}`);
      }
      plug(store, container, found, endpoint, live, onNotice);
    }
    const others = endpointsOf(record).filter((each) => !isOn(each, found));
    store.update(record.id, (now) => ({ ...now, endpoints: [...others, { ...endpoint, network: found.name }] }));
    if (live !== undefined && found.name !== 'bridge') refreshNamesUnderLock(store);
    return { found, id: record.id };
  });
  recordNetworkEvent(store.root, network.found, 'connect', { container: network.id });
}

/**
 * Takes a container from a network. With `force` also one whose record is damaged or gone, as far as there is something
 * to take. Throws as `connect`.
 */
export async function disconnect(
  store: ContainerStore,
  networkName: string,
  name: string,
  force: boolean,
): Promise<void> {
  const network = findNetwork(networkName);
  if (network === undefined) {
    // Docker looks for the container first.
    if (!force) store.resolve(name);
    throw new TsrunError('NOT_FOUND', `network ${networkName} not found`);
  }
  let id: string;
  try {
    id = await whileStable(store, name, (container) => {
      const { record } = container;
      const mode = networkMode(record.options);
      const live = liveOf(container);
      const attached = live?.attachments.find(({ networkId }) => networkId === network.id);
      const endpoints = endpointsOf(record);
      const isNone = mode === 'none' && record.endpoints === undefined;
      const configured = endpoints.some((each) => isOn(each, network)) || (isNone && network.driver === 'null');
      if (mode === 'host' && network.driver === 'host') throw new TsrunError('CONFLICT', hostMode);
      if (attached === undefined && !configured) {
        throw new TsrunError('CONFLICT', `container ${record.id} is not connected to network ${network.name}`);
      }
      if (live !== undefined && attached !== undefined) unplugFrom(container, attached, live);
      const rest = endpoints.filter((each) => !isOn(each, network));
      store.update(record.id, (now) => ({ ...now, endpoints: rest }));
      if (attached !== undefined && hasNames(attached)) refreshNamesUnderLock(store);
      return record.id;
    });
  } catch (error) {
    if (!force || !(error instanceof TsrunError) || error.code !== 'NOT_FOUND') throw error;
    throw new TsrunError('NOT_FOUND', `endpoint ${name} not found`);
  }
  recordNetworkEvent(store.root, network, 'disconnect', { container: id });
}

/** Whether an endpoint, as the user wrote it, is on a network. */
function isOn({ network }: EndpointOption, found: NetworkRecord): boolean {
  return network === found.name || network === found.id || (network.length >= 12 && found.id.startsWith(network));
}

/** What a container that runs is on; undefined: it does not run. */
function liveOf({ state, directory }: Container): LiveNetworks | undefined {
  if (state.pid === 0) return undefined;
  const attachments = attachmentsOf(state);
  return readLive(directory) ?? { attachments, ports: attachments.flatMap(({ ports }) => ports) };
}

/**
 * Does `work` under the network lock, on a container that either runs or does not: one that is being started has its
 * networks (under this lock) before it has a process, and is waited for.
 */
async function whileStable<T>(store: ContainerStore, name: string, work: (container: Container) => T): Promise<T> {
  const { id } = store.resolve(name).record;
  for (const deadline = Date.now() + patience; ; ) {
    const result = withNetworkLock((): { done: T } | undefined => {
      const container = store.read(id);
      if (container === undefined) throw new TsrunError('NOT_FOUND', `No such container: ${name}`);
      const between = container.state.pid === 0 && readLive(container.directory) !== undefined && store.isLocked(id);
      return between ? undefined : { done: work(container) };
    });
    if (result !== undefined) return result.done;
    if (Date.now() > deadline) {
      throw new TsrunError('CONFLICT', `container "${name}" is being started or cleaned up`, { hint: 'try again' });
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** Plugs a running container in; published ports and the default route follow its way out. */
function plug(
  store: ContainerStore,
  container: Container,
  found: NetworkRecord,
  { ip, ip6, mac, gatewayPriority }: EndpointOption,
  live: LiveNetworks,
  onNotice: (line: string) => void,
): void {
  const { record, directory } = container;
  const network = found.name === 'bridge' ? undefined : bridgeNetworkOf(found);
  const before = wayOut(live.attachments);
  const candidate = {
    network: found.name,
    ...prioritized(gatewayPriority),
    ...(network?.internal ? { internal: true } : {}),
    ...(network?.ipv6 === undefined ? {} : { address6: '' }),
  };
  const isGateway = wayOut([...live.attachments, candidate]) === candidate;
  withNetworkOf(container, (netns) => {
    const made = attachUnderLock({
      containerId: record.id,
      netns,
      network,
      interface: freeInterface(live.attachments),
      isGateway,
      ports: [],
      address: ip,
      address6: ip6,
      mac,
      inUse: () => addressesOf(liveContainers(store)),
      firewall: record.options.firewall,
      onWarning: onNotice,
      portOwner: () => undefined,
    });
    const attachment = { ...made.attachment, ...prioritized(gatewayPriority) };
    const moved = withPortsAt(isGateway ? attachment : before, [...live.attachments, attachment], live.ports);
    writeLive(directory, { ...live, attachments: moved });
    if (isGateway && live.ports.length > 0) {
      movePorts(
        before,
        moved.find(({ ports }) => ports.length > 0),
        record.id,
      );
    }
    editHosts(directory, (content) =>
      withOwnNames(content, record.hostname, [attachment.address, attachment.address6 ?? []].flat()),
    );
  });
}

function unplugFrom(container: Container, attached: BridgeAttachment, live: LiveNetworks): void {
  const { record, directory } = container;
  const rest = live.attachments.filter((each) => each !== attached);
  const before = wayOut(live.attachments);
  const after = wayOut(rest);
  // The default route would go with its interface, and the next one is set at once.
  detachUnderLock(attached, record.id);
  const moved = withPortsAt(after, rest, live.ports);
  if (before === attached) {
    withNetworkOf(container, (netns) =>
      changeWayOut(
        netns,
        after === undefined
          ? undefined
          : { interface: after.interface ?? 'eth0', gateway: after.gateway, gateway6: after.gateway6 },
      ),
    );
    if (live.ports.length > 0)
      movePorts(
        undefined,
        moved.find(({ ports }) => ports.length > 0),
        record.id,
      );
  }
  writeLive(directory, { ...live, attachments: moved });
  editHosts(directory, (content) => withoutOwnNames(content, [attached.address, attached.address6 ?? []].flat()));
}

/** The attachments with the published ports at one of them. */
function withPortsAt(
  gateway: BridgeAttachment | undefined,
  attachments: readonly BridgeAttachment[],
  ports: LiveNetworks['ports'],
): BridgeAttachment[] {
  return attachments.map((each) => ({ ...each, ports: each === gateway ? ports : [] }));
}

function withNetworkOf<T>(container: Container, work: (netns: number) => T): T {
  const netns = openNamespace(container, 'net', 'network');
  try {
    return work(netns);
  } finally {
    close(netns);
  }
}

function freeInterface(attachments: readonly BridgeAttachment[]): string {
  const taken = new Set(attachments.map(({ interface: name = 'eth0' }) => name));
  for (let i = 0; ; i++) if (!taken.has(`eth${i}`)) return `eth${i}`;
}
