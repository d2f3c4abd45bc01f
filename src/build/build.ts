/** `tsrun build`: from a Dockerfile and a context to an image. Stages are built when something needs them, each once. */
import { join } from 'node:path';
import { ensureImage } from '../container/ensure-image.ts';
import { ownName } from '../container/state.ts';
import type { ContainerStore } from '../container/store.ts';
import { messageOf } from '../error.ts';
import { BuildCache, type Made } from '../image/build-cache.ts';
import { completeHistory } from '../image/config.ts';
import type { PullEvent } from '../image/events.ts';
import { formatPlatform, hostPlatform, type Platform } from '../image/platform.ts';
import { formatReference, parseReference } from '../image/reference.ts';
import type { ImageStore } from '../image/store.ts';
import { removeTree } from '../image/unpack/remove-tree.ts';
import { BuildArguments, platformArguments } from './arguments.ts';
import { checkInstructions } from './check.ts';
import { clockOf, parseEpoch } from './clock.ts';
import { openContext } from './context.ts';
import { parseDockerfile } from './dockerfile/parser.ts';
import { scratchPaths, sweepBuilds } from './leftovers.ts';
import type { CommandLimits } from './limits.ts';
import type { NamedContexts } from './named-contexts.ts';
import { type BuildOutput, type BuildResult, type ImageExtras, writeOutputs } from './outputs.ts';
import { type BuildProgress, withStep } from './progress.ts';
import { StageBuilder } from './stage-builder.ts';
import type { StageState } from './stage-state.ts';
import { type Stage, stagesOf, targetStage } from './stages.ts';
import type { BuildWorld } from './world.ts';

export interface BuildOptions extends ImageExtras {
  context: string;
  file: string | undefined;
  /** --build-context. */
  contexts: NamedContexts;
  outputs: readonly BuildOutput[];
  args: ReadonlyMap<string, string>;
  target: string;
  noCache: boolean;
  /** Stages, by name, that use nothing that was built before. */
  noCacheStages: readonly string[];
  /** Base images are pulled although they are there. */
  pull: boolean;
  platform: Platform | undefined;
  network: string;
  limits: CommandLimits;
  /** --allow network.host */
  allowsHostNetwork: boolean;
  secrets: ReadonlyMap<string, () => Buffer>;
  /** SOURCE_DATE_EPOCH of the caller; an argument of that name counts for more. */
  epoch: string | undefined;
  progress: BuildProgress;
  pulling: (reference: string) => (event: PullEvent) => void;
  signal: AbortSignal;
}

/** Those of one data root. */
export interface BuildStores {
  images: ImageStore;
  containers: ContainerStore;
}

/** Builds. Throws `USAGE` with the place in the Dockerfile, `PROGRAM` for a command that fails, and whatever a part reports. */
export async function build(stores: BuildStores, options: BuildOptions): Promise<BuildResult> {
  const { images, containers } = stores;
  const { progress } = options;
  const owner = ownName();
  const scratch = scratchPaths(images.root, containers.state, owner);
  let numbers = 0;
  const place = (kind: 'disk' | 'secret'): string => join(scratch[kind], String(numbers++));
  const stop = new AbortController();
  const abort = (): void => stop.abort();
  options.signal.addEventListener('abort', abort, { once: true });
  const hold = images.hold();
  try {
    images.layers.sweep();
    await sweepBuilds(containers, (line) => progress.warn(line));
    const context = await withStep(progress, '[internal] load build context', () =>
      openContext({ ...options, scratch: place('disk'), signal: stop.signal }),
    );
    try {
      const file = parseDockerfile(context.dockerfile.text, context.dockerfile.name);
      if (file.syntax !== undefined) {
        progress.warn(`# syntax=${file.syntax} is ignored: tsrun reads Dockerfiles itself`);
      }
      const host = hostPlatform();
      const platform = options.platform ?? host;
      const args = new BuildArguments(options.args, platformArguments(host, platform, options.target || 'default'));
      const stages = stagesOf(file, args, options.contexts);
      checkInstructions(file);
      const target = targetStage(stages, options.target);
      const memory = new Memory(stop);
      const world: BuildWorld = {
        images,
        containers,
        cache: new BuildCache(images.root, images.layers),
        noCache: ({ name }) => options.noCache || options.noCacheStages.includes(name ?? ''),
        args,
        context,
        contexts: options.contexts,
        file,
        stages,
        platform,
        network: options.network,
        limits: options.limits,
        allowsHostNetwork: options.allowsHostNetwork || options.network === 'host',
        secrets: options.secrets,
        epoch: parseEpoch(options.args.get('SOURCE_DATE_EPOCH') ?? options.epoch),
        scratch: place,
        owner,
        progress,
        signal: stop.signal,
        stage: (stage: Stage) => memory.stage(stage.index, () => new StageBuilder(world, stage).run()),
        image: (name, wanted) =>
          memory.image(`${formatPlatform(wanted)} ${name}`, () => baseImage(options, world, name, wanted)),
        once: (key, description, make) =>
          memory.once(key, async () => {
            const made = await make();
            world.cache.keep(key, made, description);
            return made;
          }),
      };
      const state = await memory.settled(world.stage(target));
      const unused = args.unused();
      if (unused.length > 0) progress.warn(`[Warning] One or more build-args [${unused.join(' ')}] were not consumed`);
      return await writeOutputs(images, options, state);
    } finally {
      context.close();
    }
  } finally {
    hold.release();
    options.signal.removeEventListener('abort', abort);
    for (const path of Object.values(scratch)) removeTree(path);
  }
}

/** What is being made, each thing once; when one fails the others are stopped, and waited for. */
class Memory {
  private readonly stages = new Map<number, Promise<StageState>>();
  private readonly images = new Map<string, Promise<StageState>>();
  private readonly layers = new Map<string, Promise<Made>>();
  private failure: { error: unknown } | undefined;

  constructor(private readonly stop: AbortController) {}

  stage(index: number, build: () => Promise<StageState>): Promise<StageState> {
    return remember(this.stages, index, () =>
      build().catch((error: unknown) => {
        // What is stopped because of it fails too; the first is the reason.
        this.failure ??= { error };
        this.stop.abort();
        throw error;
      }),
    );
  }

  /** What fails here and in `once` is told by the stages that wait for it: they know the place. */
  image(key: string, load: () => Promise<StageState>): Promise<StageState> {
    return remember(this.images, key, load);
  }

  once(key: string, make: () => Promise<Made>): Promise<Made> {
    return remember(this.layers, key, make);
  }

  /** The state of the target, when nothing is under way any more. Throws the first failure. */
  async settled(target: Promise<StageState>): Promise<StageState> {
    await target.catch(() => {});
    await Promise.allSettled([...this.stages.values(), ...this.images.values(), ...this.layers.values()]);
    if (this.failure !== undefined) throw this.failure.error;
    return target;
  }
}

function remember<K, T>(known: Map<K, Promise<T>>, key: K, make: () => Promise<T>): Promise<T> {
  const before = known.get(key);
  if (before !== undefined) return before;
  const promise = make();
  // Whoever waits for it hears of it; nobody may.
  promise.catch(() => {});
  known.set(key, promise);
  return promise;
}

async function baseImage(
  options: BuildOptions,
  world: BuildWorld,
  name: string,
  platform: Platform,
): Promise<StageState> {
  const image = await withStep(world.progress, `[internal] load metadata for ${formatReferenceOf(name)}`, () =>
    ensureImage(
      world.images,
      { image: name, pull: options.pull ? 'always' : 'missing', platform: formatPlatform(platform) },
      { pulling: options.pulling, signal: world.signal },
    ),
  );
  const { config } = image;
  return {
    layers: [...image.layers],
    execution: structuredClone(config.execution),
    history: [...completeHistory(config)],
    author: config.author,
    platform: image.platform,
    clock: world.epoch ?? clockOf(image.created),
    args: new Map(),
    base: { id: image.id, name },
    ownCommand: false,
  };
}

function formatReferenceOf(name: string): string {
  try {
    return formatReference(parseReference(name));
  } catch (error) {
    return `${name} (${messageOf(error)})`;
  }
}
