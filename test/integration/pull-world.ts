/** What the tests of pulling stand on: a data root of their own, images made for them, pulls that are listened to. */
import { mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach } from 'vitest';
import { LayoutWriter } from '../../scripts/images/layout.ts';
import { type TarEntry, tarOf } from '../../scripts/images/tar.ts';
import type { PullEvent } from '../../src/image/events.ts';
import type { Timeouts } from '../../src/image/http.ts';
import type { RegistrySettings } from '../../src/image/mirrors.ts';
import { type PulledImage, type PullOptions, pull } from '../../src/image/pull.ts';
import { parseReference } from '../../src/image/reference.ts';
import type { RetryPolicy } from '../../src/image/retry.ts';
import { ImageStore } from '../../src/image/store.ts';

/** Quick, so that tests of failures are. */
export const quickRetry: RetryPolicy = { attempts: 4, baseDelay: 10, maxDelay: 50, maxRetryAfter: 5000 };
export const quickTimeouts: Timeouts = { connect: 1000, answer: 1000, idle: 500 };

export const noSettings = (): RegistrySettings => ({ mirrors: new Map(), insecure: new Set() });

/** Settings with mirrors of docker.io. */
export function mirrored(...urls: string[]): RegistrySettings {
  return { mirrors: new Map([['docker.io', urls.map((url) => new URL(url))]]), insecure: new Set() };
}

/** A directory of one test. */
export class World {
  readonly directory = mkdtempSync('/var/tmp/tsrun-pull.');
  readonly root = join(this.directory, 'root');
  readonly events: PullEvent[] = [];
  store = new ImageStore(this.root);

  /** Pulls as the command does, only faster to give up. */
  pull(name: string, options: PullOptions = {}): Promise<PulledImage> {
    return pull(this.store, parseReference(name), {
      settings: noSettings(),
      credentials: async () => undefined,
      retry: quickRetry,
      timeouts: quickTimeouts,
      onProgress: (event) => this.events.push(event),
      ...options,
    });
  }

  /** What happened to layers, in order: `a1b2c3d4e5f6: Pull complete`; how far they are is left out. */
  layerEvents(): string[] {
    return this.events.flatMap((event) =>
      event.kind === 'layer' && event.current === undefined ? [`${event.id}: ${event.status}`] : [],
    );
  }

  warnings(): string[] {
    return this.events.flatMap((event) => (event.kind === 'warning' ? [event.text] : []));
  }

  path(...names: string[]): string {
    return join(this.root, ...names);
  }

  remove(): void {
    rmSync(this.directory, { recursive: true, force: true });
  }
}

/** A fresh world for each test of a file. */
export function worldForEachTest(): () => World {
  let world: World;
  beforeEach(() => {
    world = new World();
  });
  afterEach(() => world.remove());
  return () => world;
}

/** Bytes that no compression makes smaller, the same for the same seed. */
export function noise(length: number, seed = 1): Buffer {
  const bytes = Buffer.alloc(length);
  let state = seed;
  for (let i = 0; i + 4 <= length; i += 4) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    bytes.writeUInt32LE((state ^ (state >>> 15)) >>> 0, i);
  }
  return bytes;
}

/** Writes a layout with one image `REPOSITORY:TAG`, a layer for each list of entries; returns its directory. */
export function writeImage(directory: string, name: string, layers: readonly (readonly TarEntry[])[]): string {
  const layout = new LayoutWriter(directory);
  const image = layout.image(
    layers.map((entries) => layout.layer(tarOf(entries))),
    { Cmd: ['/hello'], Labels: { made: 'for a test' } },
  );
  layout.tag(name, image);
  layout.finish();
  return directory;
}
