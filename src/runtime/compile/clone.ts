/** How a program makes the process that becomes the container's (man 2 clone), and tells its pid. */
import {
  AT_FDCWD,
  CLONE_INTO_CGROUP,
  CLONE_NEWCGROUP,
  CLONE_NEWIPC,
  CLONE_NEWNET,
  CLONE_NEWNS,
  CLONE_NEWPID,
  CLONE_NEWTIME,
  CLONE_NEWUSER,
  CLONE_NEWUTS,
  CLONE_PIDFD,
  O_CLOEXEC,
  O_WRONLY,
} from '../../linux/constants.ts';
import type { Label, Load, OperationInfo, Place, ProgramBuilder } from '../../program/program.ts';
import type { NamespaceType } from '../spec.ts';
import { fdCgroup, fdSync, messageCreated } from './context.ts';

/** The flags of namespaces in clone3, unshare and setns. */
export const cloneFlags: Readonly<Record<NamespaceType, number>> = {
  pid: CLONE_NEWPID,
  network: CLONE_NEWNET,
  mount: CLONE_NEWNS,
  ipc: CLONE_NEWIPC,
  uts: CLONE_NEWUTS,
  user: CLONE_NEWUSER,
  cgroup: CLONE_NEWCGROUP,
  time: CLONE_NEWTIME,
};

const SIGCHLD = 17;

/**
 * clone3 with the layout of struct clone_args: flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls,
 * set_tid, set_tid_size, cgroup. Stores pid and pidfd; the child goes on where the label is marked.
 */
export function cloneChild(
  b: ProgramBuilder,
  pid: Load,
  pidfd: Load,
  {
    flags,
    intoCgroup,
    args = b.reserve(88, 'struct clone_args'),
    ...info
  }: OperationInfo & { flags: number; intoCgroup: boolean; args?: Place | undefined },
): Label {
  const struct = b.at(args);
  struct.writeBigUInt64LE(BigInt(flags | CLONE_PIDFD) + (intoCgroup ? BigInt(CLONE_INTO_CGROUP) : 0n), 0);
  struct.writeBigUInt64LE(BigInt(SIGCHLD), 32);
  if (intoCgroup) struct.writeBigUInt64LE(BigInt(fdCgroup), 80);
  b.relocate(args.offset + 8, { kind: 'place', offset: pidfd.offset, size: 4, label: 'pidfd', isText: false });
  const child = b.label();
  b.call('clone3', [args, 88], {
    ...info,
    hints: {
      EBUSY: 'the cgroup has controllers enabled for its children and cannot take processes itself',
      EAGAIN: 'the limit of processes is reached: pids.max of the cgroup, or ulimit -u',
      ...info.hints,
    },
    store: pid,
    branch: child,
  });
  return child;
}

/** Opened by who clones, who may and sees the mounts of the host. */
export function openV1(b: ProgramBuilder, paths: readonly string[] = []): Load[] {
  return paths.map((path) => {
    const fd = b.slot(path);
    b.call('openat', [AT_FDCWD, b.text(path), O_WRONLY | O_CLOEXEC, 0], { title: `open ${path}`, store: fd });
    return fd;
  });
}

/** The child's side. */
export function enterV1(b: ProgramBuilder, files: readonly Load[]): void {
  for (const fd of files) {
    b.call('write', [fd, b.text('0'), 1], {
      title: `enter the cgroup of ${fd.label}`,
      why: 'a hierarchy of cgroup v1 is entered by a process that is there; 0 is the one that writes',
      shell: `echo $$ >${fd.label}`,
      expect: { equals: 1 },
    });
    b.call('close', [fd], { title: 'close it' });
  }
}

/** The parent's side: a message with the pid that clone3 gave. */
export function tellPid(b: ProgramBuilder, pid: Load): void {
  const created = Buffer.alloc(16);
  created.writeUInt32LE(messageCreated, 0);
  const message = b.bytes(created, 'message: created');
  // The pid lies where clone3's result was stored: a vector of three pieces makes one message without a copy.
  const vector = b.reserve(48, 'message: created, in three pieces');
  b.relocate(vector.offset, message);
  b.at(vector).writeBigUInt64LE(4n, 8);
  b.relocate(vector.offset + 16, { kind: 'place', offset: pid.offset, size: 4, label: 'pid', isText: false });
  b.at(vector).writeBigUInt64LE(4n, 24);
  b.relocate(vector.offset + 32, { kind: 'place', offset: message.offset + 8, size: 8, label: 'rest', isText: false });
  b.at(vector).writeBigUInt64LE(8n, 40);
  b.call('writev', [fdSync, vector, 3], {
    title: 'monitor: tell the pid',
    why: 'what is left to do from outside is done by TypeScript on the other side',
    expect: { equals: 16 },
  });
}
