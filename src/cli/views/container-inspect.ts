/** `inspect` of a container: docker's document (API 1.41, ContainerJSON), built from the engine's records. */
import { join } from 'node:path';
import type { CgroupStats, Pressure, PressureLine } from '../../cgroup/stats.ts';
import { isUp } from '../../container/active.ts';
import { aliasesOf, attachmentsOf, endpointsOf } from '../../container/endpoints.ts';
import { mountOption } from '../../container/mount-plan.ts';
import { endpointId } from '../../container/networks.ts';
import type { Container, Healthcheck, HealthRecord } from '../../container/record.ts';
import { type BridgeAttachment, bridgeName, findNetwork } from '../../network/index.ts';
import { GoMap, listOrNil, nilList, nilMap, type Struct, stringMap, type Value, withOmitted } from '../format/value.ts';
import { networkNames, portBindings } from './container-row.ts';
import { hostConfig } from './host-config.ts';
import { shownAddress } from './ports.ts';

/** Go's time of year 1: what docker shows for a time that was not yet. */
const never = '0001-01-01T00:00:00Z';

/** Seconds. */
const defaultStopTimeout = 10;

export interface InspectInputs {
  /** Path of a layer by its chain id. */
  layerPath: (chainId: string) => string;
  /** Bytes, with --size. */
  sizes?: { written: number; image: number };
  /** What --link has made, as `/web:/db/web`. */
  links?: readonly string[];
  /** Of commands that run in it. */
  execIds?: readonly string[];
  /** Of the cgroup of one that runs. */
  pressure?: CgroupStats['pressure'];
}

/** The document of one container. */
export function containerDocument(container: Container, inputs: InspectInputs): Struct {
  const { record, state, directory } = container;
  const [path = '', ...args] = record.process.args;
  const started = state.start !== undefined;
  const file = (name: string): string => (started ? join(directory, name) : '');
  const document: Struct = {
    Id: record.id,
    Created: record.created,
    Path: path,
    Args: args,
    State: stateOf(container, inputs.pressure),
    Image: record.image.id,
    ResolvConfPath: file('resolv.conf'),
    HostnamePath: file('hostname'),
    HostsPath: file('hosts'),
    LogPath: started && record.options.log.driver === 'json-file' ? join(directory, 'container.log') : '',
    Name: `/${record.name}`,
    RestartCount: state.restartCount,
    Driver: 'overlay2',
    Platform: 'linux',
    MountLabel: '',
    ProcessLabel: '',
    AppArmorProfile: '',
    ExecIDs: listOrNil(inputs.execIds ?? []),
    HostConfig: hostConfig(record.options, inputs.links ?? []),
    GraphDriver: graphDriver(container, inputs.layerPath),
    ...(inputs.sizes === undefined
      ? {}
      : { SizeRw: inputs.sizes.written, SizeRootFs: inputs.sizes.written + inputs.sizes.image }),
    Mounts: mountsOf(container),
    Config: configOf(container),
    NetworkSettings: networkSettings(container),
  };
  return withOmitted(document, { SizeRw: null, SizeRootFs: null });
}

/** The files `*.pressure` of the cgroup, in their words; docker shows nothing of them. */
function pressureOf(pressure: CgroupStats['pressure']): Struct {
  const line = ({ avg10, avg60, avg300, total }: PressureLine): Struct => ({
    Avg10: avg10,
    Avg60: avg60,
    Avg300: avg300,
    Total: total,
  });
  const both = ({ some, full }: Pressure): Struct => ({
    Some: line(some),
    ...(full === undefined ? {} : { Full: line(full) }),
  });
  return {
    ...(pressure.cpu === undefined ? {} : { CPU: both(pressure.cpu) }),
    ...(pressure.memory === undefined ? {} : { Memory: both(pressure.memory) }),
    ...(pressure.io === undefined ? {} : { IO: both(pressure.io) }),
  };
}

function stateOf({ state }: Container, pressure: CgroupStats['pressure'] | undefined): Struct {
  const fields: Struct = {
    Status: state.status,
    Running: isUp(state),
    Paused: state.status === 'paused',
    Restarting: state.status === 'restarting',
    OOMKilled: state.oomKilled,
    Dead: state.status === 'dead',
    Pid: state.pid,
    ExitCode: state.exitCode,
    Error: state.error,
    StartedAt: state.startedAt ?? never,
    FinishedAt: state.finishedAt ?? never,
    ...(state.health === undefined ? {} : { Health: healthOf(state.health) }),
    ...(state.unsupervised ? { Unsupervised: true } : {}),
    ...(pressure === undefined || Object.keys(pressure).length === 0 ? {} : { Pressure: pressureOf(pressure) }),
  };
  return withOmitted(fields, { Health: null, Pressure: null });
}

function healthOf({ Status, FailingStreak, Log }: HealthRecord): Struct {
  return {
    Status,
    FailingStreak,
    Log: Log.map(({ Start, End, ExitCode, Output }) => ({ Start, End, ExitCode, Output })),
  };
}

/** In docker's nanoseconds; what is docker's default is left out. */
function healthcheckOf(check: Healthcheck): Struct {
  const times = {
    Interval: check.interval,
    Timeout: check.timeout,
    StartPeriod: check.startPeriod,
    StartInterval: check.startInterval,
  };
  const given = Object.entries(times).filter(([, milliseconds]) => milliseconds > 0);
  return {
    Test: check.test,
    ...Object.fromEntries(given.map(([name, milliseconds]) => [name, milliseconds * 1e6])),
    ...(check.retries > 0 ? { Retries: check.retries } : {}),
  };
}

/** The overlay exists in the container's mount namespace only: from the host it is seen through the process. */
function graphDriver({ record, state, directory }: Container, layerPath: InspectInputs['layerPath']): Struct {
  return {
    Data: stringMap({
      LowerDir: [...record.image.layers].reverse().map(layerPath).join(':'),
      MergedDir: state.pid === 0 ? '' : `/proc/${state.pid}/root`,
      UpperDir: join(directory, 'upper'),
      WorkDir: join(directory, 'work'),
    }),
    Name: 'overlay2',
  };
}

function mountsOf({ record }: Container): Value {
  return record.mounts.flatMap((mount, index): Value[] => {
    if (mountOption(record, index)?.origin?.flag === 'tmpfs') return [];
    return [
      {
        Type: mount.type,
        ...(mount.name === undefined ? {} : { Name: mount.name }),
        Source: mount.source,
        Destination: mount.destination,
        ...(mount.type === 'volume' ? { Driver: 'local' } : {}),
        Mode: mount.mode,
        RW: mount.readWrite,
        Propagation: mount.propagation,
      },
    ];
  });
}

function emptyObjects(names: Iterable<string>): GoMap {
  const entries = [...names].map((name): [string, Value] => [name, {}]);
  return entries.length === 0 ? nilMap : new GoMap(entries, {});
}

/** Paths of -v without a source: docker keeps them with the image's VOLUMEs. */
function anonymousPaths({ record }: Container): string[] {
  return record.options.mounts.flatMap(({ type, source, origin, target }) =>
    type === 'volume' && source === '' && origin?.flag === 'volume' ? [target] : [],
  );
}

function configOf(container: Container): Struct {
  const { record } = container;
  const { options, process } = record;
  const attached = (stream: 'stdin' | 'stdout' | 'stderr'): boolean => {
    if (options.detach) return false;
    if (options.attach.length > 0) return options.attach.includes(stream);
    return stream !== 'stdin' || options.interactive;
  };
  const published = options.publish.map((port) => `${port.containerPort}/${port.protocol}`);
  const exposed = new Set([...record.exposedPorts, ...published]);
  const fields: Struct = {
    Hostname: record.hostname,
    Domainname: options.domainname ?? '',
    User: process.user,
    AttachStdin: attached('stdin'),
    AttachStdout: attached('stdout'),
    AttachStderr: attached('stderr'),
    ...(exposed.size === 0 ? {} : { ExposedPorts: emptyObjects(exposed) }),
    Tty: process.terminal,
    OpenStdin: process.openStdin,
    StdinOnce: process.openStdin && attached('stdin'),
    Env: environmentOf(record),
    ...(record.healthcheck === undefined ? {} : { Healthcheck: healthcheckOf(record.healthcheck) }),
    Cmd: listOrNil(process.args.slice(process.entrypointLength)),
    Image: record.image.reference,
    Volumes: emptyObjects([...record.volumes, ...anonymousPaths(container)]),
    WorkingDir: process.cwd === '/' && options.workingDir === undefined ? '' : process.cwd,
    Entrypoint: listOrNil(process.args.slice(0, process.entrypointLength)),
    ...(options.macAddress === undefined ? {} : { MacAddress: options.macAddress }),
    OnBuild: nilList,
    Labels: stringMap(record.labels),
    ...(record.stopSignal === 'SIGTERM' && options.stopSignal === undefined ? {} : { StopSignal: record.stopSignal }),
    ...(options.stopTimeout === undefined && record.stopTimeout === defaultStopTimeout
      ? {}
      : { StopTimeout: options.stopTimeout ?? record.stopTimeout }),
  };
  return withOmitted(fields, emptyConfig);
}

/** What docker's document leaves out of a container's or an image's Config while it is empty. */
export const emptyConfig = {
  ExposedPorts: nilMap,
  Healthcheck: null,
  ArgsEscaped: false,
  NetworkDisabled: false,
  MacAddress: '',
  StopSignal: '',
  StopTimeout: null,
  Shell: nilList,
};

/** Docker's order: what the user gave, then what is the image's. */
function environmentOf({ options, process }: Container['record']): string[] {
  const own = new Set(options.env.filter((entry) => process.env.includes(entry)));
  return [...own, ...process.env.filter((entry) => !own.has(entry))];
}

/** The map of `80/tcp` to where it is published; null where it is only exposed. */
function portMap(container: Container): GoMap {
  const map = new Map<string, Value[]>();
  for (const { containerPort, protocol, host } of portBindings(container)) {
    const name = `${containerPort}/${protocol}`;
    const list = map.get(name) ?? [];
    if (host !== undefined) list.push({ HostIp: shownAddress(host.ip), HostPort: String(host.port) });
    map.set(name, list);
  }
  return new GoMap(
    [...map].map(([name, list]): [string, Value] => [name, listOrNil(list)]),
    nilList,
  );
}

function networkSettings(container: Container): Struct {
  const { state } = container;
  const up = isUp(state);
  const attachments = up ? attachmentsOf(state) : [];
  const onBridge = attachments.find(({ bridge }) => bridge === bridgeName);
  const networks = networkNames(container).map((name): [string, Value] => {
    const attachment = attachments.find(({ network, networkId }) => network === name || networkId === name);
    return [attachment?.network ?? name, endpointSettings(container, name, attachment)];
  });
  return {
    // Docker's fields of the default bridge, as scripts know them.
    Bridge: onBridge?.bridge ?? '',
    SandboxID: '',
    HairpinMode: false,
    LinkLocalIPv6Address: '',
    LinkLocalIPv6PrefixLen: 0,
    Ports: up ? portMap(container) : new GoMap([], nilList),
    SandboxKey: up ? `/proc/${state.pid}/ns/net` : '',
    SecondaryIPAddresses: nilList,
    SecondaryIPv6Addresses: nilList,
    ...placeOf(container, onBridge),
    Networks: new GoMap(networks, null),
  };
}

/** Where a container is on a network; empty where it is not. */
function placeOf({ record }: Container, attachment: BridgeAttachment | undefined): Struct {
  const networkId = attachment?.networkId;
  return {
    EndpointID: networkId === undefined ? '' : endpointId(record.id, networkId),
    Gateway: attachment?.gateway ?? '',
    GlobalIPv6Address: attachment?.address6 ?? '',
    GlobalIPv6PrefixLen: attachment?.prefix6 ?? 0,
    IPAddress: attachment?.address ?? '',
    IPPrefixLen: attachment?.prefix ?? 0,
    IPv6Gateway: attachment?.gateway6 ?? '',
    MacAddress: attachment?.mac ?? '',
  };
}

function endpointSettings(container: Container, name: string, attachment: BridgeAttachment | undefined): Struct {
  const { record } = container;
  const endpoint = endpointsOf(record).find(({ network }) => network === name);
  const { ip, ip6 } = endpoint ?? {};
  const place = placeOf(container, attachment);
  const named = endpoint !== undefined && !/^(bridge|host|none)$/.test(attachment?.network ?? name);
  return {
    IPAMConfig:
      ip === undefined && ip6 === undefined
        ? null
        : {
            ...(ip === undefined ? {} : { IPv4Address: ip }),
            ...(ip6 === undefined ? {} : { IPv6Address: ip6 }),
          },
    Links: nilList,
    Aliases: named ? aliasesOf(record, endpoint) : nilList,
    // It stays when the container has ended, as long as the network is there.
    NetworkID: attachment?.networkId ?? (container.state.start === undefined ? '' : (findNetwork(name)?.id ?? '')),
    EndpointID: place.EndpointID ?? '',
    Gateway: place.Gateway ?? '',
    IPAddress: place.IPAddress ?? '',
    IPPrefixLen: place.IPPrefixLen ?? 0,
    IPv6Gateway: place.IPv6Gateway ?? '',
    GlobalIPv6Address: place.GlobalIPv6Address ?? '',
    GlobalIPv6PrefixLen: place.GlobalIPv6PrefixLen ?? 0,
    MacAddress: place.MacAddress ?? '',
    DriverOpts: nilMap,
  };
}
