/**
 * Joining a container whose root may trace (man 2 ptrace, CAP_SYS_PTRACE): what is in its pid namespace can be stopped at
 * any call, read, and made to do anything, dumpable or not. So a process outside of that namespace gives up the host, joins
 * everything else and becomes who the command is to be; only then it makes the command's process in there, which does next
 * to nothing before execve. It is its sibling (CLONE_PARENT), so that the monitor is the parent.
 *
 * Whatever the process outside has, the new one has too. So the pid is told by memory that a fork does not copy, and
 * failures go to a socket of which the monitor believes nothing but that there was one.
 */
import {
  AF_UNIX,
  CLONE_PARENT,
  CLONE_PARENT_SETTID,
  F_DUPFD_CLOEXEC,
  MADV_DONTFORK,
  MAP_SHARED,
  MFD_CLOEXEC,
  O_CLOEXEC,
  P_PID,
  POLLIN,
  PROT_READ,
  PROT_WRITE,
  SOCK_CLOEXEC,
  SOCK_SEQPACKET,
  WEXITED,
  WNOHANG,
  WNOWAIT,
  WSTOPPED,
} from '../../linux/constants.ts';
import type { Load, Place, ProgramBuilder } from '../../program/program.ts';
import type { Process } from '../spec.ts';
import { tellPid } from './clone.ts';
import { fdSync, messageError } from './context.ts';
import { scheduleForked } from './scheduling.ts';

/** What the monitor and the process that joins have in common. */
export interface LateEntry {
  /** For clone3, which writes the pid of the process that joins to where that one writes the command's. */
  args: Place;
  /** The pid of the process that joins, and its pidfd. */
  joiner: Load;
  joinerFd: Load;
  memory: Load;
  address: Load;
  /** Absent where nobody listens. `poll`: two struct pollfd, with room for another descriptor of the monitor's end. */
  failures: { monitor: Load; joiner: Load; poll: Place; polled: Load } | undefined;
}

const pageSize = 4096;

/** The monitor's side, before it makes the process that joins. */
export function prepareLateEntry(b: ProgramBuilder, sync: boolean): LateEntry {
  b.enter('namespaces');
  const args = b.reserve(88, 'struct clone_args');
  const address = b.field(args, 24, 8, 'memory for the pid');
  const memory = b.slot('memory file for the pid');
  b.call('memfd_create', [b.text('tsrun-pid'), MFD_CLOEXEC], {
    title: 'memory file for the pid of the command',
    why: 'another process makes the command; a pipe to it would be open in the command too, for whoever traces it',
    store: memory,
  });
  b.call('ftruncate', [memory, pageSize], { title: 'a page of it' });
  b.call('mmap', [0, pageSize, PROT_READ | PROT_WRITE, MAP_SHARED, memory, 0], {
    title: 'map it, shared with who joins',
    store: address,
  });
  const joiner = b.slot('pid of the process that joins');
  const poll = b.reserve(16, 'struct pollfd of both');
  b.at(poll).writeUInt16LE(POLLIN, 4);
  b.at(poll).writeUInt16LE(POLLIN, 12);
  const joinerFd = b.field(poll, 8, 4, 'pidfd of the process that joins');
  const made = { args, joiner, joinerFd, memory, address };
  if (!sync) return { ...made, failures: undefined };
  const pair = b.reserve(8, 'sockets for failures');
  b.call('socketpair', [AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair], {
    title: 'socket pair for failures of the command',
    why: 'who traces the command speaks with its voice: what comes from there is not passed on as it is',
  });
  const failures = {
    monitor: b.field(pair, 0, 4, 'socket for failures, the own end'),
    joiner: b.field(pair, 4, 4, 'socket for failures, the end of the command'),
    poll,
    polled: b.field(poll, 0, 4, 'the second descriptor of it'),
  };
  return { ...made, failures };
}

/**
 * The monitor's side behind the clone: `pid` becomes that of the command. `alone`: nobody collects the other process later, nor
 * gives it up while it is on its way.
 */
export function followLateEntry(
  b: ProgramBuilder,
  { joiner, joinerFd, memory, address, failures }: LateEntry,
  process: Process,
  pid: Load,
  alone: boolean,
): void {
  if (failures !== undefined) {
    if (!alone) tellPid(b, joiner);
    b.call('close', [failures.joiner], { title: `monitor: close ${failures.joiner.label}` });
    b.call('fcntl', [failures.monitor, F_DUPFD_CLOEXEC, 0], {
      title: 'monitor: put the socket into the list of what is waited for',
      store: failures.polled,
    });
    b.call('ppoll', [failures.poll, 2, 0, 0, 8], {
      title: 'monitor: wait for the end of the process that joins, or for a failure',
      why: 'behind that it is known which process is that of the command',
    });
    b.call('close', [failures.polled], { title: `monitor: close ${failures.polled.label}` });
  }
  if (failures === undefined) awaitJoiner(b, joiner);
  const place: Place = { kind: 'place', offset: pid.offset, size: 4, label: 'pid', isText: false };
  b.call('pread64', [memory, place, 4, 0], {
    title: 'monitor: take the pid of the command',
    why: 'that of the process that joins, if it came no further',
    expect: { equals: 4 },
  });
  scheduleForked(b, process, pid);
  if (failures !== undefined) {
    b.enter('namespaces');
    tellPid(b, pid);
    const executed = b.label();
    const message = b.reserve(16, 'failure');
    b.call('read', [failures.monitor, message, 16], {
      title: 'monitor: wait until the command runs',
      why: 'its end of the socket is closed by execve; anything else that comes is a failure',
      branch: executed,
    });
    passOn(b, message);
    b.mark(executed);
    b.call('close', [failures.monitor], {
      title: `monitor: close ${failures.monitor.label}`,
      why: 'a process that has failed waits for it',
    });
    if (alone) awaitJoiner(b, joiner);
  }
  if (alone) {
    b.call('wait4', [joiner, 0, WNOHANG, 0], {
      title: 'collect it',
      why: 'nobody above expects a process that is not the command',
    });
  }
  b.call('munmap', [address, pageSize], { title: 'monitor: unmap the memory of the pid' });
  for (const fd of [memory, joinerFd]) b.call('close', [fd], { title: `monitor: close ${fd.label}` });
}

function awaitJoiner(b: ProgramBuilder, joiner: Load): void {
  // Stopped counts as ended: a command that is traced can stop who made it, as one of its process group.
  b.call('waitid', [P_PID, joiner, 0, WEXITED | WSTOPPED | WNOWAIT, 0], {
    title: 'monitor: wait for the end of the process that joins',
    why: 'it has made the command then, or failed; its status stays to be collected',
  });
}

/** As an error, whatever kind of message it says that it is; then waits until somebody has looked. */
function passOn(b: ProgramBuilder, message: Place): void {
  const kind = Buffer.alloc(8);
  kind.writeUInt32LE(messageError, 0);
  const vector = b.reserve(32, 'failure, in two pieces');
  b.relocate(vector.offset, b.bytes(kind, 'message: error'));
  b.at(vector).writeBigUInt64LE(4n, 8);
  b.relocate(vector.offset + 16, { ...message, offset: message.offset + 4 });
  b.at(vector).writeBigUInt64LE(12n, 24);
  b.call('writev', [fdSync, vector, 2], { title: 'monitor: pass the failure on', expect: { equals: 16 } });
  b.call('read', [fdSync, b.reserve(8, 'answer'), 1], {
    title: 'monitor: wait until it has been looked into',
    why: 'the root of the failed process shows what is missing there',
  });
}

/** The first operations of the process that joins. */
export function beginLateEntry(b: ProgramBuilder, { address, failures }: LateEntry, errorFd: number): void {
  b.enter('namespaces');
  b.call('madvise', [address, pageSize, MADV_DONTFORK], {
    title: 'keep the memory of the pid from the command',
    why: 'a fork does not copy it: who traces the command finds no way to the monitor',
  });
  if (failures === undefined) return;
  b.call('close', [failures.monitor], { title: "close the monitor's end of the socket for failures" });
  b.call('dup3', [failures.joiner, errorFd, O_CLOEXEC], {
    title: 'tell failures to the monitor from now on',
    why: 'the sync socket is believed on its other side, and is not for the command',
  });
}

/** The last operations of the process that joins, behind which those of the command's begin. */
export function enterPidNamespace(b: ProgramBuilder, { address }: LateEntry): void {
  b.enter('namespaces');
  const command = b.label();
  b.call('clone', [CLONE_PARENT | CLONE_PARENT_SETTID, 0, address, 0, 0], {
    title: 'make the process of the command in the pid namespace of the container',
    why: 'only now, with nothing of the host left: who may trace there could look into it from its first moment',
    branch: command,
    hints: {
      EPERM: 'the seccomp filter of the container refuses clone, which is needed where it has CAP_SYS_PTRACE',
      ENOSYS: 'the seccomp filter of the container refuses clone, which is needed where it has CAP_SYS_PTRACE',
      EAGAIN: 'the limit of processes is reached: pids.max of the cgroup, or ulimit -u',
      ENOMEM: 'the container has ended meanwhile',
    },
  });
  b.call('exit_group', [0], { title: 'the process that joined ends' });
  b.mark(command);
}
