/** The network of one container: which mode, its namespace, its ports, its files in /etc. */
import { TsrunError } from '../error.ts';
import { O_RDONLY } from '../linux/constants.ts';
import { AT_FDCWD, close, openat } from '../linux/fs.ts';
import {
  attachBridge,
  type BridgeAttachment,
  createNetns,
  detachBridge,
  type PublishedPort,
  writeNetworkFiles,
} from '../network/index.ts';
import type { Container, ContainerRecord } from './record.ts';
import type { PublishOption } from './run-options.ts';
import type { ContainerStore } from './store.ts';

export interface ContainerNetwork {
  /** `bridge`, `none`, `host`, `container:<id>`. */
  mode: string;
  /** Descriptor of the namespace to enter; -1: the program makes one, or none is made. */
  netns: number;
  attachment: BridgeAttachment | undefined;
  /** Bound sockets that hold the published ports. */
  portFds: number[];
  undo(): void;
}

/**
 * Sets the network up before the container starts. Throws `USAGE` for modes that do not exist, `CONFLICT` for ports that
 * are taken, `NOT_FOUND` for a container that is to share its network and does not run.
 */
export function connectNetwork(
  store: ContainerStore,
  { record, directory }: Container,
  onNotice: (line: string) => void,
): ContainerNetwork {
  const { options } = record;
  const mode = options.network === 'default' ? 'bridge' : options.network;
  const files = {
    directory,
    hostname: record.hostname,
    extraHosts: options.extraHosts,
    dns: options.dns,
    dnsSearch: options.dnsSearch,
    dnsOptions: options.dnsOptions,
  };
  if (mode === 'none' || mode === 'host') {
    if (portRequests(record).length > 0) {
      onNotice(`WARNING: Published ports are discarded when using ${mode} network mode`);
    }
    writeNetworkFiles({ ...files, network: mode });
    return { mode, netns: -1, attachment: undefined, portFds: [], undo: () => {} };
  }
  if (mode.startsWith('container:')) return shareNetwork(store, mode.slice('container:'.length), files);
  if (mode !== 'bridge') {
    throw new TsrunError('USAGE', `network ${mode} not found`, {
      hint: 'there are bridge, host, none and container:NAME',
    });
  }
  return connectBridge(store, record, files, onNotice);
}

type Files = Omit<Parameters<typeof writeNetworkFiles>[0], 'network' | 'address'>;

function connectBridge(
  store: ContainerStore,
  record: ContainerRecord,
  files: Files,
  onNotice: (line: string) => void,
): ContainerNetwork {
  const { options } = record;
  const others = (): { id: string; name: string; attachment: BridgeAttachment }[] =>
    store.list().flatMap(({ record: other, state }) => {
      const attachment =
        state.status === 'running' || state.status === 'paused' || state.status === 'restarting'
          ? state.start?.network.attachment
          : undefined;
      return attachment === undefined ? [] : [{ id: other.id, name: other.name, attachment }];
    });
  const netns = createNetns();
  try {
    const { attachment, portFds } = attachBridge({
      containerId: record.id,
      netns,
      ports: portRequests(record),
      inUse: () => others().map(({ id, attachment: { address, ports } }) => ({ address, ports, containerId: id })),
      ...(options.macAddress === undefined ? {} : { mac: options.macAddress }),
      firewall: options.firewall,
      onWarning: onNotice,
      portOwner: (port) =>
        others().find(({ attachment: other }) => other.ports.some((held) => samePort(held, port)))?.name,
    });
    try {
      const { address, gateway } = attachment;
      writeNetworkFiles({ ...files, network: 'bridge', address, gateway });
    } catch (error) {
      portFds.forEach(close);
      detachBridge({ attachment, containerId: record.id });
      throw error;
    }
    const network: ContainerNetwork = {
      mode: 'bridge',
      netns,
      attachment,
      portFds,
      undo: () => {
        close(network.netns);
        network.portFds.forEach(close);
        detachBridge({ attachment, containerId: record.id });
      },
    };
    return network;
  } catch (error) {
    close(netns);
    throw error;
  }
}

function shareNetwork(store: ContainerStore, name: string, files: Files): ContainerNetwork {
  const other = store.resolve(name);
  if (other.state.pid === 0) {
    throw new TsrunError('CONFLICT', `cannot join network of a non running container: ${other.record.id}`, {
      hint: `start it first: tsrun start ${other.record.name}`,
    });
  }
  const netns = openat(AT_FDCWD, `/proc/${other.state.pid}/ns/net`, O_RDONLY);
  const address = other.state.start?.network.attachment?.address;
  writeNetworkFiles({
    ...files,
    hostname: other.record.hostname,
    network: address === undefined ? 'none' : 'bridge',
    ...(address === undefined ? {} : { address }),
  });
  const network: ContainerNetwork = {
    mode: `container:${other.record.id}`,
    netns,
    attachment: undefined,
    portFds: [],
    undo: () => close(network.netns),
  };
  return network;
}

/** -p, and with -P every exposed port on a port that the kernel chooses. */
function portRequests(record: ContainerRecord): PublishOption[] {
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
  const any = (ip: string): boolean => ip === '' || ip === '0.0.0.0';
  return (
    a.protocol === b.protocol && a.hostPort === b.hostPort && (a.hostIp === b.hostIp || any(a.hostIp) || any(b.hostIp))
  );
}
