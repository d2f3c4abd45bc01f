/** An image served by a peer that misbehaves, pulled into a data root of each test's own. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, expect } from 'vitest';
import type { Descriptor } from '../../scripts/images/layout.ts';
import type { PulledImage, PullOptions } from '../../src/image/pull.ts';
import { noise, World, writeImage } from './pull-world.ts';
import { Peer } from './registry-peer.ts';

export const repository = 'library/weather';
const content = noise(3_000_000);

/** What a test has: fresh for each, the layout made once for a file. */
export class Weather {
  world = new World();
  readonly layout: string;
  peer: Peer;
  /** The big layer. */
  blob: Descriptor;

  constructor(layout: string) {
    this.layout = layout;
    this.peer = new Peer(layout);
    this.blob = this.peer.layers(`${repository}:latest`)[0] as Descriptor;
  }

  pull(options: PullOptions = {}): Promise<PulledImage> {
    return this.world.pull(`${this.peer.address}/${repository}`, options);
  }

  isBlob(path: string): boolean {
    return path.endsWith(`/blobs/${this.blob.digest}`);
  }

  /** Ranges that were asked for of the big layer: undefined for all of it. */
  ranges(): (string | undefined)[] {
    return this.peer.requests.filter(({ path }) => this.isBlob(path)).map(({ headers }) => headers.range);
  }

  /** The image is there, whole, and nothing else. */
  async expectWhole(pulled: Promise<PulledImage>): Promise<void> {
    const [lower = '', upper = ''] = this.world.store.openImage(await pulled).paths;
    expect(readFileSync(join(lower, 'data')).equals(content)).toBe(true);
    expect(readFileSync(join(upper, 'second'), 'utf8')).toBe('second\n');
    this.expectNothingHalf();
  }

  expectNothingHalf(): void {
    const layers = this.world.path('layers');
    const names = existsSync(layers) ? readdirSync(layers) : [];
    expect(names.filter((entry) => entry.startsWith('.tmp'))).toEqual([]);
  }

  async expectFailure(pulled: Promise<PulledImage>, code: string, message: RegExp | string): Promise<void> {
    await expect(pulled).rejects.toThrow(
      expect.objectContaining({
        code,
        message: typeof message === 'string' ? message : expect.stringMatching(message),
      }),
    );
    expect(this.world.store.list()).toEqual([]);
    this.expectNothingHalf();
  }
}

/** Weather for each test of a file. */
export function weatherForEachTest(): () => Weather {
  let forFile: World;
  let layout: string;
  let weather: Weather;
  beforeAll(() => {
    forFile = new World();
    layout = writeImage(join(forFile.directory, 'layout'), `${repository}:latest`, [
      [{ path: 'data', data: content }],
      [{ path: 'second', data: 'second\n' }],
    ]);
  });
  afterAll(() => forFile.remove());
  beforeEach(async () => {
    weather = new Weather(layout);
    await weather.peer.start();
  });
  afterEach(async () => {
    await weather.peer.stop();
    weather.world.remove();
  });
  return () => weather;
}
