/** `commit`: a container's changes as a layer, and an image of it over those of the container's own image. */
import { TarWriter } from '../image/archive/index.ts';
import type { StoredLayer } from '../image/catalogue.ts';
import { completeHistory, type ImageExecution, type ImageHealthcheck } from '../image/config.ts';
import { type ContainerSide, formatConfig } from '../image/config-json.ts';
import type { Digest } from '../image/digest.ts';
import { throwIfInterrupted } from '../image/errors.ts';
import { applyInstructions } from '../image/instructions.ts';
import { addLocalImage, makeLayer } from '../image/local-image.ts';
import type { Reference } from '../image/reference.ts';
import type { ImageStore, StoredImage } from '../image/store.ts';
import { type Change, containerChanges } from './changes.ts';
import { writeLayerOfChanges } from './layer-of-changes.ts';
import type { Container, ContainerRecord, Healthcheck } from './record.ts';
import { whilePaused } from './while-paused.ts';

export interface CommitOptions {
  author: string;
  message: string;
  /** Instructions of a Dockerfile. */
  changes: readonly string[];
  /** Stops the container's processes meanwhile. */
  pause: boolean;
  /** Where the container's monitor listens. */
  socket: string;
  reference: Reference | undefined;
  /** The program that makes the image, for the config. */
  version: string;
  onWarning(text: string): void;
  /** Gives the commit up; while it is heeded, a signal does not leave the container paused. */
  signal: AbortSignal;
}

export interface Committed {
  image: StoredImage;
  /** What the image's names meant before. */
  before: Map<string, Digest | undefined>;
}

/** Makes the image. Throws `USAGE` for a wrong instruction, `NOT_FOUND` when the container's image is gone, and others. */
export async function commitContainer(
  images: ImageStore,
  container: Container,
  options: CommitOptions,
): Promise<Committed> {
  const { record } = container;
  const hold = images.hold();
  try {
    images.layers.sweep();
    const base = images.require(record.image.id);
    const { config } = base;
    const current = executionOf(record, config.execution);
    const execution = applyInstructions(options.changes, current);
    const asLayer = (): ReturnType<typeof changesAsLayer> => changesAsLayer(images, container, base, options);
    const layer = await (options.pause ? whilePaused(container, options.socket, asLayer) : asLayer());
    const layers = layer === undefined ? [...base.layers] : [...base.layers, layer];
    const created = new Date().toISOString();
    const bytes = formatConfig({
      architecture: base.platform.architecture,
      variant: base.platform.variant,
      os: base.platform.os,
      author: options.author,
      comment: options.message,
      created,
      version: options.version,
      execution,
      container: containerSide(record),
      containerId: record.id,
      containerExecution: current,
      history: [
        ...completeHistory(config),
        {
          created,
          author: options.author,
          createdBy: current.cmd.join(' '),
          comment: options.message,
          emptyLayer: layer === undefined,
        },
      ],
      diffIds: layers.map(({ diffId }) => diffId),
    });
    const references = options.reference === undefined ? [] : [options.reference];
    return addLocalImage(images, { config: bytes, layers, references, parent: base.id });
  } finally {
    hold.release();
  }
}

/** The container's changes as a layer of the store; undefined where there are none. */
async function changesAsLayer(
  images: ImageStore,
  container: Container,
  base: StoredImage,
  { onWarning, signal }: CommitOptions,
): Promise<StoredLayer | undefined> {
  const layers = images.openImage(base);
  let changes: Change[];
  try {
    changes = containerChanges(container.directory, layers.paths, { everyFile: true });
  } finally {
    layers.close();
  }
  if (changes.length === 0) return undefined;
  return makeLayer(images.layers, base.layers, {
    source: 'commit',
    signal,
    async fill(unpacker) {
      const sink = {
        write: (bytes: Uint8Array) => unpacker.take(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)),
      };
      const writer = new TarWriter(sink, { onWarning });
      writeLayerOfChanges(writer, container.directory, changes);
      writer.finish();
      // Signals are heard between two turns of the event loop only.
      await new Promise(setImmediate);
      throwIfInterrupted(signal);
    },
  });
}

/** What the container does, as an image would say it. */
function executionOf(record: ContainerRecord, image: ImageExecution): ImageExecution {
  const { options, process } = record;
  const published = options.publish.map((port) => `${port.containerPort}/${port.protocol}`);
  return {
    user: process.user,
    env: [...process.env],
    entrypoint: process.args.slice(0, process.entrypointLength),
    cmd: process.args.slice(process.entrypointLength),
    workingDir: options.workingDir ?? image.workingDir,
    labels: { ...record.labels },
    exposedPorts: [...new Set([...record.exposedPorts, ...published])].sort(),
    volumes: [...record.volumes],
    stopSignal: options.stopSignal ?? image.stopSignal,
    ...(options.stopTimeout === undefined ? {} : { stopTimeout: options.stopTimeout }),
    ...(record.healthcheck === undefined ? {} : { healthcheck: inNanoseconds(record.healthcheck) }),
    shell: [...image.shell],
    onBuild: [...image.onBuild],
  };
}

/** An image has its times in nanoseconds. */
function inNanoseconds(check: Healthcheck): ImageHealthcheck {
  const { test, interval, timeout, startPeriod, startInterval, retries } = check;
  const nanoseconds = (milliseconds: number): number => milliseconds * 1e6;
  return {
    test,
    interval: nanoseconds(interval),
    timeout: nanoseconds(timeout),
    startPeriod: nanoseconds(startPeriod),
    startInterval: nanoseconds(startInterval),
    retries,
  };
}

function containerSide({ hostname, image, options, process }: ContainerRecord): ContainerSide {
  const attached = (stream: 'stdin' | 'stdout' | 'stderr'): boolean => {
    if (options.detach) return false;
    if (options.attach.length > 0) return options.attach.includes(stream);
    return stream !== 'stdin' || options.interactive;
  };
  return {
    hostname,
    domainname: options.domainname ?? '',
    attachStdin: attached('stdin'),
    attachStdout: attached('stdout'),
    attachStderr: attached('stderr'),
    tty: process.terminal,
    openStdin: process.openStdin,
    stdinOnce: process.openStdin && attached('stdin'),
    image: image.reference,
  };
}
