/**
 * Starts a container: network, cgroup, program, monitor, in that order, each with its undo. What the kernel does in the
 * container's namespaces is in the program (src/runtime/compile); here is the host's side, and the handshake.
 */
import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { type Cgroup, cgroupPath, createCgroup, findCgroup2 } from '../cgroup/index.ts';
import { TsrunError } from '../error.ts';
import type { LayerPlace } from '../image/layers.ts';
import { ReadableLayers } from '../image/readable-layers.ts';
import { availableCapabilities } from '../linux/capabilities.ts';
import { close } from '../linux/fs.ts';
import { unlinkIfThere } from '../linux/optional.ts';
import { appendsLayers } from '../linux/release.ts';
import { listenSocket } from '../linux/unix-socket.ts';
import type { Program } from '../program/program.ts';
import type { CompileOptions, LowerLayer, UserNamespace } from '../runtime/compile/context.ts';
import { compileStart } from '../runtime/compile/start.ts';
import type { Spec } from '../runtime/spec.ts';
import type { IdMappings } from '../runtime/user-namespace.ts';
import { type Phase, type Step, step, stepAsync } from '../trace.ts';
import { isUp } from './active.ts';
import { networkMode } from './endpoints.ts';
import { mergeEnvironment } from './environment.ts';
import { recordContainerEvent, recordVolumeEvents } from './events.ts';
import { healthProgram } from './health.ts';
import type { HostLook } from './host-look.ts';
import { joinedNamespaces } from './join.ts';
import { keepFilter } from './kept-filter.ts';
import { intendedStart, launch, recordFailure } from './launch.ts';
import { LayerMounts } from './layer-mounts.ts';
import { LayeredRoot } from './layered-root.ts';
import type { Lock } from './locked-directory.ts';
import { fdFirstPort, fdTrace, type MonitorHandle } from './monitor.ts';
import { monitorConfig } from './monitor-config.ts';
import { openMark } from './monitored.ts';
import { type ContainerNetwork, connectNetwork } from './network.ts';
import { buildSpec } from './oci-config.ts';
import { takeCgroupAway } from './own-cgroup.ts';
import { ownCommand } from './own-command.ts';
import { isLenient } from './process.ts';
import { cleanUpBeforeStart, sweep } from './reap.ts';
import type { Container, ContainerRecord, StartRecord } from './record.ts';
import type { RunOptions } from './run-options.ts';
import { loadSeccomp } from './security.ts';
import { mountPointOf, takeMountsAway } from './shared-mounts.ts';
import * as steps from './steps.ts';
import { clearStopMark } from './stop-mark.ts';
import type { ContainerStore } from './store.ts';
import { whileNobodyTraces } from './tracing.ts';
import { Undo } from './undo.ts';
import { heedUpdate } from './update.ts';
import { type HeldUserNamespace, parseUserns, takeUserNamespace } from './userns.ts';
import { resolveUser } from './users.ts';
import { hasForeignRoot, isWithout, missingWalls } from './walls.ts';
import { writeRecord } from './write-record.ts';

/** The foreground client: which of its descriptors 0, 1 and 2 are connected, and its terminal. */
export interface Foreground {
  stdin: boolean;
  stdout: boolean;
  stderr: boolean;
  /** Instead of the caller's descriptors 1 and 2; it stays the caller's. */
  output?: number;
  /** Characters; 0 leaves the terminal as the kernel makes it. */
  rows: number;
  columns: number;
  detachKeys: Uint8Array;
}

export interface StartRequest {
  foreground: Foreground | undefined;
  layers: ReadableLayers;
  /** Lines for stderr: warnings, notices. */
  onNotice: (line: string) => void;
  /** Called when all is set up, before the command of the container runs. */
  beforeCommand?: (() => void) | undefined;
  /** For tests: changes the program before it runs. */
  transform?: (program: Program) => Program;
  /** Looks on, or interferes. */
  observer?: StartObserver | undefined;
}

/** What a start has made so far, for who looks at it. */
export interface MadeSoFar {
  /** The container's first process; 0 before it is there. */
  pid: number;
  /** Descriptor of the network namespace; -1: none of its own, or none yet. */
  netns: number;
  /** Empty: none yet. */
  cgroup: string;
  /** Once the program runs: what the container's process is to be, and its directory. */
  spec?: Spec;
  directory?: string;
}

/** The start was given up, by who looks on or by Ctrl-C: a container that was made for it goes with it. */
export class GivenUp extends TsrunError {
  constructor(cause?: unknown) {
    super('INTERRUPTED', 'given up: what was made for the container has been taken away again', {
      cause,
      exitCode: 130,
    });
  }
}

/** Who wants to see a start step by step. What it throws gives the start up. */
export interface StartObserver {
  /** A phase of the host's side begins, with these steps; the container's lock is held, and no other. */
  before?(phase: Phase, upcoming: () => readonly Step[], made: MadeSoFar): Promise<void>;
  /** The program waits at a stop that `begin` has put into it (src/program/stops.ts). Returns whether it was the last. */
  stopped?(stop: number, made: MadeSoFar): Promise<boolean>;
  /** The program as it is to run, and where its results are noted: at the descriptor `monitorFd` of the monitor. */
  begin(program: Program, monitorFd: number, seccomp: 'default' | 'other'): { program: Program; traceFd: number };
  /** All is set up; the command runs when this returns. */
  ready(): void;
  /** The command runs, or the start has failed at the operation with that index. */
  settled(failed: { index: number; error: number } | undefined): void;
}

export interface StartedContainer {
  pid: number;
  monitor: MonitorHandle;
  lock: Lock;
  start: StartRecord;
}

/**
 * Starts `container`. On failure nothing is left but its record, which says why.
 * Throws `CONFLICT` when it runs already, `COMMAND_NOT_FOUND`, `COMMAND_NOT_EXECUTABLE`, `PROGRAM` and whatever a part reports.
 */
export async function startContainer(
  store: ContainerStore,
  container: Container,
  request: StartRequest,
): Promise<StartedContainer> {
  const { directory } = container;
  let { record } = container;
  sweep(store, request.onNotice, record.id);
  for (const line of missingWalls(record.options)) request.onNotice(`WARNING: ${line}`);
  const lock = await store.lockSoon(record.id);
  if (lock === undefined)
    throw new TsrunError('CONFLICT', `container "${record.name}" is already running or being started`);
  const undo = new Undo();
  let previous: StartRecord | undefined;
  let startable = false;
  let listening = false;
  try {
    const now = checkStartable(store, record);
    startable = true;
    previous = now.state.start;
    record = now.record;
    cleanUpBeforeStart(store, record.id);

    // First of all: a sweep looks where this socket is, should this process be killed.
    const listen = step(steps.listenForClients(), () => listenSocket(store.socket(record.id)));
    listening = true;
    undo.add(() => close(listen));
    const choice = parseUserns(record.options.userns);
    const pending = choice && takeUserNamespace(store.state, choice, hasOwnNetns(record.options));
    undo.add(() => pending?.abandon());
    // While the kernel makes that.
    const mounts = new LayerMounts(store, record.image.layers);
    undo.add(() => mounts.close());
    const layers = new ReadableLayers(request.layers.places, (place, index) => mounts.mount(place, index));
    undo.add(() => layers.close());
    request.layers.close();
    const root = new LayeredRoot([join(directory, 'upper'), ...layers.paths.reverse()]);
    const user = resolveUser(root, record.process.user, record.options.groupAdd);
    const userns = pending?.finish();
    const ofUserns = userns === undefined ? [] : [userns.user, userns.lock];
    undo.add(() => ofUserns.forEach(close));
    const look = await lookOf(request.observer, store, record);
    await look?.beforeNetwork();
    const network = connectNetwork(store, now, request.onNotice, userns?.network);
    undo.add(() => network.undo());
    const joined = joinedNamespaces(store, record, fdFirstPort + network.portFds.length);
    undo.add(() => joined.held.forEach(close));
    const mark = openMark(store.state, record.id);
    undo.add(() => close(mark));
    const before = [...joined.held, mark];
    const held = [...before, ...layers.mounts, ...ofUserns];
    const firstLayerFd = fdFirstPort + network.portFds.length + before.length;
    const spec = buildSpec({
      record: asItsNetworkHasIt(record, network),
      user,
      directory,
      networkMode: network.mode,
      term: process.env.TERM,
      userns,
      ...joined.paths,
    });
    writeRecord(join(directory, 'config.json'), spec);
    // Written down before it is made: who is killed in between leaves nothing that nobody knows of.
    const intend = (path: string): void => writeRecord(join(directory, 'start.json'), intendedStart(path, network));
    await look?.beforeCgroup(spec, network);
    // Also what is there of it when making it fails.
    undo.add(() => takeCgroupAway(record.id));
    const cgroup = makeCgroup(record.id, spec, intend, request.onNotice);
    undo.add(() => close(cgroup.fd));

    await look?.beforeMonitor(network, cgroup.path);
    const intoCgroup = cgroup.fd >= 0;
    const bounding = spec.process?.capabilities?.bounding ?? [];
    const seccomp = await stepAsync(steps.compileSeccomp(), () =>
      loadSeccomp(record.options, bounding, join(store.root, 'cache', 'seccomp')),
    );
    keepFilter(directory, seccomp);
    const made = { intoCgroup, seccomp, held: held.length, firstLayerFd, userns };
    const compiled = compile(store, now, spec, network, made, request);
    const kind = record.options.securityOpt.some((option) => option.startsWith('seccomp')) ? 'other' : 'default';
    const { program, traceFd } = request.observer?.begin(compiled, fdTrace, kind) ?? { program: compiled, traceFd: -1 };
    const closeDescriptors = (): void => {
      for (const fd of [listen, network.netns, cgroup.fd, ...network.portFds, ...held]) close(fd);
    };
    recordVolumeEvents(store.root, record, 'mount');
    clearStopMark(directory);
    if (isWithout(record.options, 'mount')) {
      mkdirSync(mountPointOf(store, record), { recursive: true, mode: 0o700 });
      undo.add(() => takeMountsAway(store, record));
    }
    const making = {
      ...request,
      recorded: () => heedUpdate(store, now.record),
      program,
      traceFd,
      health: hasForeignRoot(record.options) ? undefined : healthProgram(record, spec, { intoCgroup, seccomp }),
      held,
      network,
      cgroup,
      lock,
      undo,
      spec,
      listen,
      closeDescriptors,
    };
    const started = await whileNobodyTraces(store, record, userns !== undefined, () => launch(now, making));
    const { monitorPid, monitorStartTime } = started.start;
    mounts.publish(record.id, { pid: monitorPid, startTime: monitorStartTime }, firstLayerFd);
    mounts.close();
    recordContainerEvent(store.root, record, 'start');
    return started;
  } catch (error) {
    // What could not be undone is found by the next sweep.
    if (undo.run() && listening) unlinkIfThere(store.socket(record.id));
    // Unless it ran before, or has been removed meanwhile. A process of this start may still be dying: it is no obstacle.
    if (startable && store.read(record.id) !== undefined) {
      recordFailure(directory, record.options.network, error, previous?.startedAt);
    }
    lock.release();
    throw error;
  }
}

/** What the user has set comes before the variables of links. */
function asItsNetworkHasIt(record: ContainerRecord, { hostname, variables = [] }: ContainerNetwork): ContainerRecord {
  const env = variables.length === 0 ? record.process.env : mergeEnvironment(variables, record.process.env);
  return { ...record, hostname: hostname ?? record.hostname, process: { ...record.process, env } };
}

/** Loaded late: a start that nobody stops at needs no plan of what comes next. */
async function lookOf(
  observer: StartObserver | undefined,
  store: ContainerStore,
  record: ContainerRecord,
): Promise<HostLook | undefined> {
  if (observer?.before === undefined) return undefined;
  const { HostLook } = await import('./host-look.ts');
  return new HostLook({ before: observer.before.bind(observer) }, store, record);
}

/** What was looked up before the lock was got may have changed. Returns the container as it is now. */
function checkStartable(store: ContainerStore, record: ContainerRecord): Container {
  const now = store.read(record.id);
  if (now === undefined) {
    // Removed by another command; taking its lock has made its state again.
    store.forget(record.id);
    throw new TsrunError('NOT_FOUND', `No such container: ${record.name}`);
  }
  if (isUp(now.state)) throw new TsrunError('CONFLICT', `container "${record.name}" is already running`);
  return now;
}

function makeCgroup(id: string, spec: Spec, intend: (path: string) => void, onNotice: (line: string) => void): Cgroup {
  const { devices: _, ...limits } = spec.linux?.resources ?? {};
  const mount = findCgroup2();
  if (mount === undefined && Object.keys(limits).length === 0) {
    onNotice('no cgroup2 is mounted: the container runs without one, and its access to devices is not checked');
    intend('');
    return { path: '', fd: -1 };
  }
  intend(cgroupPath(id, mount));
  return createCgroup(id, spec.linux?.resources ?? {});
}

function compile(
  store: ContainerStore,
  container: Container,
  spec: Spec,
  network: ContainerNetwork,
  made: {
    intoCgroup: boolean;
    seccomp: Uint8Array | undefined;
    held: number;
    firstLayerFd: number;
    userns: HeldUserNamespace | undefined;
  },
  request: StartRequest,
): Program {
  const { record } = container;
  return step(steps.compileProgram(), () => {
    const { held, userns, ...rest } = made;
    const joinNetns = network.netns >= 0;
    const descriptors = network.portFds.length + held;
    const started = compileStart(
      compileOptions(store, record, spec, {
        ...rest,
        layers: request.layers.places,
        joinNetns,
        // The last but one of what the monitor keeps: the lock of its range is behind it.
        ...(userns === undefined ? {} : { userns: inherited(userns, fdFirstPort + descriptors - 2) }),
      }),
    );
    const config = monitorConfig(started, {
      record,
      foreground: request.foreground,
      portCount: descriptors,
      reap: ownCommand(store, ['reap', record.id]),
      root: store.root,
    });
    const program = started.build(config);
    return request.transform?.(program) ?? program;
  });
}

/** Whether the container gets a network namespace of its own. */
export function hasOwnNetns(options: RunOptions): boolean {
  const mode = networkMode(options);
  return mode !== 'host' && !mode.startsWith('container:');
}

/** A user namespace as the start program has it. */
export function inherited({ uids, gids }: IdMappings, fd: number): UserNamespace {
  return { fd, uids, gids, available: availableCapabilities() };
}

/** What the program of a start is compiled from. */
export function compileOptions(
  store: ContainerStore,
  record: ContainerRecord,
  spec: Spec,
  made: Pick<CompileOptions, 'joinNetns' | 'intoCgroup' | 'seccomp' | 'userns'> & {
    layers: readonly LayerPlace[];
    /** Descriptors of the monitor from here on are the mounts of those that are mounted. */
    firstLayerFd: number;
  },
): CompileOptions {
  const { layers, firstLayerFd, ...rest } = made;
  const directory = store.directory(record.id);
  return {
    ...rest,
    spec,
    root: {
      kind: 'overlay',
      lowers: lowerLayers(layers, firstLayerFd),
      upper: join(directory, 'upper'),
      work: join(directory, 'work'),
      mountPoint: mountPointOf(store, record),
      appendLowers: appendsLayers(),
    },
    stdin: record.process.openStdin,
    init: record.options.init,
    exists: existsSync,
    lenientRlimit: isLenient(record.options),
    newKeyring: true,
    chroot: hasForeignRoot(record.options),
    keepDescriptors: isWithout(record.options, 'fds'),
  };
}

function lowerLayers(places: readonly LayerPlace[], firstFd: number): LowerLayer[] {
  let fd = firstFd;
  return places.map((place) =>
    place.kind === 'unpacked' ? place.path : { metadata: place.metadata, archive: place.archive, fd: fd++ },
  );
}
