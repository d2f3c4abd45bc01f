/** What the commands call: the stores of one data root, and the operations that need more than one of them. */
import { writeFileSync } from 'node:fs';
import { messageOf, TsrunError } from '../error.ts';
import type { ReadableLayers } from '../image/readable-layers.ts';
import { ImageStore, type StoredImage } from '../image/store.ts';
import { signalTurns } from '../linux/pause.ts';
import { parseDetachKeys } from '../linux/tty.ts';
import { stepAsync } from '../trace.ts';
import { createContainer, type ImageForContainer } from './create.ts';
import { discardContainer } from './discard.ts';
import { ensureImage, type PullIo } from './ensure-image.ts';
import { recordContainerEvent } from './events.ts';
import { asClient, type ClientEnd, foregroundOf, rawTerminal } from './foreground.ts';
import { finishForeground } from './launch.ts';
import { withContainerIds } from './links.ts';
import { planMounts } from './mount-plan.ts';
import { reap } from './reap.ts';
import type { Container } from './record.ts';
import type { RunOptions } from './run-options.ts';
import { validateSecurityOptions } from './security.ts';
import { signalProcess } from './signal.ts';
import { GivenUp, type StartedContainer, type StartObserver, type StartRequest, startContainer } from './start.ts';
import { findImage } from './steps.ts';
import { ContainerStore } from './store.ts';
import { checkUserns } from './userns.ts';

const defaultDetachKeys = 'ctrl-p,ctrl-q';

/** How an operation speaks to the user while it works. */
export interface EngineIo extends PullIo {
  /** A line for stderr: a warning, a notice. */
  notice(line: string): void;
  /** Of the start of a container. */
  observer?: StartObserver | undefined;
}

export class Engine {
  readonly containers: ContainerStore;
  readonly images: ImageStore;

  constructor(containers = new ContainerStore(), images = new ImageStore(containers.root)) {
    this.containers = containers;
    this.images = images;
  }

  /** The image that a container is to be made from, pulled when the options say so. */
  ensureImage(options: Pick<RunOptions, 'image' | 'pull' | 'platform'>, io: PullIo): Promise<StoredImage> {
    return ensureImage(this.images, options, io);
  }

  /** `create`: makes the container, and its image when that is missing. */
  async create(options: RunOptions, io: EngineIo): Promise<Container> {
    validateSecurityOptions(options.securityOpt);
    checkUserns(options);
    if (process.geteuid?.() !== 0) {
      throw new TsrunError('PERMISSION', 'tsrun needs root to make containers', { hint: 'run it with sudo' });
    }
    const container = await this.createHolding(options, io);
    recordContainerEvent(this.containers.root, container.record, 'create');
    if (options.cidfile !== undefined) {
      try {
        writeFileSync(options.cidfile, container.record.id, { flag: 'wx', mode: 0o644 });
      } catch (cause) {
        discardContainer(this.containers, container.record, { onNotice: (line) => io.notice(line) });
        throw new TsrunError(
          'USAGE',
          `cannot write the container ID to "${options.cidfile}": it exists, or cannot be made`,
          { cause },
        );
      }
    }
    return container;
  }

  /** No image may be removed between its being found and the container's being there. */
  private async createHolding(options: RunOptions, io: EngineIo): Promise<Container> {
    await io.observer?.before?.('image', () => [findImage(options.image)], { pid: 0, netns: -1, cgroup: '' });
    const found = await stepAsync(findImage(options.image), () => this.ensureImage(options, io));
    const held = this.images.hold();
    try {
      // Gone meanwhile, it is missing like any other.
      const image = this.images.require(found.id);
      const layers = this.images.openImage(image);
      try {
        return await this.createWithVolumes(options, this.forContainer(image, layers), io);
      } finally {
        layers.close();
      }
    } finally {
      held.release();
    }
  }

  /** Volumes are there, and held, before the record names them. */
  private async createWithVolumes(given: RunOptions, image: ImageForContainer, io: EngineIo): Promise<Container> {
    const options = withContainerIds(this.containers, given);
    const plan = planMounts(options, image.volumes, (text) => this.containers.resolve(text).record);
    const onNotice = (line: string): void => io.notice(line);
    if (!plan.some((mount) => mount.type === 'volume')) {
      return createContainer(this.containers, options, image, onNotice, plan);
    }
    const { prepareVolumes } = await import('./volumes/prepare.ts');
    const layers = image.layers.map((layer) => layer.path).reverse();
    const prepared = await prepareVolumes(this.containers.root, plan, layers, options.volumeDriver, io.signal);
    try {
      const container = createContainer(this.containers, options, image, onNotice, prepared.mounts);
      prepared.release();
      return container;
    } catch (error) {
      prepared.discard();
      throw error;
    }
  }

  /**
   * Starts a container that exists. In the foreground it resolves to the exit status when the container has ended and
   * was cleaned up, or to how its client ended before; in the background to 0 when its command runs.
   */
  async start(
    container: Container,
    attach: { stdin: boolean; stdout: boolean; stderr: boolean; detachKeys?: string; sigProxy: boolean } | undefined,
    io: EngineIo,
  ): Promise<ClientEnd> {
    const { record } = container;
    const { terminal } = record.process;
    const foreground =
      attach === undefined
        ? undefined
        : foregroundOf(attach, terminal, parseDetachKeys(attach.detachKeys ?? defaultDetachKeys));
    const { root } = this.containers;
    if (attach !== undefined) recordContainerEvent(root, record, 'attach');
    let restore: (() => void) | undefined;
    const request = {
      foreground,
      beforeCommand: () => {
        if (attach !== undefined) restore = rawTerminal({ terminal, stdin: attach.stdin });
      },
      layers: this.images.openLayers(record.image.layers),
      onNotice: (line: string) => io.notice(line),
      observer: io.observer,
    };
    const started = await this.startOrRemove(container, request, io.signal).catch((error: unknown) => {
      restore?.();
      throw error;
    });
    if (attach === undefined) {
      started.monitor.close();
      started.lock.release();
      return 0;
    }
    const state = { ...container.state, status: 'running' as const, pid: started.pid, start: started.start };
    const running = { ...container, state };
    const proxy = attach.sigProxy
      ? (signal: number) => void signalProcess(this.containers, running, signal)
      : undefined;
    const end = await asClient(started.monitor, { terminal, stdin: attach.stdin, proxy, restore }, () =>
      finishForeground(this.containers, container, started, (line) => io.notice(line)),
    );
    if (end === 'detached') recordContainerEvent(root, record, 'detach');
    return end;
  }

  /** `run`: create and start. A container that was run with --rm and could not start is removed. */
  async run(options: RunOptions, io: EngineIo, onCreated: (container: Container) => void): Promise<ClientEnd> {
    const container = await this.create(options, io);
    onCreated(container);
    return this.start(container, options.detach ? undefined : attachment(options), io);
  }

  /** A container that was run with --rm and could not start is removed, and one whose start was given up. */
  private async startOrRemove(
    container: Container,
    request: StartRequest,
    signal: AbortSignal | undefined,
  ): Promise<StartedContainer> {
    const { record } = container;
    try {
      return await startContainer(this.containers, container, request);
    } catch (cause) {
      request.layers.close();
      const error = await orGivenUp(cause, signal);
      // The monitor that was killed may still hold it for a moment.
      const goes = record.options.remove || error instanceof GivenUp;
      const lock = goes ? this.containers.lock(record.id, true) : undefined;
      if (lock !== undefined) {
        try {
          this.removeUnstarted(record.id);
        } catch (failure) {
          request.onNotice(`cannot remove container ${record.name}: ${messageOf(failure)}`);
        } finally {
          lock.release();
        }
      }
      throw error;
    }
  }

  /** With what could not be undone of its start. The caller holds its lock. */
  private removeUnstarted(id: string): void {
    const now = this.containers.read(id);
    // Its monitor may have had it removed.
    if (now === undefined) {
      this.containers.forget(id);
      return;
    }
    const { record, state } = now;
    reap(this.containers, { ...record, options: { ...record.options, remove: true } }, state.start);
  }

  /** What a container takes from an image. */
  forContainer(image: StoredImage, layers: ReadableLayers): ImageForContainer {
    const { execution } = image.config;
    const { healthcheck: check } = execution;
    const milliseconds = (nanoseconds: number): number => Math.ceil(nanoseconds / 1e6);
    return {
      id: image.id,
      layers: image.layers.map(({ chainId }, index) => ({
        chainId,
        get path() {
          return layers.path(index);
        },
      })),
      env: execution.env,
      entrypoint: execution.entrypoint,
      cmd: execution.cmd,
      user: execution.user,
      workingDir: execution.workingDir,
      exposedPorts: execution.exposedPorts,
      volumes: execution.volumes,
      labels: execution.labels,
      stopSignal: execution.stopSignal,
      ...(execution.stopTimeout === undefined ? {} : { stopTimeout: execution.stopTimeout }),
      ...(check === undefined
        ? {}
        : {
            healthcheck: {
              test: check.test,
              interval: milliseconds(check.interval),
              timeout: milliseconds(check.timeout),
              startPeriod: milliseconds(check.startPeriod),
              startInterval: milliseconds(check.startInterval),
              retries: check.retries,
            },
          }),
    };
  }
}

/**
 * Why a start failed that somebody may have interrupted: a Ctrl-C is for all processes of a job, and a monitor that has not
 * come to leave it ends with it.
 */
async function orGivenUp(error: unknown, signal: AbortSignal | undefined): Promise<unknown> {
  if (signal === undefined || !(error instanceof TsrunError) || error.code !== 'PROGRAM') return error;
  await signalTurns();
  return signal.aborted ? new GivenUp(error) : error;
}

/** Which streams the caller is connected to: those of -a, else stdout and stderr, and stdin with -i. */
function attachment(options: RunOptions): {
  stdin: boolean;
  stdout: boolean;
  stderr: boolean;
  detachKeys?: string;
  sigProxy: boolean;
} {
  const all = options.attach.length === 0;
  return {
    stdin: all ? options.interactive : options.attach.includes('stdin'),
    stdout: all || options.attach.includes('stdout'),
    stderr: all || options.attach.includes('stderr'),
    sigProxy: options.sigProxy,
    ...(options.detachKeys === undefined ? {} : { detachKeys: options.detachKeys }),
  };
}
