/** COPY and ADD as a step: the layer that they make (copy.ts says of what). */

import { cacheKey, type Made } from '../image/build-cache.ts';
import { makeLayer } from '../image/local-image.ts';
import { MergedView } from '../image/unpack/merged-view.ts';
import { ClockedTarWriter } from './clock.ts';
import {
  type CollectedCopy,
  type CopyRequest,
  collectCopy,
  completeEntries,
  copyKey,
  ownerOf,
  placeCopy,
} from './copy.ts';
import { LayerTree } from './layer-tree.ts';
import type { StepProgress } from './progress.ts';
import { RemoteFile } from './remote-file.ts';
import type { SourceFiles } from './source-files.ts';
import { type StageState, topOf } from './stage-state.ts';
import type { Stage } from './stages.ts';
import { type BuildWorld, openLayers, openSource, readySource } from './world.ts';

export class CopyStep {
  private source: { files: SourceFiles; clock: number; close(): void } | undefined;
  private collected: CollectedCopy | undefined;
  private readonly remotes: RemoteFile[] = [];

  constructor(
    private readonly world: BuildWorld,
    private readonly stage: Stage,
    private readonly state: StageState,
    private readonly request: CopyRequest,
  ) {}

  async ready(): Promise<void> {
    if (this.request.from !== undefined) await readySource(this.world, this.stage, this.request.from);
  }

  /** Looks at the files; answers the key of the cache. */
  async open(step: StepProgress): Promise<string> {
    const { world, stage, state, request } = this;
    this.source = await openSource(world, stage, request.from);
    const time = world.epoch ?? state.clock;
    this.collected = await collectCopy(request, this.source.files, (source) => {
      const tell = (line: string): void => step.output(Buffer.from(`${line}\n`));
      const file = new RemoteFile(source, {
        scratch: world.scratch('disk'),
        records: world.cache.remotes,
        anew: world.noCache(stage),
        clock: time,
        signal: world.signal,
        tell,
      });
      this.remotes.push(file);
      return file;
    });
    // Files of an image keep their owner, those of a context have none.
    const kind = this.source.files.isContext ? 'context' : 'image';
    const { workingDir } = state.execution;
    return cacheKey(['copy', kind, topOf(state), time, copyKey(request), workingDir, this.collected.digest]);
  }

  close(): void {
    for (const file of this.remotes) file.close();
    this.source?.close();
  }

  async make(step: StepProgress): Promise<Made> {
    const { world, state, request, source, collected } = this;
    if (source === undefined || collected === undefined) throw new RangeError('a step is opened before it is made');
    const complete = await completeEntries(request, collected);
    const newest = source.files.isContext ? complete.newest : source.clock;
    const clock = world.epoch ?? Math.max(state.clock, newest);
    const layers = openLayers(world, state);
    const opened: SourceFiles[] = [];
    let below: MergedView | undefined;
    try {
      const paths = layers.paths.reverse();
      below = new MergedView(paths);
      const tree = new LayerTree(below, clock);
      await placeCopy(request, complete.entries, {
        tree,
        workingDir: state.execution.workingDir,
        owner: request.chown === undefined ? undefined : ownerOf(request.chown, paths),
        scratch: world.scratch('disk'),
        opened,
        signal: world.signal,
      });
      return { layer: tree.isEmpty ? undefined : await writeLayer(world, state, tree, step), clock };
    } finally {
      for (const files of opened) files.close();
      below?.close();
      layers.close();
    }
  }
}

/** Makes a layer over those of the stage, in which nothing is newer than `clock`. */
export function makeClockedLayer(
  world: BuildWorld,
  state: StageState,
  clock: number,
  put: (writer: ClockedTarWriter) => void,
  step?: StepProgress,
): Promise<NonNullable<Made['layer']>> {
  return makeLayer(world.images.layers, state.layers, {
    source: 'build',
    signal: world.signal,
    fill: (unpacker) => {
      const write = (bytes: Uint8Array): void =>
        unpacker.take(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length));
      const onWarning = (text: string): void => step?.output(Buffer.from(`${text}\n`));
      const writer = new ClockedTarWriter(clock, { write }, { onWarning });
      put(writer);
      writer.finish();
    },
  });
}

/** Makes a layer of a tree. What is copied keeps its time; with SOURCE_DATE_EPOCH nothing is newer than that. */
export function writeLayer(
  world: BuildWorld,
  state: StageState,
  tree: LayerTree,
  step?: StepProgress,
): Promise<NonNullable<Made['layer']>> {
  return makeClockedLayer(world, state, world.epoch ?? Number.MAX_SAFE_INTEGER, (writer) => tree.write(writer), step);
}
