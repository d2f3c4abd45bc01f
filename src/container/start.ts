/**
 * Starts a container: network, cgroup, program, monitor, in that order, each with its undo. What the kernel does in the
 * container's namespaces is in the program (src/runtime/compile); here is the host's side, and the handshake.
 */
import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { release } from 'node:os';
import { join } from 'node:path';
import { createCgroup, findCgroup2, killCgroup, removeCgroup } from '../cgroup/index.ts';
import { TsrunError } from '../error.ts';
import { artifact } from '../linux/artifacts.ts';
import { close } from '../linux/fs.ts';
import type { Program } from '../program/program.ts';
import { compileStart } from '../runtime/compile/start.ts';
import type { Spec } from '../runtime/spec.ts';
import { step } from '../trace.ts';
import { launch, recordFailure } from './launch.ts';
import { LayeredRoot } from './layered-root.ts';
import type { MonitorHandle } from './monitor.ts';
import { monitorConfig } from './monitor-config.ts';
import { type ContainerNetwork, connectNetwork } from './network.ts';
import { buildSpec } from './oci-config.ts';
import { sweep } from './reap.ts';
import type { Container, ContainerRecord, StartRecord } from './record.ts';
import { loadSeccomp } from './security.ts';
import type { ContainerStore, Lock } from './store.ts';
import { Undo } from './undo.ts';
import { resolveUser } from './users.ts';

/** The foreground client: which of its descriptors 0, 1 and 2 are connected, and its terminal. */
export interface Foreground {
  stdin: boolean;
  stdout: boolean;
  stderr: boolean;
  /** Characters; 0 leaves the terminal as the kernel makes it. */
  rows: number;
  columns: number;
  detachKeys: Uint8Array;
}

export interface StartRequest {
  foreground: Foreground | undefined;
  /** Paths of the layers, lowest first. */
  layers: readonly string[];
  /** Lines for stderr: warnings, notices. */
  onNotice: (line: string) => void;
  /** For tests: changes the program before it runs. */
  transform?: (program: Program) => Program;
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
  const { record, directory } = container;
  sweep(store, record.id);
  const lock = store.lock(record.id, false);
  if (lock === undefined)
    throw new TsrunError('CONFLICT', `container "${record.name}" is already running or being started`);
  const undo = new Undo();
  try {
    rmSync(join(directory, 'exit.json'), { force: true });
    rmSync(join(directory, 'start.json'), { force: true });
    const stateDirectory = store.stateDirectory(record.id);
    mkdirSync(stateDirectory, { recursive: true, mode: 0o700 });
    const root = new LayeredRoot([join(directory, 'upper'), ...[...request.layers].reverse()]);
    const user = resolveUser(root, record.process.user, record.options.groupAdd);

    const network = connectNetwork(store, container, request.onNotice);
    undo.add(() => network.undo());
    const spec = buildSpec({
      record,
      user,
      directory,
      networkMode: network.mode,
      term: process.env.TERM,
      ...joinedNamespaces(store, record),
    });
    writeFileSync(join(directory, 'config.json'), JSON.stringify(spec), { mode: 0o600 });

    const cgroup = makeCgroup(record.id, spec, request.onNotice);
    undo.add(() => cgroup.undo());
    const seccompCache = join(store.root, 'cache', 'seccomp');
    const program = compile(container, spec, network, cgroup.fd >= 0, request, stateDirectory, seccompCache);
    return await launch(container, { ...request, program, network, cgroup, lock, undo, stateDirectory, spec });
  } catch (error) {
    undo.run();
    recordFailure(directory, record.options.network, error);
    lock.release();
    throw error;
  }
}

/** --pid container:X and --ipc container:X: the namespaces of the other container's first process. */
function joinedNamespaces(
  store: ContainerStore,
  { options }: ContainerRecord,
): { joinedPid?: string; joinedIpc?: string } {
  const path = (mode: string, name: string): string | undefined => {
    if (!mode.startsWith('container:')) return undefined;
    const other = store.resolve(mode.slice('container:'.length));
    if (other.state.pid === 0) {
      throw new TsrunError('CONFLICT', `cannot join ${name} namespace of a non running container: ${other.record.id}`);
    }
    return `/proc/${other.state.pid}/ns/${name}`;
  };
  const joinedPid = path(options.pidMode, 'pid');
  const joinedIpc = path(options.ipcMode, 'ipc');
  return { ...(joinedPid === undefined ? {} : { joinedPid }), ...(joinedIpc === undefined ? {} : { joinedIpc }) };
}

function makeCgroup(
  id: string,
  spec: Spec,
  onNotice: (line: string) => void,
): { path: string; fd: number; undo: () => void } {
  const { devices: _, ...limits } = spec.linux?.resources ?? {};
  if (findCgroup2() === undefined && Object.keys(limits).length === 0) {
    onNotice('no cgroup2 is mounted: the container runs without one, and its access to devices is not checked');
    return { path: '', fd: -1, undo: () => {} };
  }
  const cgroup = createCgroup(id, spec.linux?.resources ?? {});
  return {
    ...cgroup,
    undo: () => {
      close(cgroup.fd);
      killCgroup(cgroup.path);
      removeCgroup(cgroup.path);
    },
  };
}

function compile(
  container: Container,
  spec: Spec,
  network: ContainerNetwork,
  intoCgroup: boolean,
  request: StartRequest,
  mountPoint: string,
  seccompCache: string,
): Program {
  const { record, directory } = container;
  return step(
    {
      phase: 'monitor',
      title: 'compile the start program',
      why: 'all decisions are made here; the machine only runs them',
    },
    () => {
      const started = compileStart({
        spec,
        root: {
          kind: 'overlay',
          lowers: request.layers,
          upper: join(directory, 'upper'),
          work: join(directory, 'work'),
          mountPoint,
          appendLowers: kernelAtLeast(6, 5),
        },
        joinNetns: network.netns >= 0,
        intoCgroup,
        stdin: record.process.openStdin,
        init: record.options.init,
        seccomp: loadSeccomp(record.options, spec.process?.capabilities?.bounding ?? [], seccompCache),
        exists: existsSync,
        lenientRlimits: !record.options.ulimits.length,
      });
      const config = monitorConfig(started, {
        record,
        foreground: request.foreground,
        portCount: network.portFds.length,
        reap: reapCommand(record.id),
      });
      const program = started.build(config);
      return request.transform?.(program) ?? program;
    },
  );
}

/** What the monitor executes at the end when nobody else cleans up. */
function reapCommand(id: string): { argv: string[]; envp: string[] } {
  const keep = ['PATH', 'HOME', 'TSRUN_ROOT', 'TSRUN_STATE'];
  return {
    argv: [process.execPath, artifact('tsrun.cjs'), 'reap', id],
    envp: keep.flatMap((name) => (process.env[name] === undefined ? [] : [`${name}=${process.env[name]}`])),
  };
}

/** Whether the running kernel is at least `major.minor`. */
export function kernelAtLeast(major: number, minor: number): boolean {
  const [a = 0, b = 0] = release().split('.').map(Number);
  return a > major || (a === major && b >= minor);
}
