/** `create` (OCI runtime-spec runtime.md, "Create"): everything is set up, and the first process waits for `start`. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { TsrunError } from '../error.ts';
import { SOCK_SEQPACKET } from '../linux/constants.ts';
import { close } from '../linux/fs.ts';
import { parseMountinfo } from '../linux/mountinfo.ts';
import { openPidfd, signalPidfd, startTimeOf } from '../linux/process.ts';
import { architecture } from '../linux/syscalls.ts';
import { listenSocket } from '../linux/unix-socket.ts';
import type { Program } from '../program/program.ts';
import { errorFdOf } from '../runtime/compile/context.ts';
import { compileCreate } from '../runtime/compile/start.ts';
import { compileSeccompCached, seccompFlags } from '../runtime/seccomp/index.ts';
import type { Mount, Process, Spec } from '../runtime/spec.ts';
import { writeMappings } from '../runtime/user-namespace.ts';
import { readBundle, type Warn } from './bundle.ts';
import {
  type CgroupManager,
  closeCgroup,
  endCgroup,
  type MadeCgroup,
  makeCgroup,
  ownCgroupMounts,
  v1Procs,
} from './cgroup.ts';
import { copyUp } from './copy-up.ts';
import { handOn } from './descriptors.ts';
import { checkExecutable } from './executable.ts';
import { withHome } from './home.ts';
import { runHooks } from './hooks.ts';
import { sharesMounts, unmountRoot } from './host-mounts.ts';
import { runHooksInside } from './inside.ts';
import { labelsOf, mountLabelOf } from './labels.ts';
import { failureOf, Machine } from './machine.ts';
import { moveNetDevices } from './net-devices.ts';
import { notifyMounts, withNotify } from './notify.ts';
import { keepSteps } from './steps.ts';
import {
  type ContainerRecord,
  checkId,
  intend,
  OciContainer,
  type OciStore,
  removeDirectory,
  writeJson,
  writeWhole,
} from './store.ts';
import { settleTargets } from './targets.ts';
import { MappingHolders } from './user-namespace.ts';

export interface CreateOptions {
  id: string;
  /** Absolute. */
  bundle: string;
  /** The name of its configuration. */
  config: string;
  /** Connects the socket that gets the terminal's master, where the process has one. */
  connectConsole: (process: Process | undefined) => number | undefined;
  preserveFds: number;
  /** The terminal is read by a pipe or a file. */
  plainTerminal?: boolean;
  noPivot: boolean;
  noNewKeyring: boolean;
  manager: CgroupManager;
  warn: Warn;
  /** Called with the pid when the first process is complete. */
  onCreated: (pid: number) => void;
}

/** Creates a container. Where it fails nothing is left. */
export function createContainer(store: OciStore, options: CreateOptions): OciContainer {
  checkId(options.id);
  const spec = readBundle(options.bundle, options.config, options.warn);
  if (!existsSync(spec.root?.path ?? '')) {
    throw new TsrunError('NOT_FOUND', `root.path: "${spec.root?.path}" does not exist`);
  }
  const directory = store.claim(options.id);
  const undo: (() => void)[] = [() => removeDirectory(directory)];
  try {
    return create(store, options, spec, directory, undo);
  } catch (error) {
    for (const step of undo.reverse()) step();
    throw error;
  }
}

function create(
  store: OciStore,
  options: CreateOptions,
  source: Spec,
  directory: string,
  undo: (() => void)[],
): OciContainer {
  // Who is killed before there is a record leaves nothing that `delete --force` would not find.
  const cgroup = makeCgroup(options.id, source, options.manager, (place) => intend(directory, place));
  undo.push(() => endCgroup({ cgroup: cgroup.path, v1: cgroup.v1 }));
  const rootfs = source.root?.path ?? '';
  if (sharesMounts(source)) undo.push(() => unmountRoot(rootfs));
  const own = withNotify(withHome(source.process ?? nothing, rootfs), process.env);
  const handed = handOn(own, options.preserveFds, process.env);
  const mounts = settleTargets(rootfs, [...ownCgroupMounts(source, cgroup), ...notifyMounts(directory, process.env)]);
  const spec: Spec = { ...source, process: handed.process, mounts };
  const holders = new MappingHolders();
  const console = options.connectConsole(source.process);
  const start = listenSocket(join(directory, 'start.sock'), 0o600, SOCK_SEQPACKET);
  let machine: Machine | undefined;
  try {
    const filter = compileFilter(store, spec);
    const { program, waiting } = compile(spec, options, { cgroup, holders, filter, preserved: handed.count });
    writeJson(join(directory, 'config.json'), { ...spec, process: source.process });
    if (filter !== undefined) writeWhole(join(directory, 'filter'), filter);
    keepSteps(directory, program, waiting);
    machine = new Machine(program, {
      console,
      start,
      cgroup: cgroup.fd,
      preserved: handed.count,
    });
    const made: Made = { directory, rootfs, cgroup, preserved: handed.count, spec, source };
    const container = converse(machine, program, options, made, undo);
    options.onCreated(container.record.pid);
    machine.proceed();
    return container;
  } finally {
    machine?.close();
    holders.close();
    closeCgroup(cgroup);
    close(start);
    if (console !== undefined) close(console);
  }
}

/** A container may be made without a process; `start` refuses it. */
const nothing: Process = { cwd: '/', user: { uid: 0, gid: 0 } };

function compileFilter(store: OciStore, { linux }: Spec): Uint8Array | undefined {
  const profile = linux?.seccomp;
  return profile === undefined ? undefined : compileSeccompCached(profile, architecture, store.filterCache);
}

function compile(
  spec: Spec,
  options: CreateOptions,
  made: { cgroup: MadeCgroup; holders: MappingHolders; filter: Uint8Array | undefined; preserved: number },
): { program: Program; waiting: number } {
  const { hooks, linux } = spec;
  const errorFd = errorFdOf(made.preserved);
  const userNamespace = (linux?.namespaces ?? []).some(({ type }) => type === 'user');
  return compileCreate({
    spec,
    root: { kind: 'directory', path: spec.root?.path ?? '' },
    joinNetns: false,
    intoCgroup: made.cgroup.fd >= 0,
    stdin: true,
    init: false,
    seccomp: made.filter,
    seccompFlags: linux?.seccomp === undefined ? 0 : seccompFlags(linux.seccomp),
    errorFd,
    listenerFd: errorFd + 1,
    exists: existsSync,
    lenientRlimit: () => false,
    handover: {
      console: spec.process?.terminal === true,
      plainTerminal: options.plainTerminal === true,
      preserved: made.preserved,
      stopWhenMounted: [hooks?.prestart, hooks?.createRuntime, hooks?.createContainer].some(
        (list) => (list ?? []).length > 0,
      ),
      v1Procs: v1Procs(made.cgroup.v1),
      bindDevices: userNamespace || isMapped(),
      noPivot: options.noPivot ? bareMounts(spec) : undefined,
      keyring: options.noNewKeyring ? undefined : `_ses.${options.id}`,
      idmaps: made.holders.forMounts(spec),
      labels: labelsOf(spec.process ?? nothing),
      mountLabel: mountLabelOf(linux ?? {}),
      userNamespace,
    },
  });
}

/** Where proc and sysfs are mounted in a new mount namespace, but below the root: there the container has its own. */
function bareMounts({ linux, root }: Spec): string[] {
  const isNew = linux?.namespaces?.some(({ type, path }) => type === 'mount' && path === undefined);
  if (isNew !== true) return [];
  return parseMountinfo(readFileSync('/proc/self/mountinfo', 'utf8'))
    .filter(({ type, mountPoint }) => /^(proc|sysfs)$/.test(type) && !mountPoint.startsWith(`${root?.path}/`))
    .map(({ mountPoint }) => mountPoint)
    .reverse();
}

/** Whether this process is in a user namespace itself: then it can make no device nodes either. */
function isMapped(): boolean {
  return !/^\s*0\s+0\s+4294967295\s*$/.test(readFileSync('/proc/self/uid_map', 'latin1'));
}

interface Made {
  directory: string;
  rootfs: string;
  cgroup: MadeCgroup;
  preserved: number;
  /** As it is served, and as the bundle has it. */
  spec: Spec;
  source: Spec;
}

/** Follows the program until the first process is complete. */
function converse(
  machine: Machine,
  program: Program,
  options: CreateOptions,
  made: Made,
  undo: (() => void)[],
): OciContainer {
  const { spec, source } = made;
  let container: OciContainer | undefined;
  let ready = false;
  let mounted = false;
  for (;;) {
    const message = machine.next();
    if (message.kind === 'failed') {
      throw failureOf(program, message.operation, message.errno, spec.process?.args ?? []);
    }
    if (message.kind === 'end') {
      throw new TsrunError('PROGRAM', 'the container ended before it was set up', {
        hint: 'dmesg on the host may say why: want of memory, or a limit of its cgroup',
      });
    }
    if (message.kind === 'created') {
      container = created(options, made, message.pid, undo);
      moveNetDevices(message.pid, spec.linux?.netDevices);
      const { namespaces = [], uidMappings = [], gidMappings = [] } = spec.linux ?? {};
      if (namespaces.some(({ type, path }) => type === 'user' && path === undefined)) {
        writeMappings(message.pid, uidMappings, gidMappings);
        machine.proceed();
      }
    }
    mounted ||= message.kind === 'mounted';
    ready ||= message.kind === 'ready';
    // The pid comes from one process and the rest from its child: nothing puts one before the other.
    if (container === undefined) continue;
    if (mounted) {
      mounted = false;
      const state = container.hookState('creating');
      // Before there were createRuntime hooks, prestart ones ran at the start: those that look at the status know `created`.
      runHooks('prestart', spec.hooks?.prestart, container.hookState('created'), options.bundle);
      runHooks('createRuntime', spec.hooks?.createRuntime, state, options.bundle);
      const env = Object.entries(process.env).map(([name, value]) => `${name}=${value ?? ''}`);
      // The root of the container is still one directory among others there: it is where a hook's relative paths lead, as with runc.
      runHooksInside('createContainer', spec.hooks?.createContainer, state, container, { cwd: made.rootfs, env });
      machine.proceed();
    }
    if (!ready) continue;
    for (const mount of spec.mounts ?? []) if (isCopiedUp(mount)) copyUp(made.rootfs, container.record.pid, mount);
    if (source.process !== undefined) checkExecutable(container.record.pid, spec.process ?? nothing);
    return container;
  }
}

function isCopiedUp(mount: Mount): boolean {
  return mount.type === 'tmpfs' && (mount.options ?? []).includes('tmpcopyup');
}

function created(
  { id, bundle }: CreateOptions,
  { directory, rootfs, cgroup, preserved, spec }: Made,
  pid: number,
  undo: (() => void)[],
): OciContainer {
  const startTime = startTimeOf(pid) ?? '';
  undo.push(() => {
    const pidfd = openPidfd(pid, startTime);
    if (pidfd === undefined) return;
    signalPidfd(pidfd, 9);
    close(pidfd);
  });
  const record: ContainerRecord = {
    id,
    bundle,
    rootfs,
    pid,
    startTime,
    created: new Date().toISOString(),
    cgroup: cgroup.path,
    v1: cgroup.v1,
    uid: process.getuid?.() ?? 0,
    preserved,
    ...(spec.annotations === undefined ? {} : { annotations: spec.annotations }),
  };
  writeJson(join(directory, 'state.json'), record);
  return new OciContainer(directory, record);
}
