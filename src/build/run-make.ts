/** The command of a RUN and the layer of what it has changed: what is loaded only where the cache does not have it. */
import { containerChanges } from '../container/changes.ts';
import { writeLayerOfChanges } from '../container/layer-of-changes.ts';
import { TsrunError } from '../error.ts';
import type { Made } from '../image/build-cache.ts';
import type { ReadableLayers } from '../image/readable-layers.ts';
import { makeClockedLayer } from './copy-step.ts';
import type { MountRequest } from './mount-key.ts';
import { MountPoints } from './mount-points.ts';
import type { StepProgress } from './progress.ts';
import { type CommandRequest, type EndedCommand, runCommand } from './run-container.ts';
import { type PreparedMounts, prepareMounts } from './run-mounts.ts';
import type { RunRequest } from './run-step.ts';
import type { StageState } from './stage-state.ts';
import { type BuildWorld, openLayers } from './world.ts';

/** A RUN that has been opened. */
export interface OpenedRun {
  world: BuildWorld;
  state: StageState;
  request: RunRequest;
  requests: readonly MountRequest[];
  /** Of commands: ARGs, and what the image has. */
  env: readonly string[];
  /** Seconds since 1970: nothing in the layer is newer. */
  time: number;
  /** As --network takes it. */
  network: string;
}

/** Runs it. Throws `PROGRAM` where the command fails. */
export async function makeRun(run: OpenedRun, step: StepProgress): Promise<Made> {
  const { world, state, request } = run;
  if (state.layers.length === 0) {
    throw new TsrunError('USAGE', 'RUN needs a command, and nothing has been put into scratch yet', {
      hint: 'COPY something into it before, or begin with another image',
    });
  }
  const layers = openLayers(world, state);
  try {
    const prepared = await prepareMounts(run.requests, {
      cache: world.cache.mountDirectory,
      scratch: world.scratch('disk'),
      secretScratch: world.scratch('secret'),
      secrets: world.secrets,
      script: request.script === undefined ? undefined : { path: request.args[0] ?? '', text: request.script },
      workingDir: state.execution.workingDir,
      signal: world.signal,
    });
    try {
      return await runOver(run, layers, prepared, step);
    } finally {
      prepared.close();
    }
  } finally {
    layers.close();
  }
}

async function runOver(
  run: OpenedRun,
  layers: ReadableLayers,
  prepared: PreparedMounts,
  step: StepProgress,
): Promise<Made> {
  const { world, request, time } = run;
  const points = new MountPoints(
    layers.paths,
    prepared.mounts.map(({ target }) => target),
  );
  const ended = await runCommand(world.containers, layers, commandOf(run, prepared, step));
  try {
    if (ended.status !== 0) {
      const shown = JSON.stringify(request.args.join(' '));
      throw new TsrunError('PROGRAM', `process ${shown} did not complete successfully: exit code: ${ended.status}`, {
        hint: 'what it has printed stands above; what the steps before it made is kept, and not made again',
      });
    }
    points.removeFrom(ended.container.directory);
    return { layer: await layerOf(run, ended, layers, step), clock: time };
  } finally {
    ended.discard();
  }
}

function commandOf(run: OpenedRun, { mounts, env }: PreparedMounts, step: StepProgress): CommandRequest {
  const { world, state, request, network } = run;
  const { workingDir, user } = state.execution;
  const proxies = [...world.args.proxies()].map(([name, value]) => `${name}=${value}`);
  return {
    args: request.args,
    env: [...proxies, ...run.env, ...env],
    workingDir: workingDir || '/',
    user,
    mounts,
    network,
    limits: world.limits,
    image: { id: state.base?.id ?? `sha256:${'0'.repeat(64)}`, name: state.base?.name ?? 'scratch' },
    chainIds: state.layers.map(({ chainId }) => chainId),
    owner: world.owner,
    signal: world.signal,
    onOutput: (bytes) => step.output(bytes),
    onNotice: (line) => world.progress.warn(line),
  };
}

async function layerOf(
  run: OpenedRun,
  ended: EndedCommand,
  layers: ReadableLayers,
  step: StepProgress,
): Promise<Made['layer']> {
  const { directory } = ended.container;
  const changes = containerChanges(directory, layers.paths, { everyFile: true });
  if (changes.length === 0) return undefined;
  return makeClockedLayer(
    run.world,
    run.state,
    run.time,
    (writer) => writeLayerOfChanges(writer, directory, changes),
    step,
  );
}
