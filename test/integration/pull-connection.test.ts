/** Pulling over connections that break, from registries in trouble, and with Ctrl-C. */

import { rmSync } from 'node:fs';
import { beforeEach, describe, expect, test } from 'vitest';
import type { Descriptor } from '../../scripts/images/layout.ts';
import type { PulledImage, PullOptions } from '../../src/image/pull.ts';
import { repository, weatherForEachTest } from './pull-weather.ts';
import { noise, quickRetry, type World } from './pull-world.ts';
import { type Peer, send, sendPart } from './registry-peer.ts';

const name = repository;
const weather = weatherForEachTest();
let world: World;
let peer: Peer;
let blob: Descriptor;
beforeEach(() => {
  ({ world, peer, blob } = weather());
});
const pull = (options: PullOptions = {}) => weather().pull(options);
const isBlob = (path: string) => weather().isBlob(path);
const ranges = () => weather().ranges();
const expectWhole = (pulled: Promise<PulledImage>) => weather().expectWhole(pulled);
const expectFailure = (pulled: Promise<PulledImage>, code: string, message: RegExp | string) =>
  weather().expectFailure(pulled, code, message);

describe('a connection that breaks', () => {
  test('is resumed where it broke, as often as it gets on', async () => {
    const pieces = [1_000_000, 500_000];
    peer.trick = ({ path, headers, response }) => {
      const piece = isBlob(path) ? pieces.shift() : undefined;
      if (piece === undefined) return false;
      const start = Number(/\d+/.exec(headers.range ?? '0')?.[0]);
      const bytes = peer.blob(blob.digest).subarray(start);
      const range = `bytes ${start}-${blob.size - 1}/${blob.size}`;
      sendPart(response, bytes, piece, start === 0 ? 200 : 206, start === 0 ? {} : { 'content-range': range });
      return true;
    };
    await expectWhole(pull());
    expect(ranges()).toEqual([undefined, 'bytes=1000000-', 'bytes=1500000-']);
    expect(world.layerEvents().filter((line) => line.endsWith('Retrying'))).toHaveLength(2);
  });

  test('where the server knows no ranges, what came before is passed over', async () => {
    let broken = false;
    peer.trick = ({ path, response }) => {
      if (!isBlob(path)) return false;
      if (broken) send(response, 200, peer.blob(blob.digest));
      else sendPart(response, peer.blob(blob.digest), 1_234_567);
      broken = true;
      return true;
    };
    await expectWhole(pull());
    expect(ranges()).toEqual([undefined, 'bytes=1234567-']);
  });

  test.each<[string, number, Record<string, string>]>([
    ['416', 416, {}],
    ['another range than asked for', 206, { 'content-range': `bytes 5-9/${10}` }],
    ['no word about the range', 206, {}],
    ['a range of something longer', 206, { 'content-range': `bytes 1234567-99999999/100000000` }],
  ])('where a range is answered with %s, everything is asked for', async (_name, status, headers) => {
    let broken = false;
    peer.trick = ({ path, response, headers: asked }) => {
      if (!isBlob(path)) return false;
      if (asked.range !== undefined) send(response, status, noise(100), headers);
      else if (broken) return false;
      else sendPart(response, peer.blob(blob.digest), 1_234_567);
      broken = true;
      return true;
    };
    await expectWhole(pull());
    expect(ranges()).toEqual([undefined, 'bytes=1234567-', undefined]);
  });

  test('that breaks each time ends the pull, after some tries', async () => {
    peer.trick = ({ path, response }) => {
      if (!isBlob(path)) return false;
      response.socket?.destroy();
      return true;
    };
    await expectFailure(pull(), 'NETWORK', `cannot reach ${peer.address}: the connection was broken off`);
    // A connection that was open before may just have been closed: that is tried again at once, twice at most.
    expect(ranges().length).toBeGreaterThanOrEqual(quickRetry.attempts);
    expect(ranges().length).toBeLessThanOrEqual(quickRetry.attempts + 2);
  });

  test('that falls silent is broken off and resumed', async () => {
    let silent = false;
    peer.trick = ({ path, response }) => {
      if (!isBlob(path) || silent) return false;
      silent = true;
      response.writeHead(200, { 'content-length': String(blob.size) });
      response.write(peer.blob(blob.digest).subarray(0, 100_000));
      return true;
    };
    await expectWhole(pull());
    expect(ranges()).toEqual([undefined, 'bytes=100000-']);
  });
});

describe('a registry that is in trouble', () => {
  test.each([500, 502, 503, 504])('%i passes, for manifests and blobs', async (status) => {
    const seen = new Set<string>();
    peer.trick = ({ path, response }) => {
      if (seen.has(path)) return false;
      seen.add(path);
      send(response, status, Buffer.from('<html>oops</html>'));
      return true;
    };
    await expectWhole(pull());
    expect(peer.log('/manifests/')).toHaveLength(2);
    expect(ranges()).toHaveLength(2);
  });

  test('for good: the error has its words', async () => {
    peer.trick = ({ response }) => {
      send(
        response,
        503,
        Buffer.from(JSON.stringify({ errors: [{ code: 'UNAVAILABLE', message: 'going \x1b[31mdown\n' }] })),
      );
      return true;
    };
    const action = `manifest for ${peer.address}/${name}:latest`;
    await expectFailure(
      pull(),
      'REGISTRY',
      `${action}: ${peer.address} answers 503 Service Unavailable: unavailable: going [31mdown`,
    );
    expect(peer.requests).toHaveLength(quickRetry.attempts);
  });

  test('501 is not tried again', async () => {
    peer.trick = ({ response }) => {
      send(response, 501, Buffer.alloc(0));
      return true;
    };
    await expectFailure(pull(), 'REGISTRY', /answers 501 Not Implemented$/);
    expect(peer.requests).toHaveLength(1);
  });

  test('429 with a time is obeyed', async () => {
    let asked = 0;
    peer.trick = ({ response }) => {
      if (asked > 0) return false;
      asked = performance.now();
      send(response, 429, Buffer.alloc(0), { 'retry-after': '1' });
      return true;
    };
    await expectWhole(pull());
    expect(performance.now() - asked).toBeGreaterThan(990);
  });

  test("429 without one is docker hub's rate limit: its headers are told", async () => {
    peer.trick = ({ response }) => {
      const errors = [{ code: 'TOOMANYREQUESTS', message: 'You have reached your pull rate limit.' }];
      send(response, 429, Buffer.from(JSON.stringify({ errors })), {
        'ratelimit-limit': '100;w=21600',
        'ratelimit-remaining': '0;w=21600',
        'docker-ratelimit-source': '192.0.2.1',
      });
      return true;
    };
    const failing = pull();
    await expect(failing).rejects.toThrow(expect.objectContaining({ hint: expect.stringContaining('log in') }));
    await expectFailure(
      failing,
      'RATE_LIMIT',
      `manifest for ${peer.address}/${name}:latest: ${peer.address} says too many requests (429): ` +
        'toomanyrequests: You have reached your pull rate limit. (limit 100 per 6 h, 0 remaining, counted for 192.0.2.1)',
    );
    expect(peer.requests).toHaveLength(1);
  });

  test('429 with a time beyond patience is final', async () => {
    peer.trick = ({ response }) => {
      send(response, 429, Buffer.alloc(0), { 'retry-after': '3600' });
      return true;
    };
    await expectFailure(pull(), 'RATE_LIMIT', /\(try again after 3600 s\)$/);
    expect(peer.requests).toHaveLength(1);
  });

  test.each([
    [401, 'UNAUTHORIZED', /^pull access denied for .*weather, repository does not exist or may require a login$/],
    [403, 'UNAUTHORIZED', /: 127\.0\.0\.1:\d+ forbids it \(403\)$/],
    [404, 'NOT_FOUND', /^manifest for .*weather:latest not found$/],
  ])('%i', async (status, code, message) => {
    peer.trick = ({ response }) => {
      send(response, status, Buffer.from('no json'));
      return true;
    };
    await expectFailure(pull(), code, message);
  });

  test('a blob that is not there', async () => {
    peer.trick = ({ path, response }) => {
      if (!isBlob(path)) return false;
      send(response, 404, Buffer.from(JSON.stringify({ errors: [{ code: 'BLOB_UNKNOWN', message: 'blob unknown' }] })));
      return true;
    };
    await expectFailure(
      pull(),
      'NOT_FOUND',
      /^blob sha256:[0-9a-f]{64} of .*weather not found: blob unknown: blob unknown$/,
    );
  });
});

describe('Ctrl-C', () => {
  test('in the middle of a download leaves complete layers and nothing half', async () => {
    const stop = new AbortController();
    peer.trick = ({ path, response }) => {
      if (path.endsWith(peer.layers(`${name}:latest`)[1]?.digest ?? '')) {
        response.writeHead(200);
        // when the first layer is there
        const timer = setInterval(() => {
          if (!world.layerEvents().some((line) => line.endsWith('Pull complete'))) return;
          clearInterval(timer);
          stop.abort();
        }, 10);
        return true;
      }
      return false;
    };
    const start = performance.now();
    const timeouts = { connect: 30_000, answer: 30_000, idle: 30_000 };
    await expectFailure(pull({ signal: stop.signal, timeouts }), 'INTERRUPTED', 'interrupted');
    expect(performance.now() - start).toBeLessThan(10_000);

    peer.trick = () => false;
    world.events.length = 0;
    await expectWhole(pull());
    expect(world.layerEvents()[0]).toMatch(/Already exists$/);
    expect(ranges()).toEqual([undefined]);
  });

  test.each([
    ['while the manifest is awaited', '/manifests/'],
    ['while the config is awaited', '/blobs/'],
  ])('%s', async (_name, part) => {
    const stop = new AbortController();
    peer.trick = ({ path }) => {
      if (!path.includes(part)) return false;
      setTimeout(() => stop.abort(), 20);
      return true;
    };
    await expectFailure(pull({ signal: stop.signal }), 'INTERRUPTED', 'interrupted');
  });

  test('during a wait for the next try', async () => {
    const stop = new AbortController();
    peer.trick = ({ response }) => {
      send(response, 500, Buffer.alloc(0));
      setTimeout(() => stop.abort(), 50);
      return true;
    };
    const start = performance.now();
    const retry = { ...quickRetry, baseDelay: 60_000, maxDelay: 60_000 };
    await expectFailure(pull({ signal: stop.signal, retry }), 'INTERRUPTED', 'interrupted');
    expect(performance.now() - start).toBeLessThan(5_000);
  });

  test('before anything', async () => {
    await expectFailure(pull({ signal: AbortSignal.abort() }), 'INTERRUPTED', 'interrupted');
    expect(peer.requests).toEqual([]);
    rmSync(world.root, { recursive: true, force: true });
  });
});
