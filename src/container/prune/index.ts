/** Pruning, by kind: `system prune` calls these in docker's order. */
export { pruneBuildCache } from './build-cache.ts';
export { pruneContainers } from './containers.ts';
export { mayPrune, type PruneFilter } from './filter.ts';
export { pruneImages } from './images.ts';
export { pruneLeftovers } from './leftovers.ts';
export { pruneNetworks } from './networks.ts';
export type { Pruned, PruneRequest, Pruner } from './prune.ts';
export { pruneVolumes } from './volumes.ts';
