/** The last part of a start: the monitor, and the conversation with the start program until the command runs. */
import { join } from 'node:path';
import { leaveService } from '../cgroup/service.ts';
import { messageOf, TsrunError } from '../error.ts';
import { O_DIRECTORY, O_RDONLY } from '../linux/constants.ts';
import { errnoName } from '../linux/errno.ts';
import { AT_FDCWD, close, openat } from '../linux/fs.ts';
import { unlinkIfThere } from '../linux/optional.ts';
import { endHugePages, processStartTime } from '../linux/process.ts';
import { encodeProgram } from '../program/encode.ts';
import type { Program } from '../program/program.ts';
import { describeFailure } from '../program/render.ts';
import { makerOperations } from '../program/stops.ts';
import type { Spec } from '../runtime/spec.ts';
import { step, stepAsync } from '../trace.ts';
import { explainExecFailure } from './exec-failure.ts';
import type { ClientEnd } from './foreground.ts';
import type { Lock } from './locked-directory.ts';
import { messageKinds, type SyncMessage, spawnMonitor } from './monitor.ts';
import type { ContainerNetwork } from './network.ts';
import { reap } from './reap.ts';
import type { Container, StartRecord } from './record.ts';
import type { Foreground, StartedContainer, StartRequest } from './start.ts';
import { bootId } from './state.ts';
import { startMonitor } from './steps.ts';
import type { ContainerStore } from './store.ts';
import type { Undo } from './undo.ts';
import { writeRecord } from './write-record.ts';

/** What a start has prepared. */
export interface Launch extends StartRequest {
  program: Program;
  /** -1: it is not traced. */
  traceFd: number;
  /** The encoded program of the health check. */
  health: Uint8Array | undefined;
  network: ContainerNetwork;
  cgroup: { path: string; fd: number };
  lock: Lock;
  undo: Undo;
  /** The socket for further clients; the sweep's mark that something may be left. */
  listen: number;
  /** Closes what the monitor was given. */
  closeDescriptors: () => void;
  spec: Spec;
  /** Called when others can see that it runs. */
  recorded: () => void;
  /** Descriptors that the monitor is to keep. */
  held: readonly number[];
}

/** Starts the monitor and follows the container until its command runs. Throws what the failed step means. */
export async function launch(container: Container, l: Launch): Promise<StartedContainer> {
  const { record, directory } = container;
  const { undo, network, cgroup } = l;
  const directoryFd = openat(AT_FDCWD, directory, O_RDONLY | O_DIRECTORY);
  undo.add(() => close(directoryFd));
  const { listen } = l;
  // What the monitors of earlier starts have written must never be read as this one's, which writes as soon as it is there.
  for (const name of ['run.json', 'health.json']) unlinkIfThere(join(directory, name));
  await l.observer?.before?.('namespaces', () => makerOperations(l.program), {
    pid: 0,
    netns: network.netns,
    cgroup: cgroup.path,
  });
  const monitor = step(startMonitor(), () =>
    spawnMonitor({
      stdio: clientDescriptors(l.foreground),
      directory: directoryFd,
      lock: l.lock.fd,
      ...(cgroup.fd < 0 ? {} : { cgroup: cgroup.fd }),
      ...(network.netns < 0 ? {} : { netns: network.netns }),
      listen,
      health: l.health,
      trace: l.traceFd,
      ports: [...network.portFds, ...l.held],
      foreground: l.foreground !== undefined,
      name: record.id,
      endUnread: true,
      onBroken: ({ stream, errno }) =>
        l.onNotice(`cannot write to ${stream === 1 ? 'stdout' : 'stderr'}: ${errnoName(errno)}; the container goes on`),
    }),
  );
  undo.add(() => monitor.close());
  monitor.run(encodeProgram(l.program));
  // A foreground `run` is the service's own: it ends with it.
  if (l.foreground === undefined) leaveService(monitor.pid);

  // Whoever looks on reads from the same terminal.
  if (l.observer?.stopped !== undefined) monitor.holdStdin(true);

  let pid = 0;
  let ready = false;
  let stop: SyncMessage | undefined;
  let start: StartRecord | undefined;
  for (;;) {
    const message = await stepAsync({ phase: 'monitor', title: 'wait for the container' }, () => monitor.readSync());
    if (message === 'exec') break;
    if (message.kind === messageKinds.error) {
      l.observer?.settled({ index: message.words[0], error: message.words[2] });
      throw startFailure(container, l, pid, message.words[0], message.words[2]);
    }
    // The pid comes from the monitor and the readiness from its child: nothing puts one before the other.
    if (message.kind === messageKinds.created) pid = message.words[0];
    else if (message.kind === messageKinds.stop) stop = message;
    else ready = true;
    if (stop !== undefined && pid !== 0) {
      const { words } = stop;
      stop = undefined;
      const isLast = await l.observer?.stopped?.(words[0], {
        pid,
        netns: network.netns,
        cgroup: cgroup.path,
        spec: l.spec,
        directory,
      });
      // The terminal becomes the container's when nobody else reads from it.
      if (isLast) l.beforeCommand?.();
      monitor.proceed();
    }
    if (ready && pid !== 0 && start === undefined) {
      start = startRecord(pid, monitor.pid, l);
      writeRecord(join(directory, 'start.json'), start);
      unlinkIfThere(join(directory, 'exit.json'));
      l.recorded();
      l.observer?.ready();
      if (l.observer?.stopped === undefined) l.beforeCommand?.();
      monitor.proceed();
    }
  }
  if (start === undefined) {
    // It may live, and run the container again as its restart policy has it.
    monitor.giveUp();
    throw new TsrunError('PROGRAM', 'the container ended before it was set up', {
      hint: 'dmesg on the host may say why: want of memory, or a limit of its cgroup',
    });
  }
  if (l.observer?.stopped !== undefined) monitor.holdStdin(false);
  l.observer?.settled(undefined);
  // The monitor has its own copies of all descriptors.
  l.closeDescriptors();
  close(directoryFd);
  return { pid, monitor, lock: l.lock, start };
}

function clientDescriptors(foreground: Foreground | undefined): [number, number, number] {
  const { stdin, stdout, stderr, output } = foreground ?? {};
  return [stdin ? 0 : -1, stdout ? (output ?? 1) : -1, stderr ? (output ?? 2) : -1];
}

function startRecord(pid: number, monitorPid: number, { cgroup, network }: Launch): StartRecord {
  return {
    ...intendedStart(cgroup.path, network),
    pid,
    startTime: processStartTime(pid) ?? '',
    monitorPid,
    monitorStartTime: processStartTime(monitorPid) ?? '',
    startedAt: new Date().toISOString(),
  };
}

/** A record of a start that has not come to a process. */
function noProcess(cgroup: string, network: StartRecord['network']): StartRecord {
  return { pid: 0, startTime: '', bootId: bootId(), monitorPid: 0, monitorStartTime: '', cgroup, network };
}

/** What a start is about to make: `cgroup` and `network` are what a sweep has to take away. */
export function intendedStart(cgroup: string, { mode, attachment }: ContainerNetwork): StartRecord {
  return noProcess(cgroup, { mode, ...(attachment === undefined ? {} : { attachment }) });
}

/** Keeps why a start failed, as docker's State.Error and ExitCode do. */
export function recordFailure(
  directory: string,
  networkMode: string,
  error: unknown,
  startedAt: string | undefined,
): void {
  const exitCode = error instanceof TsrunError ? error.exitCode : 125;
  writeRecord(join(directory, 'start.json'), {
    ...noProcess('', { mode: networkMode }),
    ...(startedAt === undefined ? {} : { startedAt }),
    error: messageOf(error),
    errorCode: exitCode === 125 ? 128 : exitCode,
  });
}

/** The error of a failed step. */
function startFailure(container: Container, l: Launch, pid: number, index: number, errorNumber: number): TsrunError {
  const operation = l.program.operations[index];
  if (operation?.phase === 'exec' && errorNumber > 0 && (operation.call === 'execve' || operation.call === 'fail')) {
    return explainExecFailure(pid, container.record.process.args, l.spec.process?.env ?? [], errorNumber);
  }
  const { message, hint } = describeFailure(l.program, index, errorNumber);
  return new TsrunError('PROGRAM', message, { hint });
}

/**
 * Waits for the end of a foreground container, cleans up after it and returns its exit status; 'detached' when the
 * detach keys were typed, 'unread' when nobody reads stdout any more, both with the container still running.
 */
export async function finishForeground(
  store: ContainerStore,
  container: Container,
  started: StartedContainer,
  onNotice: (line: string) => void,
): Promise<ClientEnd> {
  const { monitor, lock } = started;
  // Cleaning up touches a few pages here and there, each of which would be 2 MiB otherwise.
  endHugePages();
  try {
    const end = await monitor.onExit;
    if (end === 'detached' || end === 'unread') {
      monitor.close();
      return end;
    }
    if (end === 'lost') {
      throw new TsrunError('PROGRAM', 'the monitor of the container is gone; its exit status is not known', {
        hint: `tsrun ps shows whether ${container.record.name} still runs`,
      });
    }
    if (end.restarts) {
      monitor.close();
      return end.status;
    }
    try {
      // As it is now: `restart` keeps a container that was run with --rm.
      reap(store, store.read(container.record.id)?.record ?? container.record, started.start);
      monitor.reaped();
    } catch (error) {
      // Not told as cleaned up, the monitor has it done again when this process ends.
      onNotice(`cannot clean up after the container: ${messageOf(error)}`);
    }
    return end.status;
  } finally {
    lock.release();
  }
}
