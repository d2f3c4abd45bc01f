/** WORKDIR makes the directory that it names, where the image does not have it. */
import { TsrunError } from '../error.ts';
import { MergedView } from '../image/unpack/merged-view.ts';
import type { Made } from './cache.ts';
import { writeLayer } from './copy-step.ts';
import { LayerTree } from './layer-tree.ts';
import type { StageState } from './stage-state.ts';
import { type BuildWorld, openLayers } from './world.ts';

/** Throws `USAGE` where there is a file of that name. */
export async function makeWorkingDirectory(world: BuildWorld, state: StageState, path: string): Promise<Made> {
  const layers = openLayers(world, state);
  let below: MergedView | undefined;
  try {
    below = new MergedView(layers.paths.reverse());
    const tree = new LayerTree(below, state.clock);
    const { path: place, kind } = tree.resolve(path);
    if (kind === 'other') throw new TsrunError('USAGE', `WORKDIR ${path}: there is a file of that name`);
    tree.makeDirectory(place, { uid: 0, gid: 0 });
    return { layer: tree.isEmpty ? undefined : await writeLayer(world, state, tree), clock: state.clock };
  } finally {
    below?.close();
    layers.close();
  }
}
