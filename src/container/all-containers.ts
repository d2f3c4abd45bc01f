/** All containers, for whoever removes what they may stand on: layers, images, volumes. */
import type { Container } from './record.ts';
import type { ContainerStore } from './store.ts';

/** All containers. Throws `CORRUPT` where one is damaged: what it stands on is not known, so that nothing may be removed. */
export function allContainers(containers: ContainerStore): Container[] {
  return containers.list((error) => {
    throw error;
  });
}

/** Whether a container stands on a layer, looked up when it is asked: one may have been made a moment ago. */
export function layerInUse(containers: ContainerStore): (chainId: string) => boolean {
  return (chainId) => allContainers(containers).some(({ record }) => record.image.layers.includes(chainId));
}
