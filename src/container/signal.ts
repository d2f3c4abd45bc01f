/** Signals to containers: `kill`, `stop`, and waiting for an end (man 2 pidfd_send_signal, man 2 pidfd_open). */

import { killCgroup } from '../cgroup/index.ts';
import { TsrunError } from '../error.ts';
import { POLLIN } from '../linux/constants.ts';
import { errno, SyscallError } from '../linux/errno.ts';
import { syscall } from '../linux/ffi.ts';
import { close } from '../linux/fs.ts';
import { signalNumber } from '../linux/signals.ts';
import { openProcess } from './pidfd.ts';
import type { Container } from './record.ts';
import type { ContainerStore } from './store.ts';

function parseSignal(text: string): number {
  const number = signalNumber(text);
  if (number === undefined)
    throw new TsrunError('USAGE', `Invalid signal: ${text}`, { hint: 'kill -l lists the names' });
  return number;
}

/** Sends a signal. Returns false when the process had ended. */
function send(fd: number, signal: number): boolean {
  const result = syscall('pidfd_send_signal', fd, signal, 0, 0);
  if (result === -errno.ESRCH) return false;
  if (result < 0) throw new SyscallError('pidfd_send_signal', -result);
  return true;
}

/** `kill`. Throws `CONFLICT` when the container does not run, with docker's words. */
export function killContainer(container: Container, signal: string): void {
  const number = parseSignal(signal);
  const fd = openProcess(container);
  const { record, state } = container;
  if (fd === undefined) {
    throw new TsrunError('CONFLICT', `Cannot kill container: ${record.name}: Container ${record.id} is not running`);
  }
  try {
    send(fd, number);
    // A frozen process takes no signal, not even SIGKILL on some kernels, before it is thawed; cgroup.kill does.
    if (number === 9 && state.status === 'paused' && state.start?.cgroup) killCgroup(state.start.cgroup);
  } finally {
    close(fd);
  }
}

/** Sends a signal to a pid and start time; for the foreground client, which proxies what it gets. */
export function signalProcess(container: Container, signal: number): boolean {
  const fd = openProcess(container);
  if (fd === undefined) return false;
  try {
    return send(fd, signal);
  } finally {
    close(fd);
  }
}

/** Waits until a pidfd is readable. The event loop runs meanwhile. */
async function ended(fd: number, milliseconds: number): Promise<boolean> {
  const poll = Buffer.alloc(8);
  const deadline = Date.now() + milliseconds;
  for (let pause = 1; ; pause = Math.min(pause * 2, 20)) {
    poll.writeInt32LE(fd, 0);
    poll.writeInt16LE(POLLIN, 4);
    poll.writeInt16LE(0, 6);
    if (syscall('ppoll', poll, 1, Buffer.alloc(16), 0, 0) > 0) return true;
    const left = deadline - Date.now();
    if (left <= 0) return false;
    await new Promise((resolve) => setTimeout(resolve, Math.min(pause, left)));
  }
}

/** Waits for whoever cleans up after the container: its lock is free then. */
export async function waitUntilReaped(store: ContainerStore, id: string, milliseconds: number): Promise<boolean> {
  const deadline = Date.now() + milliseconds;
  for (let pause = 1; ; pause = Math.min(pause * 2, 20)) {
    if (!store.isLocked(id)) return true;
    if (Date.now() >= deadline) return false;
    await new Promise((resolve) => setTimeout(resolve, pause));
  }
}

const reapTimeout = 15_000;

/**
 * `stop`: the stop signal, then SIGKILL after `seconds` (-1: never). Returns when the container has been cleaned up.
 * A container that does not run is stopped already.
 */
export async function stopContainer(
  store: ContainerStore,
  container: Container,
  seconds: number,
  signal?: string,
): Promise<void> {
  const number = parseSignal(signal ?? container.record.stopSignal);
  const fd = openProcess(container);
  if (fd !== undefined) {
    try {
      if (container.state.status === 'paused') {
        throw new TsrunError(
          'CONFLICT',
          `Container ${container.record.id} is paused. Unpause the container before stopping or killing`,
        );
      }
      send(fd, number);
      const patience = seconds < 0 ? Number.POSITIVE_INFINITY : seconds * 1000;
      if (!(await ended(fd, patience))) {
        send(fd, 9);
        if (!(await ended(fd, reapTimeout))) {
          throw new TsrunError(
            'CONFLICT',
            `cannot stop "${container.record.name}": process ${container.state.pid} does not end after SIGKILL`,
            {
              hint: 'it waits in the kernel, perhaps for a disk or a network filesystem: see /proc/PID/stack',
            },
          );
        }
      }
    } finally {
      close(fd);
    }
  }
  await waitUntilReaped(store, container.record.id, reapTimeout);
}
