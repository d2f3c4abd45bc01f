/** The image that is explained: the one that is here, the one that is pulled now, or one as most images are. */
import { codeOf } from '../../error.ts';
import type { StoredImage } from '../../image/store.ts';
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
  /** Paths, lowest first. */
  layers: string[];
  isStandIn: boolean;
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
  return { image: standIn, layers: [engine.images.layerPath(standIn.id)], isStandIn: true };
}

function asItIs(engine: Engine, stored: StoredImage): LookedUpImage {
  const image = engine.forContainer(stored);
  return { image, layers: image.layers.map(({ path }) => path), isStandIn: false };
}

function isRefusal(error: unknown): boolean {
  const cause = error instanceof Error ? error.cause : undefined;
  return [codeOf(error), codeOf(cause)].some((code) => code === 'EACCES' || code === 'EPERM');
}
