/** `kill` and `delete` (OCI runtime-spec runtime.md, "Kill", "Delete"). */
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { isPopulated, killCgroup, processesBelow, thawV1 } from '../cgroup/index.ts';
import { codeOf, messageOf, TsrunError } from '../error.ts';
import { close } from '../linux/fs.ts';
import { openPidfd, signalPidfd } from '../linux/process.ts';
import { waitReadable } from '../linux/unix-socket.ts';
import type { Hook } from '../runtime/spec.ts';
import type { Warn } from './bundle.ts';
import { endCgroup } from './cgroup.ts';
import { runHooks } from './hooks.ts';
import { sharesMounts, unmountRoot } from './host-mounts.ts';
import { type OciContainer, type OciStore, readIntended, removeDirectory } from './store.ts';

const SIGKILL = 9;
/** man 7 signal, "Standard signals": those that do not end a process by default. */
const harmless = new Set([0, 17, 18, 19, 20, 21, 22, 23, 28]);
const patience = 10_000;

/** Sends a signal to the first process, or to all. Throws `CONFLICT` when it is not running. */
export function killContainer(container: OciContainer, signal: number, all: boolean): void {
  const { record } = container;
  // Nothing else ends the other processes where the first one has no pid namespace of its own.
  const alone = signal === SIGKILL && !hasPidNamespace(container);
  if ((all || alone) && record.cgroup !== '') {
    if (alone && !all && !isPopulated(record.cgroup)) throw new TsrunError('CONFLICT', 'container not running');
    killAll(container, signal);
    return;
  }
  const pidfd = openPidfd(record.pid, record.startTime);
  if (pidfd === undefined) throw new TsrunError('CONFLICT', 'container not running');
  try {
    // Who has not become the command yet can handle no signal, and the first of a pid namespace is spared by all but one.
    const waiting = container.status() === 'created' && !harmless.has(signal);
    if (!signalPidfd(pidfd, waiting ? SIGKILL : signal)) throw new TsrunError('CONFLICT', 'container not running');
  } finally {
    close(pidfd);
  }
}

/** Ends all processes of a container. Where it has ended already nothing happens. */
export function endProcesses(container: OciContainer): void {
  try {
    killContainer(container, SIGKILL, true);
  } catch (error) {
    if (codeOf(error) !== 'CONFLICT') throw error;
  }
}

function hasPidNamespace(container: OciContainer): boolean {
  return (container.spec().linux?.namespaces ?? []).some(({ type, path }) => type === 'pid' && path === undefined);
}

function killAll({ record }: OciContainer, signal: number): void {
  if (signal === SIGKILL) {
    killCgroup(record.cgroup);
    return;
  }
  for (const pid of processesBelow(record.cgroup)) {
    try {
      process.kill(pid, signal);
    } catch {
      // it has ended meanwhile
    }
  }
}

/** Takes away what is left of a container. Throws `IN_USE` when it runs and `force` is not given. */
export function deleteContainer(store: OciStore, id: string, force: boolean, warn: Warn): void {
  const container = store.find(id);
  if (container === undefined) {
    const directory = join(store.root, id);
    // A create that was killed left it.
    if (existsSync(directory) && force && isBrokenOff(directory)) {
      const intended = readIntended(directory);
      if (intended !== undefined) endCgroup(intended);
      removeDirectory(directory);
    } else if (!force) store.get(id);
    return;
  }
  const unlock = container.lock();
  try {
    const status = container.status();
    if (status !== 'stopped' && status !== 'created' && !force) {
      throw new TsrunError('IN_USE', `cannot delete container ${id} that is not stopped: ${status}`, {
        hint: `end it first: kill ${id} KILL; or delete --force`,
      });
    }
    end(container);
    const spec = container.spec();
    const { hooks } = spec;
    if (sharesMounts(spec)) unmountRoot(container.record.rootfs);
    removeDirectory(container.directory);
    poststop(container, hooks?.poststop, warn);
  } finally {
    unlock();
  }
}

function isBrokenOff(directory: string): boolean {
  return !readdirSync(directory).includes('state.json');
}

function end(container: OciContainer): void {
  const { record } = container;
  const pidfd = openPidfd(record.pid, record.startTime);
  if (pidfd !== undefined) {
    signalPidfd(pidfd, SIGKILL);
    thawV1(record.pid);
  }
  endCgroup(record);
  if (pidfd === undefined) return;
  const ended = waitReadable(pidfd, patience);
  close(pidfd);
  if (!ended) throw new TsrunError('IN_USE', `process ${record.pid} of container ${record.id} does not end`);
}

/** Of each hook: what fails is told, and the others are run all the same. */
function poststop(container: OciContainer, hooks: readonly Hook[] | undefined, warn: Warn): void {
  const { record } = container;
  for (const hook of hooks ?? []) {
    try {
      runHooks('poststop', [hook], container.hookState('stopped'), existsSync(record.bundle) ? record.bundle : '/');
    } catch (error) {
      warn(messageOf(error));
    }
  }
}
