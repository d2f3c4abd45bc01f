/** User namespaces (man 7 user_namespaces): their maps, and how one is made for a container that is to enter it. */
import { writeFileSync } from 'node:fs';
import { codeOf, messageOf, TsrunError } from '../error.ts';
import { CallingChild, type ChildCall, scratch } from '../linux/child.ts';
import { CLONE_NEWNET, CLONE_NEWUSER, O_RDONLY, SOCK_SEQPACKET } from '../linux/constants.ts';
import { errno, errnoName } from '../linux/errno.ts';
import { AT_FDCWD, close, openat } from '../linux/fs.ts';
import { receive, send, socketPair, waitReadable } from '../linux/unix-socket.ts';
import { type Step, step } from '../trace.ts';
import type { IdMapping } from './spec.ts';

export interface IdMappings {
  uids: readonly IdMapping[];
  gids: readonly IdMapping[];
}

/** The step of writing a map; `pid`: whose, a number or what a shell calls it. */
export function mapStep(pid: number | string, file: 'uid_map' | 'gid_map', mappings: readonly IdMapping[]): Step {
  const text = mapText(mappings);
  return {
    phase: 'namespaces',
    title: `map ${text.trim().replaceAll('\n', ', ')}`,
    why: 'who is who in the user namespace: inside, outside, how many',
    shell: `printf '${text.replaceAll('\n', '\\n')}' >/proc/${pid}/${file}`,
  };
}

function mapText(mappings: readonly IdMapping[]): string {
  return mappings.map(({ containerID, hostID, size }) => `${containerID} ${hostID} ${size}\n`).join('');
}

/** The opposite of `mapText`: the content of a file like /proc/PID/uid_map. */
export function parseMap(text: string): IdMapping[] {
  return text
    .split('\n')
    .filter((line) => line.trim() !== '')
    .map((line) => {
      const [containerID = 0, hostID = 0, size = 0] = line.trim().split(/\s+/).map(Number);
      return { containerID, hostID, size };
    });
}

/** Writes the maps of the user namespace that `pid` is in. Throws `PERMISSION`, `USAGE`. */
export function writeMappings(pid: number, uids: readonly IdMapping[], gids: readonly IdMapping[]): void {
  write(pid, 'uid_map', uids);
  write(pid, 'gid_map', gids);
}

function write(pid: number, file: 'uid_map' | 'gid_map', mappings: readonly IdMapping[]): void {
  const text = mapText(mappings);
  step(mapStep(pid, file, mappings), () => {
    try {
      // One write(2): the kernel takes no second one.
      writeFileSync(`/proc/${pid}/${file}`, text, { flag: 'r+' });
    } catch (cause) {
      throw new TsrunError(
        codeOf(cause) === 'EPERM' ? 'PERMISSION' : 'USAGE',
        `cannot map ${text.trim().replaceAll('\n', ', ')}: ${messageOf(cause)}`,
        {
          cause,
          hint: codeOf(cause) === 'EPERM' ? 'mappings of more than the own user need root' : 'ranges must not overlap',
        },
      );
    }
  });
}

export function makeNamespaceStep(withNetwork: boolean): Step {
  return {
    phase: 'namespaces',
    title: withNetwork ? 'make a user namespace, and a network namespace in it' : 'make a user namespace',
    why: 'a process makes them and ends; what keeps them are descriptors. JavaScript cannot: it has more than one thread',
    shell: `unshare --user${withNetwork ? ' --net' : ''} sleep infinity & HOLDER=$!`,
  };
}

/** Namespaces that a process is making. One of the two is to be called. */
export interface PendingNamespaces {
  /** Waits for them. The caller closes both; -1 where no network namespace was asked for. Throws `PROGRAM` where the kernel refuses. */
  finish(): { user: number; network: number };
  /** What nobody wants any more goes. Does nothing after `finish`. */
  abandon(): void;
}

/**
 * A new user namespace with these maps, and with `withNetwork` a network namespace that belongs to it. That takes the kernel a
 * millisecond, in which the caller may do something else. Throws `PROGRAM` where the kernel refuses, `PERMISSION`, `USAGE`.
 */
export function beginUserNamespace(mappings: IdMappings, withNetwork: boolean): PendingNamespaces {
  return step(makeNamespaceStep(withNetwork), () => {
    const [own, theirs] = socketPair(SOCK_SEQPACKET);
    const child = new CallingChild(CLONE_NEWUSER, holderCalls(theirs, withNetwork));
    close(theirs);
    let ended = false;
    const abandon = (): void => {
      if (ended) return;
      ended = true;
      // The process reads the end of it, and goes.
      close(own);
      child.end();
    };
    try {
      if (child.pid < 0) throw refused('user', -child.pid);
      writeMappings(child.pid, mappings.uids, mappings.gids);
      send(own, Uint8Array.of(1));
    } catch (error) {
      abandon();
      throw error;
    }
    const finish = (): { user: number; network: number } => {
      try {
        return openMade(own, child, withNetwork);
      } finally {
        abandon();
      }
    };
    return { finish, abandon };
  });
}

function openMade(own: number, child: CallingChild, withNetwork: boolean): { user: number; network: number } {
  while (!waitReadable(own, 3_600_000));
  if (receive(own, 1)?.length !== 1) {
    throw new TsrunError('PROGRAM', 'the process that was to hold a user namespace has ended');
  }
  const answer = withNetwork ? child.result(unshareIndex) : 0;
  if (answer < 0) throw refused('network', -answer);
  const open = (name: string): number => openat(AT_FDCWD, `/proc/${child.pid}/ns/${name}`, O_RDONLY);
  const user = open('user');
  try {
    return { user, network: withNetwork ? open('net') : -1 };
  } catch (error) {
    close(user);
    throw error;
  }
}

const unshareIndex = 3;

/** What the process does that holds the namespaces until they are open, with its end of a socket. */
function holderCalls(socket: number, withNetwork: boolean): readonly ChildCall[] {
  return [
    // Who has made it may be killed at any time, and its end of the socket with it: no copy of that may stay.
    ['close_range', socket + 1, 0xffffffff, 0],
    ['close_range', 0, Math.max(socket - 1, 0), 0],
    // The maps are written from outside. The network namespace is made behind that: its files belong to who is root then.
    ['read', socket, scratch, 1],
    ...(withNetwork ? [['unshare', CLONE_NEWNET] as const] : []),
    ['write', socket, scratch, 1],
    ['read', socket, scratch, 1],
  ];
}

function refused(kind: 'user' | 'network', number: number): TsrunError {
  const files = kind === 'user' ? 'user' : 'net';
  return new TsrunError('PROGRAM', `cannot make a ${kind} namespace: ${errnoName(number)}`, {
    hint:
      number === errno.ENOSPC
        ? `the limit of ${kind} namespaces is reached: sysctl user.max_${files}_namespaces`
        : number === errno.EAGAIN
          ? 'the limit of processes is reached: pids.max of the cgroup, or ulimit -u'
          : number === errno.EPERM
            ? 'this needs root (CAP_SYS_ADMIN), and a kernel that allows user namespaces'
            : undefined,
  });
}
