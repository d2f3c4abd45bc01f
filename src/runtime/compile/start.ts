/**
 * Compiles an OCI runtime config into the program that starts a container. The order is the lesson: namespaces, root,
 * mounts, devices, masks, pivot_root, identity, exec; each part says why it is where it is.
 */
import {
  AT_FDCWD,
  CLONE_NEWCGROUP,
  CLONE_NEWNET,
  CLONE_NEWPID,
  MS_PRIVATE,
  MS_REC,
  MS_SLAVE,
  O_CLOEXEC,
  O_RDONLY,
  PR_SET_DUMPABLE,
} from '../../linux/constants.ts';
import { type Label, type Load, type Place, type Program, ProgramBuilder } from '../../program/program.ts';
import type { LinuxNamespace, NamespaceType } from '../spec.ts';
import { becomeCommand } from './become.ts';
import { cloneChild, cloneFlags, enterV1, openV1, tellPid } from './clone.ts';
import {
  type CompileOptions,
  type Context,
  errorFdOf,
  fdNetns,
  fdProgram,
  fdResync,
  fdSync,
  type Handover,
  makeTarget,
  messageMounted,
  messageReady,
  quote,
} from './context.ts';
import { compileDevices } from './devices.ts';
import {
  becomeRoot,
  enterNamespace,
  layOut,
  openProc,
  prepare,
  waitForMappings,
  waitForStart,
  writeLabels,
} from './handover.ts';
import { compileRlimits, writeProc } from './identity.ts';
import { loopbackUp } from './loopback.ts';
import { compileMasks, compileMounts, isBind, makeReadOnly, openBinds } from './mounts.ts';
import { changeRoot, pivot } from './pivot.ts';
import { cloneLayers, compileRoot } from './rootfs.ts';
import { compileMemoryPolicy, compilePersonality, compileScheduling, resetAffinity } from './scheduling.ts';
import { type MonitoredStdio, makeTerminal, monitorStdio, openStdio, type Stdio, takeStdio } from './stdio.ts';
import { checkSysctl, sysctlPath } from './sysctl.ts';
import { enterUserNamespace, outsideUid } from './user-namespace.ts';

/** A program and what the monitor has to find in its memory. */
export interface StartProgram {
  builder: ProgramBuilder;
  /** Finishes the program; with a place for the monitor's configuration. */
  build(config?: Place): Program;
  pid: Load;
  pidfd: Load;
  stdio: MonitoredStdio;
}

/** Compiles the start of a container. Throws `USAGE` or `UNSUPPORTED` on configs that it cannot serve. */
export function compileStart(options: Omit<CompileOptions, 'handover'>): StartProgram {
  const b = new ProgramBuilder();
  const stdio = openStdio(b, options.spec.process?.terminal === true, options.stdin);
  return { ...compile(b, options, stdio), stdio };
}

/**
 * Compiles the first half of a start that another command ends: its first process waits at `fdStart`. The operations
 * from `waiting` on are those that the second half can fail in.
 */
export function compileCreate(options: CompileOptions & { handover: Handover }): { program: Program; waiting: number } {
  const b = new ProgramBuilder();
  const kind = options.spec.process?.terminal === true ? 'console' : 'inherited';
  const { build } = compile(b, options, { kind });
  const program = build();
  return { program, waiting: program.operations.findIndex(({ call }) => call === 'accept4') };
}

function compile(b: ProgramBuilder, options: CompileOptions, stdio: Stdio): Omit<StartProgram, 'stdio'> {
  const { spec, handover } = options;
  const process = spec.process ?? { cwd: '/', user: { uid: 0, gid: 0 } };
  const joined = (spec.linux?.namespaces ?? []).filter((namespace) => namespace.path !== undefined);
  const namespaces = new Set(
    (spec.linux?.namespaces ?? [])
      .filter((namespace) => namespace.path === undefined)
      .map((namespace) => namespace.type),
  );
  const context: Context = {
    b,
    options,
    spec,
    root: b.slot('root mount'),
    proc: b.slot('proc mount'),
    layerClones: new Map(),
    readOnlyLater: [],
  };

  b.enter('namespaces');
  const exe = b.slot('own executable');
  if (options.init) {
    b.call('openat', [AT_FDCWD, b.text('/proc/self/exe'), O_RDONLY | O_CLOEXEC, 0], {
      title: 'open the own executable, a sealed memfd',
      why: 'it has the init mode in it',
      store: exe,
    });
  }
  const pid = b.slot('pid');
  const pidfd = b.slot('pidfd');
  const joinedFds: Load[] = [];
  const v1 = openV1(b, handover?.v1Procs);
  const ownPidNamespace = handover === undefined ? joinPidNamespace(b, joined, joinedFds) : undefined;
  const taken = handover === undefined ? undefined : prepare(context, handover, namespaces, joined);
  cloneLayers(context);
  const child = clone(b, options, namespaces, pid, pidfd);

  // The parent: tell the pid, keep the other ends, go back to the monitor.
  if (ownPidNamespace !== undefined) {
    b.call('setns', [ownPidNamespace, CLONE_NEWPID], {
      title: 'monitor: children belong to the own pid namespace again',
      why: 'a process that makes children elsewhere can make no threads, and the monitor becomes a program with threads at its end',
    });
  }
  const unused = [
    ...(ownPidNamespace === undefined ? [] : joinedFds),
    pidfd,
    ...(options.init ? [exe] : []),
    ...context.layerClones.values(),
  ];
  for (const fd of unused) {
    b.call('close', [fd], {
      title: `monitor: close ${fd.label}`,
      why: 'a monitor that starts the container again and again must not gather descriptors',
    });
  }
  tellPid(b, pid);
  monitorStdio(b, stdio);
  b.call('end', [], { title: 'monitor: go on with supervising' });

  // The child: the container's first process.
  b.mark(child);
  b.enter('namespaces');
  if (handover === undefined) {
    b.call('close', [fdResync], {
      title: "close the monitor's end of the sync socket",
      why: 'in a restart the monitor itself is the other side: if it dies, the end of the stream must be seen here',
      tolerate: ['EBADF'],
    });
  }
  b.call('umask', [0], {
    title: 'no umask',
    why: 'the modes of directories and device nodes are to be as they are written, whatever the caller has',
    shell: 'umask 0',
  });
  if (handover === undefined) joinNamespaces(context, joined);
  else if (namespaces.has('user')) waitForMappings(context);
  enterV1(b, v1);
  if (handover !== undefined) resetAffinity(b);
  enterNamespaces(context, namespaces);
  const binds = taken?.binds ?? openBinds(context);
  if (handover !== undefined) openProc(context);
  const hasMountNamespace = (spec.linux?.namespaces ?? []).some(({ type }) => type === 'mount');
  if (hasMountNamespace) privateMounts(context);
  compileRoot(context);
  if (handover?.userNamespace === true) becomeRoot(context);
  compileMounts(context, binds);
  compileDevices(context, taken?.devices);
  const terminal = makeTerminal(context, stdio);
  makeWorkingDirectory(context, process.cwd);
  makeReadOnly(context);
  compileSettings(context);
  compileMasks(context);
  if (handover?.stopWhenMounted === true) {
    const why = 'createRuntime and createContainer are called before the root changes';
    barrier(context, messageMounted, 'mounted: wait for the hooks', why);
  }
  if (hasMountNamespace || handover === undefined) pivot(context);
  else changeRoot(context);
  if (handover !== undefined) takeStdio(b, process.user.uid, stdio, terminal);
  barrier(
    context,
    messageReady,
    'ready: wait for the network and the records',
    'nothing of the container runs before the host is done',
  );
  if (handover === undefined) {
    takeStdio(b, outsideUid(context, process.user.uid), stdio, terminal);
    compileRlimits(context, process);
    if (options.userns !== undefined) enterUserNamespace(context, options.userns, namespaces);
    if (options.keepDescriptors === true) keepDescriptors(context);
    else closeDescriptors(context, exe);
  } else {
    waitForStart(b, handover);
    writeLabels(context, handover);
    compileScheduling(context, process);
    compilePersonality(context, spec.linux?.personality);
    compileMemoryPolicy(context, spec.linux?.memoryPolicy);
    compileRlimits(context, process);
    layOut(b, handover);
  }
  becomeCommand(context, process, 'image');
  return {
    builder: b,
    pid,
    pidfd,
    build: (config) =>
      b.build({
        errorFd: handover === undefined ? fdSync : errorFdOf(handover.preserved),
        ...(config === undefined ? {} : { config }),
      }),
  };
}

/** A pid namespace is entered by children only: before the clone, and left again behind it. */
function joinPidNamespace(b: ProgramBuilder, joined: readonly LinuxNamespace[], opened: Load[]): Load | undefined {
  const namespace = joined.find(({ type }) => type === 'pid');
  if (namespace === undefined) return undefined;
  const own = b.slot('own pid namespace');
  b.call('openat', [AT_FDCWD, b.text('/proc/self/ns/pid'), O_RDONLY | O_CLOEXEC, 0], {
    title: 'open the own pid namespace',
    store: own,
  });
  opened.push(own, enterNamespace(b, namespace));
  return own;
}

function joinNamespaces(c: Context, joined: readonly LinuxNamespace[]): void {
  c.b.enter('namespaces');
  for (const namespace of joined) if (namespace.type !== 'pid') enterNamespace(c.b, namespace);
}

/** The first process and the namespaces that clone3 can make for it. */
function clone(
  b: ProgramBuilder,
  options: CompileOptions,
  namespaces: ReadonlySet<NamespaceType>,
  pid: Load,
  pidfd: Load,
): Label {
  let flags = 0;
  const names: string[] = [];
  for (const type of namespaces) {
    if (type === 'network' && options.joinNetns) continue;
    // Entered at the end, when all is set up.
    if (type === 'user' && options.userns !== undefined) continue;
    const flag = cloneFlags[type];
    // A cgroup namespace made by clone3 would have the parent's cgroup as its root: it is made by the child.
    // A time namespace is the parent's matter: its clocks are set before anybody is in it.
    if (flag !== undefined && type !== 'cgroup' && type !== 'time') {
      flags |= flag;
      names.push(type);
    }
  }
  return cloneChild(b, pid, pidfd, {
    flags,
    intoCgroup: options.intoCgroup,
    title: `make the container's first process with new namespaces: ${names.join(', ') || 'none'}`,
    why: 'one call makes the process and its walls; with a cgroup it is inside its limits from its first moment',
    shell: `unshare ${names.map((name) => `--${name === 'network' ? 'net' : name}`).join(' ')} --fork`,
    hints: {
      EPERM: 'namespaces need root',
      ENOSPC: 'the limit of namespaces is reached: sysctl user.max_*_namespaces',
      EINVAL: 'this kernel lacks one of the namespaces, or the cgroup cannot take processes',
    },
  });
}

function enterNamespaces(c: Context, namespaces: ReadonlySet<NamespaceType>): void {
  const { b } = c;
  b.enter('namespaces');
  b.call('prctl', [PR_SET_DUMPABLE, 0, 0, 0, 0], {
    title: 'not dumpable',
    why: 'no process of the container can look into this one while it still knows the host',
  });
  if (c.options.joinNetns) {
    b.call('setns', [fdNetns, CLONE_NEWNET], {
      title: 'enter the network namespace',
      why: 'its interfaces are set up from outside at the same time',
      shell: 'nsenter --net=/proc/$NETNS_PID/ns/net',
    });
  } else if (namespaces.has('network')) loopbackUp(c);
  if (namespaces.has('cgroup')) {
    b.call('unshare', [CLONE_NEWCGROUP], {
      title: 'new cgroup namespace',
      why: 'only now: its root is the cgroup of the process that makes it',
      shell: 'unshare --cgroup',
    });
  }
  const uts = namespaces.has('uts');
  if (uts && c.spec.hostname !== undefined) {
    b.call('sethostname', [b.text(c.spec.hostname), Buffer.byteLength(c.spec.hostname)], {
      title: `hostname ${c.spec.hostname}`,
      shell: `echo ${quote(c.spec.hostname)} >/proc/sys/kernel/hostname`,
    });
  }
  if (uts && c.spec.domainname !== undefined) {
    b.call('setdomainname', [b.text(c.spec.domainname), Buffer.byteLength(c.spec.domainname)], {
      title: `NIS domain name ${c.spec.domainname}`,
      shell: `echo ${quote(c.spec.domainname)} >/proc/sys/kernel/domainname`,
    });
  }
}

/** Before anything is mounted: what is mounted here is not to appear on the host. */
function privateMounts(c: Context): void {
  const slave = (c.spec.mounts ?? []).some(
    (mount) => isBind(mount) && (mount.options ?? []).some((word) => /^r?(slave|shared)$/.test(word)),
  );
  const propagation = slave || /slave|shared/.test(c.spec.linux?.rootfsPropagation ?? '') ? 'slave' : 'private';
  c.b.enter('mounts');
  c.b.call('mount', [0, c.b.text('/'), 0, MS_REC | (propagation === 'slave' ? MS_SLAVE : MS_PRIVATE), 0], {
    title: `make all mounts ${propagation}`,
    why: 'systemd shares the mounts of the host; ours would appear there',
    shell: `mount --make-r${propagation} /`,
  });
}

/** A working directory that the image has not is made, as docker makes it. */
function makeWorkingDirectory(c: Context, cwd: string): void {
  c.b.enter('rootfs');
  if (cwd !== '/') makeTarget(c, cwd, 'directory');
}

function compileSettings(c: Context): void {
  c.b.enter('identity');
  for (const [name, value] of Object.entries(c.spec.linux?.sysctl ?? {})) {
    checkSysctl(name, c.spec);
    const path = `sys/${sysctlPath(name)}`;
    writeProc(c, path, value, {
      title: `sysctl ${name}=${value}`,
      why: 'a setting of the own namespaces',
      shell: `echo ${quote(value)} >${quote(`/proc/${path}`)}`,
    });
  }
  const adjustment = c.spec.process?.oomScoreAdj;
  if (adjustment !== undefined) {
    writeProc(c, 'self/oom_score_adj', String(adjustment), {
      title: `out-of-memory score ${adjustment}`,
      why: 'whom the kernel ends first when memory runs out',
      shell: `echo ${adjustment} >/proc/self/oom_score_adj`,
    });
  }
}

/** Tells the other side, and waits for one byte; its end ends this process. */
function barrier(c: Context, kind: number, title: string, why: string): void {
  const { b } = c;
  const message = Buffer.alloc(16);
  message.writeUInt32LE(kind, 0);
  b.call('write', [fdSync, b.bytes(message, title), 16], { title: `tell: ${title}`, expect: { equals: 16 } });
  b.call('read', [fdSync, b.reserve(8, 'answer'), 1], { title, why, expect: { equals: 1 } });
}

/** --without fds: only the sync socket goes, whose end tells that the command runs. */
function keepDescriptors({ b }: Context): void {
  b.enter('security');
  b.call('fcntl', [fdSync, 2, 1], {
    title: 'the sync socket ends with execve',
    why: 'its end tells the other side that the command runs',
  });
}

/** Closes, not just marks, every descriptor but the sync socket (and init's executable). */
function closeDescriptors(c: Context, exe: Load): void {
  const { b } = c;
  b.enter('security');
  if (c.options.init) {
    b.call('dup3', [exe, fdProgram, O_CLOEXEC], {
      title: 'keep the executable of init',
      why: 'it is run by its descriptor',
    });
  } else {
    b.call('close', [fdProgram], { title: 'close the program' });
  }
  b.call('close_range', [fdSync + 1, 0xffffffff, 0], {
    title: 'close all other descriptors',
    why: 'a directory of the host in /proc/self/fd would be a way out (Linux 5.9)',
  });
  b.call('fcntl', [fdSync, 2, 1], {
    title: 'the sync socket ends with execve',
    why: 'its end tells the other side that the command runs',
  });
}
