/** What images and containers take on disk, and how much of it nobody uses: the figures of `system df`. */
import { join } from 'node:path';
import type { ImageStore, StoredImage } from '../image/store.ts';
import { isUp } from './active.ts';
import { buildCacheUsage, type CacheUsage } from './build-cache-usage.ts';
import { directorySize } from './directory-size.ts';
import type { Container } from './record.ts';
import { type VolumeUsage, volumeUsage } from './volume-usage.ts';

export interface ImageUsage {
  image: StoredImage;
  /** Bytes of layers that other images have too. */
  shared: number;
  /** How many containers are made from it. */
  containers: number;
}

export interface ContainerUsage {
  container: Container;
  /** Bytes that it has written. */
  written: number;
}

/** Bytes, and how many of the things are in use. */
export interface UsageSum {
  total: number;
  active: number;
  size: number;
  reclaimable: number;
}

export interface DiskUsage {
  images: ImageUsage[];
  /** Bytes of all layers, each counted once. */
  layers: number;
  containers: ContainerUsage[];
  volumes: VolumeUsage[];
  buildCache: CacheUsage[];
}

/** Looks at everything: walks what containers have written. */
export function diskUsage(root: string, containers: readonly Container[], images: ImageStore): DiskUsage {
  const stored = images.list();
  const users = new Map<string, number>();
  for (const { layers } of stored) for (const { chainId } of layers) users.set(chainId, (users.get(chainId) ?? 0) + 1);
  const sizes = new Map(stored.flatMap(({ layers }) => layers.map(({ chainId, bytes }) => [chainId, bytes] as const)));
  const made = new Map<string, number>();
  for (const { record } of containers) made.set(record.image.id, (made.get(record.image.id) ?? 0) + 1);
  return {
    images: stored.map((image) => ({
      image,
      shared: sum(image.layers.filter(({ chainId }) => (users.get(chainId) ?? 0) > 1).map(({ bytes }) => bytes)),
      containers: made.get(image.id) ?? 0,
    })),
    layers: sum([...sizes.values()]),
    containers: containers.map((container) => ({
      container,
      written: directorySize(join(container.directory, 'upper')),
    })),
    volumes: volumeUsage(root, containers),
    buildCache: buildCacheUsage(images),
  };
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}

/** An image in use keeps what it shares with nobody; what is left of all layers could go (docker's rule). */
export function sumImages({ images, layers }: DiskUsage): UsageSum {
  const active = images.filter(({ containers }) => containers > 0);
  const used = sum(active.map(({ image, shared }) => image.size - shared));
  return { total: images.length, active: active.length, size: layers, reclaimable: layers - used };
}

/** What a container has written could go when it does not run. */
export function sumContainers({ containers }: DiskUsage): UsageSum {
  const inUse = containers.filter(({ container }) => isUp(container.state));
  const size = sum(containers.map(({ written }) => written));
  const reclaimable = size - sum(inUse.map(({ written }) => written));
  return { total: containers.length, active: inUse.length, size, reclaimable };
}

/** A volume could go when no container has it. */
export function sumVolumes({ volumes }: DiskUsage): UsageSum {
  const sizes = volumes.map(({ links, size }) => ({ used: links > 0, size }));
  return {
    total: volumes.length,
    active: sizes.filter(({ used }) => used).length,
    size: sum(sizes.map(({ size }) => size)),
    reclaimable: sum(sizes.filter(({ used }) => !used).map(({ size }) => size)),
  };
}

/** Layers that an image has are counted there. All of the rest could go. */
export function sumBuildCache({ buildCache }: DiskUsage): UsageSum {
  const size = sum(buildCache.filter(({ shared }) => !shared).map((entry) => entry.size));
  return { total: buildCache.length, active: 0, size, reclaimable: size };
}
