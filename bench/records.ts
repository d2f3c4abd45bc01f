/** A data root with many stopped containers and many images, made of records alone: what lists have to read. */
import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ContainerRecord } from '../src/container/record.ts';
import { ContainerStore, newId } from '../src/container/store.ts';
import { parseReference } from '../src/image/reference.ts';
import { ImageStore, type StoredImage } from '../src/image/store.ts';
import { runOptions } from '../test/fixtures/run-options.ts';

/** Milliseconds between two of them. */
const apart = 60_000;

function record(image: StoredImage, name: string, created: Date): ContainerRecord {
  const args = ['sh', '-c', `echo ${name}`];
  return {
    version: 1,
    id: newId(),
    name,
    created: created.toISOString(),
    image: { id: image.id, reference: 'busybox', layers: image.layers.map(({ chainId }) => chainId) },
    options: runOptions({ image: 'busybox', command: args, network: 'default', env: ['A=b', 'C=d'] }),
    process: {
      args,
      entrypointLength: 0,
      env: ['PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', 'A=b', 'C=d'],
      cwd: '/',
      user: '',
      terminal: false,
      openStdin: false,
    },
    hostname: name,
    labels: { 'com.example.tier': 'front', 'com.example.number': name },
    exposedPorts: [],
    volumes: [],
    stopSignal: 'SIGTERM',
    stopTimeout: 10,
    mounts: [],
  };
}

/** Adds `count` containers that have ended, made from an image that is there. */
export function addContainers(root: string, state: string, imageName: string, count: number): void {
  const store = new ContainerStore(root, state);
  const image = new ImageStore(root).require(imageName);
  for (let index = 0; index < count; index++) {
    const created = new Date(Date.now() - (count - index) * apart);
    const { directory } = store.create(record(image, `made${index}`, created));
    const start = {
      pid: 1_000_000 + index,
      startTime: '1',
      bootId: 'earlier',
      monitorPid: 2_000_000 + index,
      monitorStartTime: '1',
      startedAt: created.toISOString(),
      cgroup: '',
      network: { mode: 'none' },
    };
    const exit = { exitCode: index % 3, signal: 0, oomKilled: false, finishedAt: created.toISOString() };
    writeFileSync(join(directory, 'start.json'), JSON.stringify(start));
    writeFileSync(join(directory, 'exit.json'), JSON.stringify(exit));
  }
}

/** Adds `count` images that share the layers of one that is there. */
export function addImages(root: string, imageName: string, count: number): void {
  const store = new ImageStore(root);
  const { manifestDigest, created, platform, size, layers } = store.require(imageName);
  for (let index = 0; index < count; index++) {
    store.add({
      id: `sha256:${randomBytes(32).toString('hex')}` as StoredImage['id'],
      entry: { manifest: manifestDigest, documents: [manifestDigest], created, platform, bytes: size, layers },
      references: [parseReference(`made${index}:latest`)],
      blobs: [],
    });
  }
}
