/** What all stages of one build share. */
import type { ContainerStore } from '../container/store.ts';
import type { BuildCache, Made } from '../image/build-cache.ts';
import type { Platform } from '../image/platform.ts';
import type { ReadableLayers } from '../image/readable-layers.ts';
import type { ImageStore } from '../image/store.ts';
import type { BuildArguments } from './arguments.ts';
import type { BuildContext } from './context.ts';
import type { Dockerfile } from './dockerfile/parser.ts';
import type { CommandLimits } from './limits.ts';
import { type NamedContexts, namedContext, openNamedContext } from './named-contexts.ts';
import type { BuildProgress } from './progress.ts';
import { SourceFiles } from './source-files.ts';
import type { StageState } from './stage-state.ts';
import { type Stage, sourceOf } from './stages.ts';

export interface BuildWorld {
  images: ImageStore;
  containers: ContainerStore;
  cache: BuildCache;
  /** Whether a stage uses nothing that was built before. */
  noCache(stage: Stage): boolean;
  args: BuildArguments;
  context: BuildContext;
  /** --build-context. */
  contexts: NamedContexts;
  file: Dockerfile;
  stages: readonly Stage[];
  platform: Platform;
  /** As --network takes it. */
  network: string;
  limits: CommandLimits;
  /** A Dockerfile may ask for the network of the host: whoever builds has said so. */
  allowsHostNetwork: boolean;
  secrets: ReadonlyMap<string, () => Buffer>;
  /** SOURCE_DATE_EPOCH. */
  epoch: number | undefined;
  /** A new name for a place on the data root's disk, or among what a reboot loses. */
  scratch(kind: 'disk' | 'secret'): string;
  /** Says in a container's label who builds. */
  owner: string;
  progress: BuildProgress;
  signal: AbortSignal;
  /** What a stage comes to; each is built once, when it is first asked for. */
  stage(stage: Stage): Promise<StageState>;
  /** An image as a stage that does nothing; pulled where it is missing. */
  image(name: string, platform: Platform): Promise<StageState>;
  /** Makes something once, however many ask for it at the same time, and remembers it by `description`. */
  once(key: string, description: string, make: () => Promise<Made>): Promise<Made>;
}

/** The layers of a state as directories; the caller closes them. */
export function openLayers(world: Pick<BuildWorld, 'images'>, state: StageState): ReadableLayers {
  return world.images.openLayers(state.layers.map(({ chainId }) => chainId));
}

/** The files that `--from` means, as they are when that stage is built; `undefined` means the context. */
export async function openSource(
  world: BuildWorld,
  stage: Stage,
  from: string | undefined,
): Promise<{ files: SourceFiles; clock: number; close(): void }> {
  if (from === undefined) return { files: world.context.files, clock: 0, close: () => {} };
  const named = namedContext(world.contexts, from);
  if (named?.kind === 'directory') {
    const files = openNamedContext(from, named.path);
    return { files, clock: 0, close: () => files.close() };
  }
  const state = await stateOf(world, stage, from);
  const layers = openLayers(world, state);
  try {
    const files = new SourceFiles(layers.paths.reverse(), `"${from}"`, { onClose: () => layers.close() });
    return { files, clock: state.clock, close: () => files.close() };
  } catch (error) {
    layers.close();
    throw error;
  }
}

/** Waits until what `--from` means can be read. */
export async function readySource(world: BuildWorld, stage: Stage, from: string): Promise<void> {
  if (namedContext(world.contexts, from)?.kind !== 'directory') await stateOf(world, stage, from);
}

/** What a stage or image of `--from` has come to. */
function stateOf(world: BuildWorld, stage: Stage, from: string): Promise<StageState> {
  const named = namedContext(world.contexts, from);
  const source = named?.kind === 'image' ? named.image : sourceOf(world.stages, stage, from);
  return typeof source === 'string' ? world.image(source, world.platform) : world.stage(source);
}
