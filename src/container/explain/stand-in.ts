/** The image that is explained: the one that is here, the one that is pulled now, or one as most images are. */
import { codeOf } from '../../error.ts';
import type { LayerPlace } from '../../image/layers.ts';
import { ReadableLayers } from '../../image/readable-layers.ts';
import type { StoredImage } from '../../image/store.ts';
import { errnoName, SyscallError } from '../../linux/errno.ts';
import type { ImageForContainer } from '../create.ts';
import type { Engine, EngineIo } from '../engine.ts';
import type { RunOptions } from '../run-options.ts';

const standIn: ImageForContainer = {
  id: `sha256:${'0'.repeat(64)}`,
  layers: [],
  env: ['PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'],
  entrypoint: [],
  cmd: ['/bin/sh'],
  user: '',
  workingDir: '',
  exposedPorts: [],
  volumes: [],
  labels: {},
  stopSignal: '',
};

export interface LookedUpImage {
  /** The stand-in has no layers that anybody could look into. */
  image: ImageForContainer;
  /** Lowest first. */
  layers: readonly LayerPlace[];
  /** The layers, to be read and then closed. */
  opened: ReadableLayers;
  isStandIn: boolean;
  /** Its layers are there, and only root may look into them. */
  isOpaque: boolean;
}

/** Throws what a pull throws, and `INVALID_REFERENCE`. */
export async function lookUpImage(
  engine: Engine,
  options: RunOptions,
  io: EngineIo,
  pull: boolean,
): Promise<LookedUpImage> {
  if (pull) return asItIs(engine, await engine.ensureImage(options, io));
  try {
    const found = engine.images.resolve(options.image);
    if (found !== undefined) return asItIs(engine, found);
  } catch (error) {
    // Only root may read the store; anybody may have it explained.
    if (!isRefusal(error)) throw error;
  }
  const layers: LayerPlace[] = [{ kind: 'unpacked', path: engine.images.layerPath(standIn.id) }];
  return { image: standIn, layers, opened: new ReadableLayers(layers), isStandIn: true, isOpaque: false };
}

function asItIs(engine: Engine, stored: StoredImage): LookedUpImage {
  const opened = engine.images.openLayers(stored.layers.map(({ chainId }) => chainId));
  const image = engine.forContainer(stored, opened);
  const found = { image, layers: opened.places, opened, isStandIn: false, isOpaque: false };
  try {
    void opened.paths;
    return found;
  } catch (error) {
    if (!isRefusal(error)) throw error;
    // Layers that are mounted from their archives: their users are not known then, and nothing else is asked of them.
    const layers = stored.layers.map(({ chainId }) => ({ chainId, path: engine.images.layerPath(standIn.id) }));
    return { ...found, image: { ...image, layers }, isOpaque: true };
  }
}

function isRefusal(error: unknown): boolean {
  const cause = error instanceof Error ? error.cause : undefined;
  return [error, cause].some((each) => {
    const code = each instanceof SyscallError ? errnoName(each.errno) : codeOf(each);
    return code === 'EACCES' || code === 'EPERM';
  });
}
