/**
 * What a start in two halves has more than one with a monitor (OCI runtime-spec runtime.md, "Lifecycle"): the process that
 * runs the program ends, so that it can enter namespaces itself; the first process waits for the second half.
 */
import { TsrunError } from '../../error.ts';
import {
  AT_FDCWD,
  CLONE_NEWTIME,
  MNT_DETACH,
  MS_MOVE,
  MS_PRIVATE,
  MS_RDONLY,
  MS_SHARED,
  MS_SLAVE,
  MS_UNBINDABLE,
  O_CLOEXEC,
  O_DIRECTORY,
  O_PATH,
  O_WRONLY,
  PR_SET_KEEPCAPS,
  SOCK_CLOEXEC,
} from '../../linux/constants.ts';
import type { Load, ProgramBuilder } from '../../program/program.ts';
import type { LinuxDevice, LinuxNamespace, NamespaceType, Spec } from '../spec.ts';
import { joinKeyring } from './become.ts';
import { cloneFlags } from './clone.ts';
import {
  type Context,
  errorFdOf,
  fdProgram,
  fdStart,
  fdSync,
  type Handover,
  type ProcessContext,
  quote,
  type Unattended,
} from './context.ts';
import { openDevices } from './devices.ts';
import { writeProc } from './identity.ts';
import { type OpenedBind, openBinds } from './mounts.ts';

/** What was opened before the clone, by a process that may still open everything. */
export interface Prepared {
  binds: OpenedBind[] | undefined;
  devices: Map<LinuxDevice, Load> | undefined;
}

/** The parent's side before the clone. */
export function prepare(
  c: Context,
  handover: Handover,
  namespaces: ReadonlySet<NamespaceType>,
  joined: readonly LinuxNamespace[],
): Prepared {
  const { b } = c;
  // A mapping is given to a mount by who rules the filesystem, and sources are opened by who may: not in a user namespace.
  const early = handover.userNamespace || handover.idmaps.size > 0;
  const binds = early ? openBinds(c) : undefined;
  const devices = handover.bindDevices ? openDevices(c) : undefined;
  b.enter('namespaces');
  const last = (type: NamespaceType): number => (type === 'user' ? 2 : type === 'mount' ? 1 : 0);
  for (const namespace of [...joined].sort((x, y) => last(x.type) - last(y.type))) enterNamespace(b, namespace);
  if (namespaces.has('time')) makeTimeNamespace(b, c.spec);
  return { binds, devices };
}

/** Opens a namespace by its path and enters it (man 2 setns). */
export function enterNamespace(b: ProgramBuilder, { type, path = '' }: LinuxNamespace): Load {
  const fd = b.slot(`${type} namespace`);
  b.call('openat', [AT_FDCWD, b.text(path), O_CLOEXEC, 0], {
    title: `open the ${type} namespace ${path}`,
    store: fd,
    hints: { ENOENT: 'the process that it belongs to has ended' },
  });
  b.call('setns', [fd, cloneFlags[type] ?? 0], {
    title: `enter the ${type} namespace ${path}`,
    shell: `nsenter --${type === 'network' ? 'net' : type}=${quote(path)}`,
    hints: { EINVAL: `"${path}" is no ${type} namespace, or it is the own one` },
  });
  return fd;
}

/** man 7 time_namespaces: the clocks of a new one can be set until a process is in it. */
function makeTimeNamespace(b: ProgramBuilder, spec: Spec): void {
  b.call('unshare', [CLONE_NEWTIME], {
    title: 'new time namespace for children',
    why: 'its clocks are set before anybody is in it',
    shell: 'unshare --time',
    hints: { EINVAL: 'this kernel has no time namespaces (Linux 5.6)' },
  });
  const offsets = Object.entries(spec.linux?.timeOffsets ?? {});
  if (offsets.length === 0) return;
  const text = offsets.map(([clock, { secs = 0, nanosecs = 0 }]) => `${clock} ${secs} ${nanosecs}\n`).join('');
  const fd = b.slot('timens_offsets');
  b.call('openat', [AT_FDCWD, b.text('/proc/self/timens_offsets'), O_WRONLY | O_CLOEXEC, 0], {
    title: 'open /proc/self/timens_offsets',
    store: fd,
  });
  b.call('write', [fd, b.text(text), text.length], {
    title: `set its clocks: ${text.trim().replaceAll('\n', ', ')}`,
    expect: { equals: text.length },
    hints: { ERANGE: 'a clock cannot be set below zero', EINVAL: 'clocks are monotonic and boottime' },
  });
  b.call('close', [fd], { title: 'close timens_offsets' });
}

/** In a new user namespace nobody is anybody until somebody outside has written its maps. */
export function waitForMappings(c: Context): void {
  c.b.enter('namespaces');
  c.b.call('read', [fdSync, c.b.reserve(8, 'answer'), 1], {
    title: 'wait until the user namespace has its maps',
    why: 'they are written from outside (man 7 user_namespaces)',
    expect: { equals: 1 },
  });
}

/** Sources and root are open, by who may open them: from here on files are made, which an unmapped user cannot. */
export function becomeRoot(c: ProcessContext): void {
  const { b } = c;
  b.enter('identity');
  b.call('prctl', [PR_SET_KEEPCAPS, 1, 0, 0, 0], { title: 'keep capabilities over the change of user' });
  b.call('setresgid', [0, 0, 0], {
    title: 'become group 0 of the user namespace',
    why: 'files are made for root of the container, not for that of the host',
    hints: { EINVAL: 'the mapping of groups has no 0' },
  });
  b.call('setresuid', [0, 0, 0], {
    title: 'become user 0 of the user namespace',
    hints: { EINVAL: 'the mapping of users has no 0' },
  });
}

/** A config without a proc mount can have settings too: they are written through the host's, until that is gone. */
export function openProc(c: Context): void {
  const mounted = (c.spec.mounts ?? []).some(({ destination, type }) => destination === '/proc' && type === 'proc');
  if (mounted) return;
  c.b.call('openat', [AT_FDCWD, c.b.text('/proc'), O_PATH | O_DIRECTORY | O_CLOEXEC, 0], {
    title: 'open /proc of the host',
    why: 'the container has none of its own, and settings of its namespaces are to be written',
    store: c.proc,
  });
}

/** The last thing that `create` does: the process is complete, and waits. */
export function waitForStart(b: ProgramBuilder, { keyring, preserved, labels }: Handover): void {
  b.enter('security');
  // Labels are written through a descriptor of proc, after start.
  if (Object.keys(labels).length === 0) closeDone(b, preserved);
  if (keyring !== undefined) joinKeyring(b, keyring);
  b.enter('exec');
  const connection = b.slot('connection');
  b.call('accept4', [fdStart, 0, 0, SOCK_CLOEXEC], {
    title: 'wait for start',
    why: 'whoever connects hears how it went: an errno, or the end that execve makes of it',
    store: connection,
  });
  b.call('dup3', [connection, errorFdOf(preserved), O_CLOEXEC], { title: 'tell failures there from now on' });
}

/** All that nothing needs any more: this process may wait for long, and the container is not to find it in its proc. */
function closeDone(b: ProgramBuilder, preserved: number): void {
  const errorFd = errorFdOf(preserved);
  const ranges = [
    [fdProgram, fdStart - 1],
    [fdStart + 1, errorFd - 1],
    [errorFd + 1 + preserved, 0xffffffff],
  ] as const;
  for (const [first, last] of ranges) {
    b.call('close_range', [first, last, 0], {
      title: `close descriptors from ${first} on`,
      why: 'directories of the host and of its cgroups are not needed while it waits',
    });
  }
}

/** Labels for what execve makes of the process (Documentation/admin-guide/LSM). */
export function writeLabels(c: Context, { labels }: Handover): void {
  c.b.enter('security');
  for (const [file, value] of Object.entries(labels)) {
    writeProc(c, `self/attr/${file}`, value, {
      title: `label ${JSON.stringify(value)} in ${file}`,
      why: 'the security module of the host confines the command by it',
      shell: `echo ${quote(value)} >/proc/self/attr/${file}`,
      hint: 'the security module of the host does not know it',
    });
  }
}

/** Descriptors of the caller become 3, 4, …; all others are closed, but the one that tells failures. */
export function layOut(b: ProgramBuilder, { preserved }: Pick<Unattended, 'preserved'>): void {
  b.enter('security');
  const errorFd = errorFdOf(preserved);
  for (let index = 0; index < preserved; index++) {
    b.call('dup3', [errorFd + 1 + index, fdProgram + index, 0], {
      title: `hand on descriptor ${fdProgram + index}`,
      why: 'asked for by --preserve-fds or LISTEN_FDS',
      tolerate: ['EBADF'],
    });
  }
  const why = 'a directory of the host in /proc/self/fd would be a way out (Linux 5.9)';
  b.call('close_range', [fdProgram + preserved, errorFd - 1, 0], { title: 'close all other descriptors', why });
  b.call('close_range', [errorFd + 1, 0xffffffff, 0], { title: 'close those above too', why });
  b.call('fcntl', [errorFd, 2, 1], {
    title: 'the connection ends with execve',
    why: 'its end tells the other side that the command runs',
  });
}

/**
 * --no-pivot: the root of an initramfs cannot be changed by pivot_root. The old root stays below the new one, and while a proc
 * without masks is mounted there, the kernel lets a process in a user namespace of its own mount another (`bare`: mount points).
 */
export function layOverRoot(c: Context, bare: readonly string[]): void {
  const { b } = c;
  for (const path of bare) hideMount(c, path);
  b.call('mount', [b.text('.'), b.text('/'), 0, MS_MOVE, 0], {
    title: 'move the new root over the old one',
    why: 'asked for by --no-pivot; weaker than pivot_root, after which the old root is gone',
    shell: 'mount --move . /',
  });
  b.call('chroot', [b.text('.')], { title: 'make it the root', shell: 'chroot .' });
  b.call('chdir', [b.text('/')], { title: 'stand in the new root', shell: 'cd /' });
  rootPropagation(c);
}

function hideMount({ b, options }: Context, path: string): void {
  // What came with the mount namespace of another user namespace is locked (man 7 mount_namespaces): it is covered.
  if (options.handover?.userNamespace === true) {
    b.call('mount', [b.text('tmpfs'), b.text(path), b.text('tmpfs'), MS_RDONLY, 0], {
      title: `cover ${path} of the old root`,
      why: 'while it is to be seen, the container can mount another one without masks',
      shell: `mount -t tmpfs -o ro tmpfs ${quote(path)}`,
      tolerate: ['ENOENT'],
    });
    return;
  }
  b.call('umount2', [b.text(path), MNT_DETACH], {
    title: `take ${path} of the old root away`,
    why: 'while it is to be seen, the container can mount another one without masks',
    shell: `umount -l ${quote(path)}`,
    // It may have gone with what it lay in.
    tolerate: ['ENOENT', 'EINVAL'],
  });
}

const propagations: Readonly<Record<string, number>> = {
  shared: MS_SHARED,
  slave: MS_SLAVE,
  private: MS_PRIVATE,
  unbindable: MS_UNBINDABLE,
};

/** `linux.rootfsPropagation`, for the root as the container sees it. Mounts below it have words of their own for that. */
export function rootPropagation(c: Context): void {
  const word = c.spec.linux?.rootfsPropagation;
  if (word === undefined) return;
  const flags = propagations[word.replace(/^r/, '')];
  if (flags === undefined) throw new TsrunError('USAGE', `rootfsPropagation ${JSON.stringify(word)} is not known`);
  c.b.call('mount', [0, c.b.text('/'), 0, flags, 0], {
    title: `make the root ${word}`,
    why: 'asked for by rootfsPropagation',
    shell: `mount --make-${word.replace(/^r/, '')} /`,
  });
}
