/** The last part of a start: the monitor, and the conversation with the start program until the command runs. */
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { messageOf, TsrunError } from '../error.ts';
import { O_DIRECTORY, O_RDONLY } from '../linux/constants.ts';
import { errnoName } from '../linux/errno.ts';
import { AT_FDCWD, close, openat } from '../linux/fs.ts';
import { listenSocket } from '../linux/unix-socket.ts';
import { encodeProgram } from '../program/encode.ts';
import type { Program } from '../program/program.ts';
import { describeFailure } from '../program/render.ts';
import type { Spec } from '../runtime/spec.ts';
import { step, stepAsync } from '../trace.ts';
import { explainExecFailure } from './exec-failure.ts';
import { messageKinds, spawnMonitor } from './monitor.ts';
import type { ContainerNetwork } from './network.ts';
import { reap } from './reap.ts';
import type { Container, StartRecord } from './record.ts';
import type { Foreground, StartedContainer, StartRequest } from './start.ts';
import { bootId, processStartTime } from './state.ts';
import type { ContainerStore, Lock } from './store.ts';
import type { Undo } from './undo.ts';

/** What a start has prepared. */
export interface Launch extends StartRequest {
  program: Program;
  network: ContainerNetwork;
  cgroup: { path: string; fd: number };
  lock: Lock;
  undo: Undo;
  stateDirectory: string;
  spec: Spec;
}

/** Starts the monitor and follows the container until its command runs. Throws what the failed step means. */
export async function launch(container: Container, l: Launch): Promise<StartedContainer> {
  const { record, directory } = container;
  const { undo, network, cgroup } = l;
  const directoryFd = openat(AT_FDCWD, directory, O_RDONLY | O_DIRECTORY);
  const listen = listenSocket(join(l.stateDirectory, 'attach.sock'));
  undo.add(() => rmSync(join(l.stateDirectory, 'attach.sock'), { force: true }));
  const info = {
    title: 'start the monitor',
    why: 'the parent of a container must outlive the command line and be small',
  };
  const monitor = step({ phase: 'monitor', ...info }, () =>
    spawnMonitor({
      program: encodeProgram(l.program),
      stdio: clientDescriptors(l.foreground),
      directory: directoryFd,
      lock: l.lock.fd,
      ...(cgroup.fd < 0 ? {} : { cgroup: cgroup.fd }),
      ...(network.netns < 0 ? {} : { netns: network.netns }),
      listen,
      ports: network.portFds,
      foreground: l.foreground !== undefined,
      name: record.id,
      onBroken: ({ stream, errno }) =>
        l.onNotice(`cannot write to ${stream === 1 ? 'stdout' : 'stderr'}: ${errnoName(errno)}; the container goes on`),
    }),
  );
  undo.add(() => monitor.close());
  for (const fd of [directoryFd, listen, network.netns, cgroup.fd, ...network.portFds]) close(fd);
  network.netns = -1;
  network.portFds = [];
  cgroup.fd = -1;

  let pid = 0;
  let start: StartRecord | undefined;
  for (;;) {
    const message = await stepAsync({ phase: 'monitor', title: 'wait for the container' }, () => monitor.readSync());
    if (message === 'exec') break;
    if (message.kind === messageKinds.created) {
      pid = message.words[0];
    } else if (message.kind === messageKinds.error) {
      throw startFailure(container, l, pid, message.words[0], message.words[2]);
    } else {
      start = startRecord(pid, monitor.pid, l);
      writeFileSync(join(directory, 'start.json'), JSON.stringify(start), { mode: 0o600 });
      monitor.proceed();
    }
  }
  if (start === undefined) {
    throw new TsrunError('PROGRAM', 'the container ended before it was set up', {
      hint: 'dmesg on the host may say why: want of memory, or a limit of its cgroup',
    });
  }
  return { pid, monitor, lock: l.lock, start };
}

function clientDescriptors(foreground: Foreground | undefined): [number, number, number] {
  return [foreground?.stdin ? 0 : -1, foreground?.stdout ? 1 : -1, foreground?.stderr ? 2 : -1];
}

function startRecord(pid: number, monitorPid: number, { cgroup, network }: Launch): StartRecord {
  return {
    pid,
    startTime: processStartTime(pid) ?? '',
    bootId: bootId(),
    monitorPid,
    startedAt: new Date().toISOString(),
    cgroup: cgroup.path,
    network: {
      mode: network.mode,
      ...(network.attachment === undefined ? {} : { attachment: network.attachment }),
    },
  };
}

/** Keeps why a start failed, as docker's State.Error and ExitCode do. */
export function recordFailure(directory: string, networkMode: string, error: unknown): void {
  const exitCode = error instanceof TsrunError ? error.exitCode : 125;
  const failed: StartRecord = {
    pid: 0,
    startTime: '',
    bootId: bootId(),
    monitorPid: 0,
    error: messageOf(error),
    errorCode: exitCode === 125 ? 128 : exitCode,
    cgroup: '',
    network: { mode: networkMode },
  };
  writeFileSync(join(directory, 'start.json'), JSON.stringify(failed), { mode: 0o600 });
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
 * detach keys were typed, with the container still running.
 */
export async function finishForeground(
  store: ContainerStore,
  container: Container,
  started: StartedContainer,
): Promise<number | 'detached'> {
  const { monitor, lock } = started;
  try {
    const end = await monitor.onExit;
    if (end === 'detached') {
      monitor.close();
      return 'detached';
    }
    if (end === 'lost') {
      throw new TsrunError('PROGRAM', 'the monitor of the container is gone; its exit status is not known', {
        hint: `tsrun ps shows whether ${container.record.name} still runs`,
      });
    }
    reap(store, container.record, started.start);
    monitor.reaped();
    return end.status;
  } finally {
    lock.release();
  }
}
