/**
 * Network namespaces and Node's main thread (man 7 network_namespaces, man 2 setns). A network namespace belongs to the
 * thread, sockets keep the one they were opened in, and everything here is synchronous, so the thread may visit another
 * one for a few calls; libuv's other threads never notice. Mount, pid and user namespaces are never entered.
 */
import { TsrunError } from '../error.ts';
import { CLONE_NEWNET, O_RDONLY } from './constants.ts';
import { errno, SyscallError } from './errno.ts';
import { syscall } from './ffi.ts';
import { AT_FDCWD, check, close, openat } from './fs.ts';

/** The namespace that the main thread is in: opened at the first use and kept, since every visit ends there. */
let current = -1;

function currentNetns(): number {
  if (current < 0) current = openat(AT_FDCWD, '/proc/thread-self/ns/net', O_RDONLY);
  return current;
}

/**
 * Runs `visit` with the calling thread in the network namespace behind `netns`, and comes back whatever happens. Sockets,
 * spawned processes and files below /proc/sys/net that it opens are those of that namespace. `visit` must not return a
 * promise: what runs later would run outside. Throws SyscallError where `netns` cannot be entered.
 */
export function withNetns<T>(netns: number, visit: () => T): T {
  const home = currentNetns();
  check(syscall('setns', netns, CLONE_NEWNET), 'setns', `network namespace, descriptor ${netns}`);
  current = netns;
  try {
    return synchronous(visit());
  } finally {
    returnTo(home);
  }
}

/**
 * A fresh network namespace, not entered: the calling thread unshares its own, runs `visit` in it, and comes back. It
 * lives as long as the descriptor (or a process in it). Throws SyscallError; without root with a hint.
 */
export function newNetns(visit: () => void = () => {}): number {
  const home = currentNetns();
  const result = syscall('unshare', CLONE_NEWNET);
  if (result < 0) {
    throw new SyscallError('unshare', -result, 'network namespace', {
      hint: -result === errno.EPERM ? 'this needs root (CAP_SYS_ADMIN)' : undefined,
    });
  }
  let netns = -1;
  try {
    netns = openat(AT_FDCWD, '/proc/thread-self/ns/net', O_RDONLY);
    current = netns;
    synchronous(visit());
    return netns;
  } catch (error) {
    close(netns);
    throw error;
  } finally {
    returnTo(home);
  }
}

function returnTo(home: number): void {
  const result = syscall('setns', home, CLONE_NEWNET);
  // Going on would change the network of the wrong namespace.
  if (result < 0) throw new SyscallError('setns', -result, 'back to the own network namespace');
  current = home;
}

function synchronous<T>(value: T): T {
  if (value instanceof Promise) throw new TsrunError('USAGE', 'a visit to a network namespace must be synchronous');
  return value;
}
