/**
 * `exec`: a further process in a container that runs. The host's side: who it becomes, what it joins, and the conversation
 * with its monitor, which is the same program as the container's (native/monitor.h) with another list of system calls.
 */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { leaveService } from '../cgroup/service.ts';
import { TsrunError } from '../error.ts';
import { errnoName, SyscallError } from '../linux/errno.ts';
import { close } from '../linux/fs.ts';
import { readOwnText } from '../linux/own-file.ts';
import { randomHex } from '../linux/random.ts';
import { encodeProgram } from '../program/encode.ts';
import type { Program } from '../program/program.ts';
import { describeFailure } from '../program/render.ts';
import type { Process } from '../runtime/spec.ts';
import { step, stepAsync } from '../trace.ts';
import { notRunning, requireRunning } from './active.ts';
import { attachmentsOf } from './endpoints.ts';
import { mergeEnvironment } from './environment.ts';
import { recordContainerEvent } from './events.ts';
import { execDirectory, makeExecDirectory, sweepExecs } from './exec-directory.ts';
import { compileCommand, filterOf, openCgroup } from './exec-program.ts';
import { asClient, type ClientEnd, foregroundOf } from './foreground.ts';
import { type MonitorHandle, messageKinds, spawnMonitor } from './monitor.ts';
import { parseExitRecord } from './parse-record.ts';
import { openProcess } from './pidfd.ts';
import { buildProcess } from './process.ts';
import type { Container } from './record.ts';
import { RunningRoot } from './running-root.ts';
import type { Foreground } from './start.ts';
import { computeState, isAlive } from './state.ts';
import { startCommandMonitor } from './steps.ts';
import type { ContainerStore } from './store.ts';
import { resolveUser } from './users.ts';
import { hasForeignRoot } from './walls.ts';

export interface ExecRequest {
  /** argv; not empty. */
  command: string[];
  /** `NAME=value`, on top of the container's. */
  env: string[];
  /** Absolute; absent: the container's. */
  workingDir?: string;
  /** `user[:group]`; absent: the container's. */
  user?: string;
  /** All capabilities. */
  privileged: boolean;
  terminal: boolean;
  interactive: boolean;
  /** Nobody waits for it. */
  detach: boolean;
  detachKeys: Uint8Array;
  /** Of the caller's terminal. */
  term: string | undefined;
}

/** Characters of a command in an event, whose line must stay below 4 KiB. */
const shownCommand = 512;

/** Exit code of an exec that failed before its command was looked for, as docker has it. */
const cannotExec = 126;

/**
 * Runs a command in the container that was named `name`. Resolves to its exit status, to 0 at once where it is detached,
 * or to why this client left before. Throws `CONFLICT` where the container does not run, `COMMAND_NOT_FOUND`,
 * `COMMAND_NOT_EXECUTABLE`, and `USAGE` (exit code 126) for users and directories that do not fit.
 */
export async function execInContainer(
  store: ContainerStore,
  container: Container,
  name: string,
  request: ExecRequest,
  onNotice: (line: string) => void,
): Promise<ClientEnd> {
  requireRunning(container);
  const isPaused = (): TsrunError =>
    new TsrunError('CONFLICT', `Container ${name} is paused, unpause the container before exec`, {
      hint: `tsrun unpause ${name}`,
    });
  if (container.state.status === 'paused') throw isPaused();
  const held: number[] = [];
  const execId = randomHex(32);
  const directory = execDirectory(store, container.record.id, execId);
  let monitor: MonitorHandle | undefined;
  try {
    const pidfd = openProcess(container);
    if (pidfd === undefined) throw notRunning(container);
    held.push(pidfd);
    const cgroup = openCgroup(container);
    if (cgroup >= 0) held.push(cgroup);
    const directoryFd = makeExecDirectory(directory);
    if (directoryFd === undefined) throw notRunning(container);
    held.push(directoryFd);
    const foreground = clientOf(request);
    monitor = step(startCommandMonitor(), () =>
      spawnMonitor({
        stdio: [foreground.stdin ? 0 : -1, foreground.stdout ? 1 : -1, foreground.stderr ? 2 : -1],
        directory: directoryFd,
        lock: directoryFd,
        ...(cgroup < 0 ? {} : { cgroup }),
        // Where a start has the network namespace (native/monitor.h): kept open, and what the program joins by.
        netns: pidfd,
        ports: [],
        // Also where it is detached: a command that fails is waited for.
        foreground: true,
        endUnread: true,
        name: `${container.record.id} exec`,
        onBroken: ({ stream, errno }) =>
          onNotice(`cannot write to ${stream === 1 ? 'stdout' : 'stderr'}: ${errnoName(errno)}; the command goes on`),
      }),
    );
    // Everything else while the monitor comes up.
    const line = `${request.command[0]} ${request.command.slice(1).join(' ')}`.slice(0, shownCommand);
    for (const action of ['exec_create', 'exec_start']) {
      recordContainerEvent(store.root, container.record, `${action}: ${line}`, { execID: execId });
    }
    sweepExecs(store, container.record.id);
    const process = await processOf(store, container, request);
    const program = compileCommand(store, container, process, {
      seccomp: await filterOf(store, container),
      intoCgroup: cgroup >= 0,
      stdin: foreground.stdin,
      foreground,
      execId,
    });
    if (request.detach) leaveService(monitor.pid);
    // The terminal is raw before the command can print into it.
    const client = { terminal: request.terminal && !request.detach, stdin: foreground.stdin };
    const handle = monitor;
    return await asClient(handle, client, async () => {
      handle.run(encodeProgram(program));
      try {
        await untilExecuted(handle, program, process, () => {
          // Paused since it was looked at: the command was born frozen, perhaps for ever.
          if (computeState(container.directory).status === 'paused') throw isPaused();
        });
      } catch (error) {
        await giveUp(handle);
        throw error;
      }
      for (const fd of held.splice(0)) close(fd);
      if (!request.detach) return finish(store, container, execId, handle);
      handle.close();
      return 0;
    });
  } catch (error) {
    monitor?.close();
    rmSync(directory, { recursive: true, force: true });
    throw error;
  } finally {
    for (const fd of held) close(fd);
  }
}

/** The client of a command: which streams it has. */
export function clientOf({ terminal, interactive, detach, detachKeys }: ExecRequest): Foreground {
  return foregroundOf({ stdin: interactive && !detach, stdout: !detach, stderr: !detach }, terminal, detachKeys);
}

/** What links give to the container now; read when there are any, since it takes the networks with it. */
async function linkVariablesOf(store: ContainerStore, { record, state }: Container): Promise<string[]> {
  const [{ linkVariables }, { liveContainers }] = await Promise.all([
    import('./links.ts'),
    import('./network-names.ts'),
  ]);
  return linkVariables(store, record, attachmentsOf(state), () => liveContainers(store));
}

/** Who the command becomes, by the container's present passwd and group: the image's may be long out of date. */
export async function processOf(store: ContainerStore, container: Container, request: ExecRequest): Promise<Process> {
  const { record, state } = container;
  if (hasForeignRoot(record.options)) {
    throw new TsrunError('UNSUPPORTED', 'a container without pivot_root takes no further commands', {
      hint: 'they would stand in the root of this machine: who joins a mount namespace gets its root, not a chroot in it',
      exitCode: cannotExec,
    });
  }
  const root = openRoot(container);
  try {
    // The pid may have become another's before its root was opened.
    if (state.start === undefined || !isAlive(state.start)) throw notRunning(container);
    const user = asExecError(() => resolveUser(root, request.user ?? record.process.user, record.options.groupAdd));
    // As at the start: what links give stands behind what the user has set.
    const links = record.options.links === undefined ? [] : await linkVariablesOf(store, container);
    const env = mergeEnvironment([...links, ...record.process.env], request.env);
    const withEnv = { ...record, process: { ...record.process, env } };
    const process = buildProcess(withEnv, user, {
      terminal: request.terminal,
      term: request.term,
      ...(request.privileged ? { privileged: true } : {}),
    });
    const cwd = request.workingDir ?? record.process.cwd;
    if (!cwd.startsWith('/')) {
      throw new TsrunError('USAGE', `the working directory "${cwd}" must be an absolute path`, {
        exitCode: cannotExec,
      });
    }
    return { ...process, args: request.command, cwd };
  } finally {
    root.close();
  }
}

function openRoot(container: Container): RunningRoot {
  try {
    return new RunningRoot(container.state.pid);
  } catch (error) {
    if (error instanceof SyscallError) throw notRunning(container);
    throw error;
  }
}

function asExecError<T>(resolve: () => T): T {
  try {
    return resolve();
  } catch (error) {
    if (!(error instanceof TsrunError)) throw error;
    throw new TsrunError(error.code, error.message, { cause: error, hint: error.hint, exitCode: cannotExec });
  }
}

/** Follows the program until the command runs. Throws what a failed step means, and what `onSilence` does. */
async function untilExecuted(
  monitor: MonitorHandle,
  program: Program,
  process: Process,
  onSilence: () => void,
): Promise<void> {
  let pid = 0;
  let failed: { index: number; error: number } | undefined;
  for (;;) {
    const message = await stepAsync({ phase: 'monitor', title: 'wait for the command' }, () =>
      monitor.readSync(undefined, onSilence),
    );
    if (message === 'exec') break;
    if (message.kind === messageKinds.created) pid = message.words[0];
    else if (message.kind === messageKinds.error) failed ??= { index: message.words[0], error: message.words[2] };
    // The pid comes from the monitor and the failure from its child, in any order.
    if (failed !== undefined && (pid !== 0 || beforeChild(program, failed.index))) break;
  }
  if (failed === undefined) {
    if (pid !== 0) return;
    throw new TsrunError('PROGRAM', 'the command ended before it was set up', {
      hint: 'the container may have ended meanwhile: see tsrun ps -a',
    });
  }
  throw await failureOf(program, failed.index, failed.error, pid, process);
}

/** Milliseconds that a failed command and its monitor may take to end. */
const patience = 1000;

/** Lets the failed process end and its monitor see it: killed, they would leave it to the host's init. */
async function giveUp(monitor: MonitorHandle): Promise<void> {
  monitor.proceed();
  const late = new Promise((resolve) => setTimeout(resolve, patience).unref());
  await Promise.race([monitor.onExit, late]);
  monitor.reaped();
  monitor.close();
}

/** Whether a step is the parent's, which tells no pid when it fails. */
function beforeChild({ operations }: Program, index: number): boolean {
  const clone = operations.find(({ call }) => call === 'clone3');
  return index < (clone?.branch?.at ?? 0);
}

async function failureOf(
  program: Program,
  index: number,
  error: number,
  pid: number,
  process: Process,
): Promise<TsrunError> {
  const operation = program.operations[index];
  if (operation?.phase === 'exec' && error > 0) {
    const { explainExecFailure } = await import('./exec-failure.ts');
    return explainExecFailure(pid, process.args ?? [], process.env ?? [], error);
  }
  const { message, hint } = describeFailure(program, index, error);
  return new TsrunError('PROGRAM', message, { hint, exitCode: cannotExec });
}

/** Waits for the command's end and cleans up after it. */
async function finish(
  store: ContainerStore,
  container: Container,
  execId: string,
  monitor: MonitorHandle,
): Promise<ClientEnd> {
  const end = await monitor.onExit;
  if (end === 'detached' || end === 'unread') {
    monitor.close();
    return end;
  }
  if (end === 'lost') {
    throw new TsrunError('PROGRAM', 'the monitor of the command is gone; its exit status is not known', {
      hint: `tsrun top ${container.record.name} shows whether it still runs`,
    });
  }
  recordEnd(store, container, execId, end.status);
  monitor.reaped();
  return end.status;
}

function recordEnd(store: ContainerStore, { record }: Container, execId: string, exitCode: number): void {
  recordContainerEvent(store.root, record, 'exec_die', { execID: execId, exitCode: String(exitCode) });
  rmSync(execDirectory(store, record.id, execId), { recursive: true, force: true });
}

/** `tsrun reap-exec ID EXEC`: by the monitor of a command whose client has left. */
export function reapExec(store: ContainerStore, id: string, execId: string): void {
  const container = store.read(id);
  if (container === undefined) return;
  const path = join(execDirectory(store, id, execId), 'exit.json');
  let text: string;
  try {
    text = readOwnText(path);
  } catch {
    return;
  }
  recordEnd(store, container, execId, parseExitRecord(text, path).exitCode);
}
