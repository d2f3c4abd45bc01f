/** Where the container's descriptors 0, 1 and 2 come from: pipes to the monitor, or a terminal of its own devpts. */
import {
  AF_UNIX,
  AT_EMPTY_PATH,
  AT_FDCWD,
  F_DUPFD_CLOEXEC,
  MOUNT_ATTR_RDONLY,
  MSG_CMSG_CLOEXEC,
  MSG_NOSIGNAL,
  O_CLOEXEC,
  O_NOCTTY,
  O_RDONLY,
  O_RDWR,
  OPEN_TREE_CLOEXEC,
  OPEN_TREE_CLONE,
  RESOLVE_NO_MAGICLINKS,
  SCM_RIGHTS,
  SOCK_CLOEXEC,
  SOCK_SEQPACKET,
  SOL_SOCKET,
  TCSETS,
  TIOCGPTPEER,
  TIOCSCTTY,
  TIOCSPTLCK,
  TIOCSWINSZ,
} from '../../linux/constants.ts';
import type { Load, Place, ProgramBuilder } from '../../program/program.ts';
import { attach, type Context, fdConsole, makeTarget, openHow, openInRoot, setAttributes } from './context.ts';
import { outsideGid, outsideUid } from './user-namespace.ts';

/** What an unattended process has: its caller's descriptors, or a terminal whose master goes to the caller's socket. */
export type UnattendedStdio = { kind: 'inherited' } | { kind: 'console' };

/** Both ends of what connects the container with its monitor. */
export type MonitoredStdio =
  | {
      kind: 'pipes';
      /** The container's end and the monitor's; stdin is absent when nobody feeds it. */
      stdin: { container: Load; monitor: Load } | undefined;
      stdout: { container: Load; monitor: Load };
      stderr: { container: Load; monitor: Load };
    }
  | {
      kind: 'terminal';
      /** A socket pair over which the master leaves the container. */
      container: Load;
      monitor: Load;
      master: Load;
      receive: Place;
    };

export type Stdio = MonitoredStdio | UnattendedStdio;

/** Makes the pipes, or the socket for the terminal's master; runs before the clone. */
export function openStdio(b: ProgramBuilder, terminal: boolean, stdin: boolean): MonitoredStdio {
  b.enter('console');
  if (!terminal) {
    const pipe = (name: string): { read: Load; write: Load } => {
      const ends = b.reserve(8, `pipe of ${name}`);
      const read = b.field(ends, 0, 4, `${name}, read end`);
      const write = b.field(ends, 4, 4, `${name}, write end`);
      b.call('pipe2', [ends, O_CLOEXEC], {
        title: `pipe for ${name}`,
        why: 'the monitor stands between the container and whoever looks at it: a log, a terminal, nobody',
      });
      return { read, write };
    };
    const input = stdin ? pipe('stdin') : undefined;
    const output = pipe('stdout');
    const error = pipe('stderr');
    return {
      kind: 'pipes',
      stdin: input && { container: input.read, monitor: input.write },
      stdout: { container: output.write, monitor: output.read },
      stderr: { container: error.write, monitor: error.read },
    };
  }
  const pair = b.reserve(8, 'console sockets');
  b.call('socketpair', [AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair], {
    title: 'socket pair for the terminal',
    why: "the terminal's master is opened in the container's own devpts and leaves it as a message",
  });
  const receive = message(b, 'receive the terminal');
  return {
    kind: 'terminal',
    container: b.field(pair, 0, 4, 'console socket of the container'),
    monitor: b.field(pair, 4, 4, 'console socket of the monitor'),
    master: b.field(receive.control, 16, 4, "the terminal's master"),
    receive: receive.header,
  };
}

/** A msghdr (man 3 cmsg) with one byte of data and room for one descriptor. */
function message(b: ProgramBuilder, label: string): { header: Place; control: Place } {
  const data = b.bytes(Buffer.from('m'), `${label}: data`);
  const vector = b.reserve(16, `${label}: iovec`);
  b.relocate(vector.offset, data);
  b.at(vector).writeBigUInt64LE(1n, 8);
  const control = b.reserve(24, `${label}: cmsghdr`);
  b.at(control).writeBigUInt64LE(20n, 0);
  b.at(control).writeInt32LE(SOL_SOCKET, 8);
  b.at(control).writeInt32LE(SCM_RIGHTS, 12);
  b.at(control).writeInt32LE(-1, 16);
  const header = b.reserve(56, `${label}: msghdr`);
  b.relocate(header.offset + 16, vector);
  b.at(header).writeBigUInt64LE(1n, 24);
  b.relocate(header.offset + 32, control);
  b.at(header).writeBigUInt64LE(24n, 40);
  return { header, control };
}

/** The monitor's side, after the clone: gives up the container's ends and takes the master. */
export function monitorStdio(b: ProgramBuilder, stdio: Stdio): void {
  if (stdio.kind === 'inherited' || stdio.kind === 'console') return;
  b.enter('console');
  const closeEnd = (fd: Load): void => {
    b.call('close', [fd], {
      title: `monitor: close ${fd.label}`,
      why: 'only the container holds it then, so that its end is seen',
    });
  };
  if (stdio.kind === 'pipes') {
    if (stdio.stdin !== undefined) closeEnd(stdio.stdin.container);
    closeEnd(stdio.stdout.container);
    closeEnd(stdio.stderr.container);
    return;
  }
  closeEnd(stdio.container);
  b.call('recvmsg', [stdio.monitor, stdio.receive, MSG_CMSG_CLOEXEC], {
    title: "monitor: receive the terminal's master",
    expect: { equals: 1 },
    why: 'waits until the container has made its devpts; the end of the container ends the wait',
  });
  closeEnd(stdio.monitor);
}

/** The container's side of a terminal, after its mounts are there. */
export function makeTerminal(c: Context, stdio: Stdio): Load | undefined {
  if (stdio.kind !== 'terminal' && stdio.kind !== 'console') return undefined;
  const { b } = c;
  b.enter('console');
  const master = openInRoot(c, '/dev/pts/ptmx', {
    title: "open the own devpts' multiplexer",
    why: 'the newest terminal of a devpts that only this container has',
    flags: O_RDWR | O_NOCTTY,
  });
  const peer = openPeer(b, master, outsideUid(c, c.spec.process?.user.uid ?? 0), outsideGid(c, ttyGroup));
  setSize(b, peer, c.spec.process?.consoleSize);
  if (c.options.handover?.plainTerminal === true) setPlain(b, peer);
  const tree = b.slot('tree of the terminal');
  b.call('open_tree', [peer, b.text(''), OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH], {
    title: "copy the terminal's mount",
    store: tree,
  });
  // A link there could lead the mount over a file of proc that is written or masked later (CVE-2025-52565).
  const target = makeTarget(c, '/dev/console', 'file', true);
  attach(c, tree, target, { title: 'lay it on /dev/console', why: 'programs write their last words there' });
  sendMaster(b, master, stdio.kind === 'terminal' ? stdio.container : fdConsole);
  return peer;
}

/** `process.consoleSize` (man 2 TIOCSWINSZ): rows, columns, and two numbers that nobody uses. */
export function setSize(b: ProgramBuilder, terminal: Load, size: { height: number; width: number } | undefined): void {
  if (size === undefined || (size.height === 0 && size.width === 0)) return;
  const struct = Buffer.alloc(8);
  struct.writeUInt16LE(size.height & 0xffff, 0);
  struct.writeUInt16LE(size.width & 0xffff, 2);
  b.call('ioctl', [terminal, TIOCSWINSZ, b.bytes(struct, 'struct winsize')], {
    title: `terminal of ${size.height} rows and ${size.width} columns`,
    shell: `stty rows ${size.height} columns ${size.width}`,
  });
}

/**
 * What a new terminal has (the kernel's tty_std_termios and INIT_C_CC), but for ONLCR: c_iflag, c_oflag, c_cflag, c_lflag,
 * c_line, c_cc.
 */
const plainTermios = Buffer.concat([
  Buffer.from(Uint32Array.of(0x500, 0x1, 0xbf, 0x8a3b).buffer),
  Buffer.from([0, 3, 28, 127, 21, 4, 0, 1, 0, 17, 19, 26, 0, 18, 15, 23, 22, 0, 0, 0]),
]);

/** Lines end as the program ends them (man 3 termios, ONLCR). */
export function setPlain(b: ProgramBuilder, terminal: Load): void {
  b.call('ioctl', [terminal, TCSETS, b.bytes(plainTermios, 'struct termios')], {
    title: 'no carriage returns before the ends of lines',
    why: 'a pipe or a file gets the output',
    shell: 'stty -onlcr',
  });
}

/** The group of terminals, in every distribution. */
const ttyGroup = 5;

/** The other side of a new terminal, unlocked and owned by `uid`. */
export function openPeer(b: ProgramBuilder, master: Load, uid: number, gid = ttyGroup): Load {
  const unlock = b.reserve(8, 'unlock');
  b.call('ioctl', [master, TIOCSPTLCK, unlock], {
    title: 'unlock the terminal',
    why: 'a new one is locked (man 3 unlockpt)',
  });
  const peer = b.slot('terminal');
  b.call('ioctl', [master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC], {
    title: 'open its other side',
    why: 'by the master, never by a path like /dev/pts/0 that could be replaced (Linux 4.13)',
    store: peer,
  });
  b.call('fchown', [peer, uid, gid], {
    title: `give the terminal to user ${uid}, group tty`,
    tolerate: ['EINVAL', 'EPERM'],
  });
  return peer;
}

/** Sends the master over the console socket. */
export function sendMaster(b: ProgramBuilder, master: Load, socket: Load | number): void {
  const { header, control } = message(b, 'send the terminal');
  const slot = b.field(control, 16, 4, 'descriptor in the message');
  b.call('fcntl', [master, F_DUPFD_CLOEXEC, 0], { title: 'put the master into a message', store: slot });
  b.call('sendmsg', [socket, header, MSG_NOSIGNAL], {
    title: 'send the master to the monitor',
    expect: { equals: 1 },
    hints: { EPIPE: 'nobody reads from the console socket any more' },
  });
}

/**
 * The host's null device, before a container is joined whose own could be anything. Through a mount that is read-only: root in
 * the container owns the node by its number, and could change its mode for the whole machine.
 */
function openHostNull(b: ProgramBuilder, input: Load): void {
  const devices = b.slot('read-only copy of /dev');
  b.call('open_tree', [AT_FDCWD, b.text('/dev'), OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC], {
    title: 'copy the mount of /dev',
    why: 'the command is to have the null device and no way to change it',
    store: devices,
  });
  setAttributes(
    { b },
    devices,
    { set: MOUNT_ATTR_RDONLY, recursive: false },
    {
      title: 'make the copy read-only',
      why: "it is the host's own node: root of the container could change its mode and owner for the whole machine",
    },
  );
  b.call('openat', [devices, b.text('null'), O_RDONLY | O_CLOEXEC, 0], { title: 'stdin is /dev/null', store: input });
}

/**
 * Descriptors 0, 1 and 2 for user `uid`, and the session; the last use of what was opened before. `host`: the root is still
 * that of the host. `forked`: another process becomes the command, and its session is made by `leadSession`.
 */
export function takeStdio(
  b: ProgramBuilder,
  uid: number,
  stdio: Stdio,
  terminal: Load | undefined,
  { host = false, forked = false } = {},
): void {
  b.enter('console');
  b.call('setsid', [], {
    title: 'a session of its own',
    why: 'no terminal of the host can be its controlling one',
    shell: 'setsid',
  });
  if (terminal !== undefined) {
    for (const fd of [0, 1, 2]) b.call('dup3', [terminal, fd, 0], { title: `the terminal is descriptor ${fd}` });
    if (!forked) takeControl(b);
    return;
  }
  if (stdio.kind !== 'pipes') return;
  if (stdio.stdin === undefined) {
    const input = b.slot('null device');
    if (host) openHostNull(b, input);
    else {
      // What a neighbour has laid there is a way to the descriptors that are still open, where it leads into /proc.
      b.call('openat2', [AT_FDCWD, b.text('/dev/null'), openHow(b, O_RDONLY | O_CLOEXEC, RESOLVE_NO_MAGICLINKS), 24], {
        title: 'stdin is /dev/null',
        why: 'by no link into /proc/self/fd, where descriptors of the host are still open',
        store: input,
        retry: { errno: 'EAGAIN', times: 128 },
        hints: { ELOOP: '/dev/null of the container is a link into /proc' },
      });
    }
    b.call('dup3', [input, 0, 0], { title: '/dev/null is descriptor 0' });
  } else {
    b.call('dup3', [stdio.stdin.container, 0, 0], { title: 'the pipe of stdin is descriptor 0' });
  }
  b.call('dup3', [stdio.stdout.container, 1, 0], { title: 'the pipe of stdout is descriptor 1' });
  b.call('dup3', [stdio.stderr.container, 2, 0], { title: 'the pipe of stderr is descriptor 2' });
  if (uid !== 0) {
    for (const fd of stdio.stdin === undefined ? [1, 2] : [0, 1, 2]) {
      b.call('fchown', [fd, uid, -1], {
        title: `give descriptor ${fd} to user ${uid}`,
        why: 'a program may open /dev/stdout again, which asks for permission',
        tolerate: ['EPERM', 'EINVAL'],
      });
    }
  }
}

function takeControl(b: ProgramBuilder): void {
  b.call('ioctl', [0, TIOCSCTTY, 0], {
    title: 'it is the controlling terminal',
    why: 'Ctrl-C and job control work through it',
  });
}

/** The session of a process whose descriptors another one has laid out. */
export function leadSession(b: ProgramBuilder, terminal: boolean): void {
  b.enter('console');
  b.call('setsid', [], {
    title: 'a session in the pid namespace',
    why: 'that of its maker has no number there, and shells look for theirs',
    shell: 'setsid',
  });
  if (terminal) takeControl(b);
}
