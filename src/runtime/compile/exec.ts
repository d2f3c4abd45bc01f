/**
 * Compiles the program of an exec: a further process in a container that runs (man 2 setns, man 2 clone). The same machine
 * and the same last steps as a start; what is joined takes the place of what is made. The container is hostile: until
 * execve the process cannot be looked into, and it has given up every descriptor of the host before it joins.
 */
import {
  AT_FDCWD,
  CLONE_NEWPID,
  CLONE_PARENT_SETTID,
  F_DUPFD_CLOEXEC,
  O_CLOEXEC,
  O_NOCTTY,
  O_RDONLY,
  O_RDWR,
  O_WRONLY,
  PR_SET_DUMPABLE,
  RESOLVE_NO_MAGICLINKS,
  RESOLVE_NO_SYMLINKS,
} from '../../linux/constants.ts';
import { type Load, type Place, type Program, ProgramBuilder } from '../../program/program.ts';
import type { Linux, NamespaceType, Process } from '../spec.ts';
import { becomeCommand } from './become.ts';
import { cloneChild, cloneFlags, enterV1, openV1, tellPid } from './clone.ts';
import {
  errorFdOf,
  fdConsole,
  fdProgram,
  fdSync,
  fdTarget,
  openHow,
  type ProcessContext,
  type Unattended,
  type UserNamespace,
} from './context.ts';
import { becomeRoot, layOut } from './handover.ts';
import { compileRlimits } from './identity.ts';
import { beginLateEntry, enterPidNamespace, followLateEntry, prepareLateEntry } from './late-entry.ts';
import { compileMemoryPolicy, compilePersonality, prepareProcess, resetAffinity, setAffinity } from './scheduling.ts';
import {
  leadSession,
  type MonitoredStdio,
  monitorStdio,
  openPeer,
  openStdio,
  type Stdio,
  sendMaster,
  setPlain,
  setSize,
  takeStdio,
} from './stdio.ts';
import { hostId } from './user-namespace.ts';

export interface ExecOptions {
  /** Command, environment, working directory, user, capabilities, limits; `terminal` chooses a pty instead of pipes. */
  process: Process;
  /** What the container does not share with its caller; `pid` among them is joined by the child that is cloned. */
  namespaces: readonly NamespaceType[];
  /** Who is in that pid namespace may trace (CAP_SYS_PTRACE), and not by a user namespace: it is entered last. */
  pidLast: boolean;
  /** Start inside the cgroup whose directory is descriptor 8. */
  intoCgroup: boolean;
  /** Keep a pipe to the command's stdin; without it stdin is /dev/null. */
  stdin: boolean;
  /**
   * Where the pidfd of the container's first process is: `inherited` at descriptor 9, or in `ExecProgram.target`, which
   * the container's own monitor fills in.
   */
  target: 'inherited' | 'slot';
  /** Somebody listens at the sync socket, descriptor 4; without one a failure is seen by the exit status alone. */
  sync: boolean;
  /** The maps of the container's user namespace, where it has one of its own. */
  userns?: Pick<UserNamespace, 'uids' | 'gids'> | undefined;
  /** The container's seccomp filter. */
  seccomp: Uint8Array | undefined;
  /** Limits (`RLIMIT_…`) that the user did not ask for: a refusal to raise them stops nothing. */
  lenientRlimit: (type: string) => boolean;
  unattended?: UnattendedExec;
}

export interface UnattendedExec extends Unattended {
  /** Flags of seccomp(2). */
  seccompFlags: number;
  /** By file of /proc/self/attr: labels of AppArmor and SELinux for what execve makes of the process. */
  labels: Readonly<Record<string, string>>;
  /** Who runs the program waits for the command. */
  stays?: boolean;
  /** The program, where it is not what the first argument names. */
  executable?: string;
  /** That of the container. */
  personality?: Linux['personality'];
  memoryPolicy?: Linux['memoryPolicy'] | undefined;
}

/** A program and what whoever runs it has to find in its memory. */
export interface ExecProgram {
  builder: ProgramBuilder;
  /** Finishes the program; with a place for the monitor's configuration. */
  build(config?: Place): Program;
  pid: Load;
  pidfd: Load;
  stdio: MonitoredStdio;
  /** With `target: 'slot'`: 4 bytes for the number of the pidfd, to be filled in before the program runs. */
  target: Load | undefined;
}

/** The pidfd while the child joins: all that it keeps beside 0, 1, 2 and the sync socket. */
const fdJoin = 5;
/** Beside it the socket for the terminal's master. */
const fdKeptConsole = 6;
/** Higher than any number that is laid out: what is moved here first collides with nothing. */
const fdLifted = 64;

/** Compiles the start of a further process. Throws `USAGE` on a process that it cannot serve. */
export function compileExec(options: Omit<ExecOptions, 'unattended'>): ExecProgram {
  const b = new ProgramBuilder();
  const stdio = openStdio(b, options.process.terminal === true, options.stdin);
  return { ...compile(b, options, stdio), stdio };
}

/** The same without a monitor. */
export function compileUnattendedExec(options: ExecOptions & { unattended: UnattendedExec }): Program {
  const kind = options.process.terminal === true ? 'console' : 'inherited';
  return compile(new ProgramBuilder(), options, { kind }).build();
}

function compile(b: ProgramBuilder, options: ExecOptions, stdio: Stdio): Omit<ExecProgram, 'stdio'> {
  const { process, unattended } = options;
  const { uid } = process.user;
  const pid = b.slot('pid');
  const pidfd = b.slot('pidfd');
  const target = options.target === 'slot' ? b.slot("pidfd of the container's first process") : undefined;
  const container = target ?? fdTarget;
  const joinPid = options.namespaces.includes('pid');
  const errorFd = unattended !== undefined ? errorFdOf(unattended.preserved) : options.sync ? fdSync : -1;

  b.enter('namespaces');
  b.call('prctl', [PR_SET_DUMPABLE, 0, 0, 0, 0], {
    title: 'not dumpable',
    why: 'no process of the container can look into what is cloned from here: it still knows the host',
  });
  setAffinity(b, process.execCPUAffinity?.initial, 'while it joins');
  const v1 = openV1(b, unattended?.v1Procs);
  const own = b.slot('own pid namespace');
  const late = joinPid && options.pidLast ? prepareLateEntry(b, options.sync) : undefined;
  const joinsByClone = joinPid && late === undefined;
  if (joinsByClone) {
    b.call('openat', [AT_FDCWD, b.text('/proc/self/ns/pid'), O_RDONLY | O_CLOEXEC, 0], {
      title: 'open the own pid namespace',
      store: own,
    });
    b.call('setns', [container, CLONE_NEWPID], {
      title: 'children belong to the pid namespace of the container',
      why: 'a pid namespace is entered by children only',
      hints: joinHints,
    });
  }
  const child = cloneChild(b, late?.joiner ?? pid, late?.joinerFd ?? pidfd, {
    flags: late === undefined ? 0 : CLONE_PARENT_SETTID,
    args: late?.args,
    intoCgroup: options.intoCgroup,
    title: late === undefined ? 'make the process' : 'make the process that joins',
    why: "in the container's cgroup from its first moment, so that nothing of it escapes limits and the final kill",
  });

  // The parent.
  if (joinsByClone) {
    b.call('setns', [own, CLONE_NEWPID], {
      title: 'monitor: children belong to the own pid namespace again',
      why: 'a process that makes children elsewhere can make no threads, and the monitor becomes a program with threads at its end',
    });
    b.call('close', [own], { title: 'monitor: close the own pid namespace' });
  }
  if (target !== undefined && late === undefined) {
    b.call('close', [pidfd], {
      title: 'monitor: close the pidfd',
      why: 'it is the parent, and checks are many',
    });
  }
  if (late !== undefined) followLateEntry(b, late, process, pid, unattended !== undefined);
  else if (options.sync) tellPid(b, pid);
  monitorStdio(b, stdio);
  if (unattended?.stays === true) {
    for (const fd of [fdSync, errorFd]) {
      b.call('close', [fd], {
        title: 'close the sync socket',
        why: 'who waits for the end of the command is not to hide that it runs',
      });
    }
  }
  b.call('end', [], { title: 'monitor: go on with supervising' });

  // The child.
  b.mark(child);
  if (late !== undefined) beginLateEntry(b, late, errorFd);
  enterV1(b, v1);
  if (unattended !== undefined && process.execCPUAffinity === undefined) resetAffinity(b);
  const c: ProcessContext = {
    b,
    options: {
      init: false,
      seccomp: options.seccomp,
      lenientRlimit: options.lenientRlimit,
      newKeyring: unattended === undefined,
      ...(unattended === undefined ? {} : { errorFd, listenerFd: errorFd + 1, seccompFlags: unattended.seccompFlags }),
      ...(unattended?.executable === undefined ? {} : { executable: unattended.executable }),
    },
  };
  if (unattended !== undefined) {
    prepareProcess(c, process, unattended, late !== undefined);
    compilePersonality(c, unattended.personality);
    compileMemoryPolicy(c, unattended.memoryPolicy);
  }
  oomScore(b, process.oomScoreAdj);
  giveUpHost(b, options, container, stdio, options.userns === undefined ? uid : hostId(options.userns.uids, uid));
  // Who is in a user namespace raises no limit any more.
  if (options.userns !== undefined) compileRlimits(c, process);
  join(b, late === undefined ? options.namespaces.filter((type) => type !== 'pid') : options.namespaces);
  if (options.namespaces.includes('user')) becomeRoot(c);
  const forked = late !== undefined;
  if (stdio.kind === 'terminal') {
    const terminal = makeTerminal(b, uid, 0);
    // Of one that is cloned here the monitor sets it, while the command is still on its way.
    if (forked) setSize(b, terminal, process.consoleSize);
    takeStdio(b, uid, stdio, terminal, { forked });
  }
  if (stdio.kind === 'console') {
    const terminal = makeTerminal(b, uid, fdKeptConsole);
    setSize(b, terminal, process.consoleSize);
    if (unattended?.plainTerminal === true) setPlain(b, terminal);
    takeStdio(b, uid, stdio, terminal, { forked });
  }
  b.enter('security');
  if (unattended === undefined) {
    b.call('close_range', [fdJoin, 0xffffffff, 0], {
      title: 'close all other descriptors',
      why: 'the command is to see descriptors 0, 1 and 2 and nothing else (Linux 5.9)',
    });
  } else layOut(b, unattended);
  if (options.userns === undefined) compileRlimits(c, process);
  becomeCommand(c, process, 'container', () => {
    if (late === undefined) return;
    enterPidNamespace(b, late);
    leadSession(b, process.terminal === true);
  });
  return {
    builder: b,
    pid,
    pidfd,
    target,
    build: (config) => b.build({ errorFd, ...(config === undefined ? {} : { config }) }),
  };
}

const joinHints = {
  ESRCH: 'the container has ended meanwhile',
  EINVAL: 'setns with a pidfd needs Linux 5.8',
  EPERM: 'joining namespaces needs root',
} as const;

/** Before the namespaces change: there this process can no longer find a proc that it may trust. */
function oomScore(b: ProgramBuilder, adjustment: number | undefined): void {
  if (adjustment === undefined) return;
  b.enter('identity');
  const value = String(adjustment);
  const fd = b.slot('oom_score_adj');
  b.call('openat', [AT_FDCWD, b.text('/proc/self/oom_score_adj'), O_WRONLY | O_CLOEXEC, 0], {
    title: 'open /proc/self/oom_score_adj',
    why: "of the host's proc: the container's could be anything",
    store: fd,
  });
  b.call('write', [fd, b.text(value), value.length], {
    title: `out-of-memory score ${value}`,
    why: 'whom the kernel ends first when memory runs out',
    shell: `echo ${value} >/proc/self/oom_score_adj`,
    expect: { equals: value.length },
    hints: { EACCES: 'lowering it needs CAP_SYS_RESOURCE' },
  });
}

/** Descriptors 0, 1 and 2 become the command's; of the others stay the sync socket and the pidfd. */
function giveUpHost(
  b: ProgramBuilder,
  options: ExecOptions,
  container: Load | number,
  stdio: Stdio,
  uid: number,
): void {
  b.enter('console');
  const lift = (fd: Load | number, name: string): Load => {
    const lifted = b.slot(name);
    b.call('fcntl', [fd, F_DUPFD_CLOEXEC, fdLifted], {
      title: `move ${name} out of the way`,
      why: 'its number may be one that is laid out below',
      store: lifted,
    });
    return lifted;
  };
  const target = lift(container, 'the pidfd');
  if (stdio.kind === 'pipes') {
    const moved = <End extends { container: Load; monitor: Load }>(end: End): End => ({
      ...end,
      container: lift(end.container, end.container.label),
    });
    const ends = {
      ...stdio,
      stdin: stdio.stdin && moved(stdio.stdin),
      stdout: moved(stdio.stdout),
      stderr: moved(stdio.stderr),
    };
    takeStdio(b, uid, ends, undefined, { host: true });
  } else if (stdio.kind === 'inherited') {
    takeStdio(b, uid, stdio, undefined);
  } else if (stdio.kind === 'terminal') {
    const socket = lift(stdio.container, stdio.container.label);
    for (const fd of [0, 1, 2]) {
      b.call('dup3', [socket, fd, 0], {
        title: `the console socket is descriptor ${fd}`,
        why: 'until the terminal is there; what the monitor has there is the terminal of its caller',
      });
    }
  }
  b.enter('security');
  const why = 'before the container can see this process: a directory of the host in /proc/PID/fd would be a way out';
  const { unattended } = options;
  if (unattended !== undefined) {
    // What stays are sockets and what the caller wants to hand on.
    if (stdio.kind === 'console') {
      b.call('dup3', [fdConsole, fdKeptConsole, O_CLOEXEC], { title: 'keep the console socket' });
    }
    b.call('dup3', [target, fdJoin, O_CLOEXEC], { title: 'keep the pidfd' });
    const errorFd = errorFdOf(unattended.preserved);
    const first = stdio.kind === 'console' ? fdKeptConsole + 1 : fdJoin + 1;
    b.call('close_range', [first, errorFd - 1, 0], { title: 'close all descriptors of the host', why });
    b.call('close_range', [errorFd + 1 + unattended.preserved, 0xffffffff, 0], { title: 'those above too', why });
    b.call('close_range', [fdProgram, fdSync, 0], { title: 'close the program' });
    return;
  }
  b.call('dup3', [target, fdJoin, O_CLOEXEC], { title: 'keep the pidfd' });
  b.call('close_range', [fdJoin + 1, 0xffffffff, 0], { title: 'close all descriptors of the host', why });
  b.call('close_range', [fdProgram, options.sync ? fdProgram : fdSync, 0], { title: 'close the program' });
  if (options.sync) {
    b.call('fcntl', [fdSync, 2, 1], {
      title: 'the sync socket ends with execve',
      why: 'its end tells the other side that the command runs',
    });
  }
}

/** One call for all namespaces: the kernel enters all or none. */
function join(b: ProgramBuilder, types: readonly NamespaceType[]): void {
  b.enter('namespaces');
  if (types.length === 0) return;
  const flags = types.reduce((set, type) => set | cloneFlags[type], 0);
  b.call('setns', [fdJoin, flags], {
    title: `enter the namespaces of the container: ${types.join(', ')}`,
    why: 'by its pidfd, all at once; root and working directory become those of its mount namespace',
    shell: `nsenter --target $PID ${types.map((type) => `--${type === 'network' ? 'net' : type}`).join(' ')}`,
    hints: joinHints,
  });
}

/** A terminal of the container's own devpts; its master leaves by the console socket. */
function makeTerminal(b: ProgramBuilder, uid: number, socket: number): Load {
  b.enter('console');
  const master = b.slot("the terminal's master in the container");
  const how = openHow(b, O_RDWR | O_NOCTTY | O_CLOEXEC, RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS);
  b.call('openat2', [AT_FDCWD, b.text('/dev/pts/ptmx'), how, 24], {
    title: "open the container's multiplexer of terminals",
    why: 'no link is followed: the container may have laid one there',
    store: master,
    retry: { errno: 'EAGAIN', times: 128 },
    hints: { ENOENT: 'the container has no devpts at /dev/pts', ELOOP: 'the container has a link there' },
  });
  const peer = openPeer(b, master, uid);
  sendMaster(b, master, socket);
  return peer;
}
