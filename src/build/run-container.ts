/**
 * The container of a RUN: like one of `tsrun run`, with the same isolation and network, over the layers that a stage has so
 * far. What it has written is looked at by the caller, who then discards it.
 */
import { createContainer, type ImageForContainer } from '../container/create.ts';
import { discardContainer } from '../container/discard.ts';
import { finishForeground } from '../container/launch.ts';
import type { Container } from '../container/record.ts';
import { removeContainer } from '../container/remove.ts';
import type { MountOption, RunOptions } from '../container/run-options.ts';
import { signalProcess } from '../container/signal.ts';
import { startContainer } from '../container/start.ts';
import type { ContainerStore } from '../container/store.ts';
import { TsrunError } from '../error.ts';
import { throwIfInterrupted } from '../image/errors.ts';
import type { ReadableLayers } from '../image/readable-layers.ts';
import { SOCK_STREAM } from '../linux/constants.ts';
import { close } from '../linux/fs.ts';
import { type SocketStream, streamOf } from '../linux/socket-stream.ts';
import { socketPair } from '../linux/unix-socket.ts';
import { buildLabel } from './leftovers.ts';
import type { CommandLimits } from './limits.ts';

const SIGKILL = 9;

export interface CommandRequest {
  args: readonly string[];
  /** All of its environment. */
  env: readonly string[];
  workingDir: string;
  user: string;
  mounts: readonly MountOption[];
  /** As --network takes it. */
  network: string;
  limits: CommandLimits;
  /** What the container is made from: for its record. */
  image: { id: string; name: string };
  /** Chain ids, lowest first. */
  chainIds: readonly string[];
  /** Says who builds. */
  owner: string;
  signal: AbortSignal;
  onOutput(bytes: Uint8Array): void;
  onNotice(line: string): void;
}

export interface EndedCommand {
  status: number;
  container: Container;
  /** Takes the container away. */
  discard(): void;
}

function optionsOf(request: CommandRequest): RunOptions {
  const { args, env, workingDir, user, mounts, network, limits, image, owner } = request;
  return {
    ...limits,
    image: image.name,
    command: [...args],
    entrypoint: [],
    pull: 'never',
    detach: false,
    interactive: false,
    terminal: false,
    attach: ['stdout', 'stderr'],
    remove: false,
    init: false,
    sigProxy: false,
    env: [...env],
    labels: { [buildLabel]: owner },
    user,
    groupAdd: [],
    workingDir,
    hostname: 'tsrun-build',
    network,
    publish: [],
    publishAll: false,
    expose: [],
    dns: [],
    dnsSearch: [],
    dnsOptions: [],
    firewall: 'warn',
    mounts: [...mounts],
    readOnly: false,
    privileged: false,
    capAdd: [],
    capDrop: [],
    securityOpt: [],
    devices: [],
    sysctls: {},
    pidMode: '',
    ipcMode: '',
    utsMode: '',
    cgroupns: '',
    health: {
      test: ['NONE'],
      interval: 0,
      timeout: 0,
      startPeriod: 0,
      startInterval: 0,
      retries: 0,
      onFailure: 'none',
    },
    restart: { name: 'no', maximumRetryCount: 0 },
    // What it prints is the build's to show.
    log: { driver: 'none' },
  };
}

/** Runs the command to its end. Throws what `run` throws where it cannot start, and `INTERRUPTED`; nothing is left then. */
export async function runCommand(
  store: ContainerStore,
  layers: ReadableLayers,
  request: CommandRequest,
): Promise<EndedCommand> {
  throwIfInterrupted(request.signal);
  const { onNotice } = request;
  const container = createContainer(store, optionsOf(request), imageOf(request, layers), onNotice);
  const discard = (): void => discardContainer(store, container.record, { onNotice });
  try {
    return { status: await startAndWait(store, container, layers, request), container, discard };
  } catch (error) {
    await removeContainer(store, container, true).catch(() => {});
    // Ctrl-C may have ended the monitor too, before it left the job.
    throwIfInterrupted(request.signal);
    throw error;
  }
}

function imageOf({ image, chainIds }: CommandRequest, layers: ReadableLayers): ImageForContainer {
  return {
    id: image.id,
    layers: chainIds.map((chainId, index) => ({
      chainId,
      get path() {
        return layers.path(index);
      },
    })),
    env: [],
    entrypoint: [],
    cmd: [],
    user: '',
    workingDir: '',
    exposedPorts: [],
    volumes: [],
    labels: {},
    stopSignal: '',
  };
}

async function startAndWait(
  store: ContainerStore,
  container: Container,
  layers: ReadableLayers,
  { signal, onOutput, onNotice }: CommandRequest,
): Promise<number> {
  const [ours, output] = socketPair(SOCK_STREAM);
  let stream: SocketStream | undefined;
  const drained = new Promise<void>((resolve) => {
    stream = streamOf(ours, { onData: onOutput, onClose: resolve });
  });
  let open = true;
  const closeOutput = (): void => {
    if (open) close(output);
    open = false;
  };
  try {
    const started = await startContainer(store, container, {
      foreground: {
        stdin: false,
        stdout: true,
        stderr: true,
        output,
        rows: 0,
        columns: 0,
        detachKeys: new Uint8Array(),
      },
      layers,
      onNotice,
    });
    // The monitor has its own: when it ends, so does the stream.
    closeOutput();
    const state = { ...container.state, status: 'running' as const, pid: started.pid, start: started.start };
    const kill = (): void => void signalProcess(store, { ...container, state }, SIGKILL);
    signal.addEventListener('abort', kill, { once: true });
    try {
      if (signal.aborted) kill();
      const end = await finishForeground(store, container, started, onNotice);
      await drained;
      throwIfInterrupted(signal);
      if (typeof end === 'number') return end;
      throw new TsrunError('PROGRAM', `the command was left while it ran (${end})`);
    } finally {
      signal.removeEventListener('abort', kill);
    }
  } finally {
    closeOutput();
    stream?.destroy();
  }
}
