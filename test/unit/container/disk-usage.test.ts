import { expect, test } from 'vitest';
import type { CacheUsage } from '../../../src/container/build-cache-usage.ts';
import {
  type DiskUsage,
  sumBuildCache,
  sumContainers,
  sumImages,
  sumVolumes,
} from '../../../src/container/disk-usage.ts';
import { container } from '../cli/views/container.ts';

const image = (size: number): DiskUsage['images'][number]['image'] => ({ size }) as never;
const volume = (links: number, size: number): DiskUsage['volumes'][number] => ({
  name: 'v',
  mountPoint: '',
  created: '',
  labels: {},
  links,
  size,
});

const cached = (size: number, shared: boolean): CacheUsage => ({
  ...{ id: '', type: 'regular', description: '', created: 0, used: 0, uses: 0 },
  ...{ size, shared },
});

const usage: DiskUsage = {
  // Two images of 30 and 50 with a layer of 20 in common.
  images: [
    { image: image(30), shared: 20, containers: 2 },
    { image: image(50), shared: 20, containers: 0 },
  ],
  layers: 60,
  containers: [
    { container: container({ state: { status: 'running' } }), written: 100 },
    { container: container({ state: { status: 'paused' } }), written: 10 },
    { container: container({ state: { status: 'created' } }), written: 1 },
    { container: container({ state: { status: 'exited' } }), written: 2 },
  ],
  volumes: [volume(1, 7), volume(0, 8)],
  buildCache: [cached(3, false), cached(100, true), cached(4, false)],
};

test('an image in use keeps what it shares with no other', () => {
  expect(sumImages(usage)).toEqual({ total: 2, active: 1, size: 60, reclaimable: 50 });
});

test('containers that do not run could go', () => {
  expect(sumContainers(usage)).toEqual({ total: 4, active: 2, size: 113, reclaimable: 3 });
});

test('volumes that no container has could go', () => {
  expect(sumVolumes(usage)).toEqual({ total: 2, active: 1, size: 15, reclaimable: 8 });
});

test('the build cache takes what no image has, and all of that could go', () => {
  expect(sumBuildCache(usage)).toEqual({ total: 3, active: 0, size: 7, reclaimable: 7 });
});
