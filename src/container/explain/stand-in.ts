/** The image that is explained: the one that is here, the one that is pulled now, or one as most images are. */
import { codeOf } from '../../error.ts';
import type { ImageForContainer } from '../create.ts';
import type { Engine, EngineIo } from '../engine.ts';
import type { RunOptions } from '../run-options.ts';

const standIn: ImageForContainer = {
  id: `sha256:${'0'.repeat(64)}`,
  layers: [{ chainId: `sha256:${'0'.repeat(64)}`, path: '' }],
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

/** Throws what a pull throws, and `INVALID_REFERENCE`. */
export async function lookUpImage(
  engine: Engine,
  options: RunOptions,
  io: EngineIo,
  pull: boolean,
): Promise<{ image: ImageForContainer; isStandIn: boolean }> {
  if (pull) return { image: engine.forContainer(await engine.ensureImage(options, io)), isStandIn: false };
  try {
    const found = engine.images.resolve(options.image);
    if (found !== undefined) return { image: engine.forContainer(found), isStandIn: false };
  } catch (error) {
    // Only root may read the store; anybody may have it explained.
    if (!isRefusal(error)) throw error;
  }
  const chainId = standIn.layers[0]?.chainId ?? '';
  return { image: { ...standIn, layers: [{ chainId, path: engine.images.layerPath(chainId) }] }, isStandIn: true };
}

function isRefusal(error: unknown): boolean {
  const cause = error instanceof Error ? error.cause : undefined;
  return [codeOf(error), codeOf(cause)].some((code) => code === 'EACCES' || code === 'EPERM');
}
