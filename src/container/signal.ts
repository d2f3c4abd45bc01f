/** Signals to containers: `kill`, `stop`, and waiting for an end (man 2 pidfd_send_signal, man 2 pidfd_open). */

import { freezeCgroup, killCgroup } from '../cgroup/index.ts';
import { TsrunError } from '../error.ts';
import { POLLIN } from '../linux/constants.ts';
import { errno, SyscallError } from '../linux/errno.ts';
import { syscall } from '../linux/ffi.ts';
import { close } from '../linux/fs.ts';
import { signalName, signalNumber } from '../linux/signals.ts';
import { step, stepAsync } from '../trace.ts';
import { isUp } from './active.ts';
import { endAndReap, waitUntilReaped } from './claim.ts';
import { recordContainerEvent } from './events.ts';
import { openProcess } from './pidfd.ts';
import type { Container } from './record.ts';
import { sendSignal, waitForEnd } from './steps.ts';
import { markStopped } from './stop-mark.ts';
import type { ContainerStore } from './store.ts';

const SIGKILL = 9;

/** The number of a signal that a user has named. Throws `USAGE`, in docker's words, where there is none. */
export function parseSignal(text: string): number {
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

/** Sends a signal and records it: first, since the monitor records the end that it brings at once. */
function kill(store: ContainerStore, { record, state }: Container, fd: number, number: number): boolean {
  if (!send(fd, 0)) return false;
  recordContainerEvent(store.root, record, 'kill', { signal: String(number) });
  return step(sendSignal(signalName(number), state.pid), () => send(fd, number));
}

/** Docker's rule for what ends a restart policy: SIGKILL, the stop signal, and any signal where none was chosen. */
function endsPolicy({ record }: Container, number: number): boolean {
  const chosen = record.options.stopSignal !== undefined || record.stopSignal !== 'SIGTERM';
  return number === SIGKILL || !chosen || signalNumber(record.stopSignal) === number;
}

/** The container as it is after its mark has been set: see stop-mark.ts. */
function marked(store: ContainerStore, container: Container, mark: { manual: boolean; final: boolean }): Container {
  markStopped(store, container, mark);
  return store.read(container.record.id) ?? container;
}

/**
 * `kill`. A container that was killed by hand is not started again by its policy; one that waits for a restart just ends.
 * Throws `CONFLICT` when the container does not run, with docker's words.
 */
export function killContainer(store: ContainerStore, container: Container, signal: string): void {
  const number = parseSignal(signal);
  const { status } = container.state;
  if (!isUp(container.state)) throw notRunning(container);
  const { state } = marked(store, container, { manual: true, final: endsPolicy(container, number) });
  const fd = openProcess({ ...container, state });
  if (fd === undefined) {
    if (status === 'restarting' || state.status === 'restarting') return;
    throw notRunning(container);
  }
  try {
    if (!kill(store, { ...container, state }, fd, number)) return;
    // A frozen process takes no signal, not even SIGKILL on some kernels, before it is thawed; cgroup.kill does.
    if (number === SIGKILL && state.status === 'paused' && state.start?.cgroup) killCgroup(state.start.cgroup);
  } finally {
    close(fd);
  }
}

function notRunning({ record }: Container): TsrunError {
  return new TsrunError('CONFLICT', `Cannot kill container: ${record.name}: Container ${record.id} is not running`);
}

/** Sends a signal to a pid and start time; for the foreground client, which proxies what it gets. As `kill` would. */
export function signalProcess(store: ContainerStore, container: Container, signal: number): boolean {
  if (container.record.options.restart.name !== 'no') {
    markStopped(store, container, { manual: true, final: endsPolicy(container, signal) });
  }
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

const reapTimeout = 15_000;

/**
 * `stop`: the stop signal, then SIGKILL after `seconds` (-1: never). Returns when the container has been cleaned up; its
 * policy does not start it again. A container that does not run is stopped already. `manual` is false for a machine that
 * goes down: then `start-all` starts it again.
 */
export async function stopContainer(
  store: ContainerStore,
  container: Container,
  seconds: number,
  { signal, manual = true }: { signal?: string | undefined; manual?: boolean } = {},
): Promise<void> {
  const { record } = container;
  const number = parseSignal(signal ?? record.stopSignal);
  if (!isUp(container.state)) {
    await waitUntilReaped(store, record.id, reapTimeout);
    return;
  }
  const now = marked(store, container, { manual, final: true });
  await endAndReap(store, now, reapTimeout, async () => {
    const fd = openProcess(now);
    if (fd === undefined) return;
    try {
      await endProcess(store, now, fd, number, seconds);
    } finally {
      close(fd);
    }
  });
  recordContainerEvent(store.root, record, 'stop');
}

async function endProcess(
  store: ContainerStore,
  container: Container,
  fd: number,
  number: number,
  seconds: number,
): Promise<void> {
  const { record, state } = container;
  kill(store, container, fd, number);
  // The signal is taken as soon as it goes on.
  if (state.status === 'paused' && state.start?.cgroup) freezeCgroup(state.start.cgroup, false);
  const patience = seconds < 0 ? Number.POSITIVE_INFINITY : seconds * 1000;
  if (await stepAsync(waitForEnd(seconds), () => ended(fd, patience))) return;
  kill(store, container, fd, SIGKILL);
  if (await ended(fd, reapTimeout)) return;
  throw new TsrunError('CONFLICT', `cannot stop "${record.name}": process ${state.pid} does not end after SIGKILL`, {
    hint: 'it waits in the kernel, perhaps for a disk or a network filesystem: see /proc/PID/stack',
  });
}
