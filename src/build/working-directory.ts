/** WORKDIR makes the directory that it names, where the image does not have it; it belongs to who USER says, as BuildKit has it. */
import { LayeredRoot } from '../container/layered-root.ts';
import { resolveUser } from '../container/users.ts';
import { TsrunError } from '../error.ts';
import type { Made } from '../image/build-cache.ts';
import { MergedView } from '../image/unpack/merged-view.ts';
import { writeLayer } from './copy-step.ts';
import { LayerTree, type Owner } from './layer-tree.ts';
import type { StageState } from './stage-state.ts';
import { type BuildWorld, openLayers } from './world.ts';

/** Throws `USAGE` where there is a file of that name. */
export async function makeWorkingDirectory(world: BuildWorld, state: StageState, path: string): Promise<Made> {
  const layers = openLayers(world, state);
  let below: MergedView | undefined;
  try {
    const paths = layers.paths.reverse();
    below = new MergedView(paths);
    const tree = new LayerTree(below, state.clock);
    const { path: place, kind } = tree.resolve(path);
    if (kind === 'other') throw new TsrunError('USAGE', `WORKDIR ${path}: there is a file of that name`);
    if (kind === 'absent') tree.makeDirectory(place, ownerOfNew(state.execution.user, paths));
    return { layer: tree.isEmpty ? undefined : await writeLayer(world, state, tree), clock: state.clock };
  } finally {
    below?.close();
    layers.close();
  }
}

function ownerOfNew(user: string, paths: readonly string[]): Owner {
  if (user === '') return { uid: 0, gid: 0 };
  const { uid, gid } = resolveUser(new LayeredRoot(paths), user, []);
  return { uid, gid };
}
