/** Pushing to a registry that misbehaves: what arrives is whole, and what cannot be is said. */
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { type AddressInfo, connect, createServer } from 'node:net';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { PushEvent } from '../../src/image/events.ts';
import { Push, type PushedImage, type PushOptions } from '../../src/image/push/push.ts';
import { parseReference } from '../../src/image/reference.ts';
import type { StoredImage } from '../../src/image/store.ts';
import { startConfigured } from './configured-registry.ts';
import { noise, noSettings, quickRetry, quickTimeouts, World, writeImage } from './pull-world.ts';
import { PushPeer, sha256 } from './push-peer.ts';
import { Peer, send } from './registry-peer.ts';

const big = 1_600_000;
let forFile: World;
let source: Peer;
let peer: PushPeer;
let image: StoredImage;
let events: PushEvent[];

beforeAll(async () => {
  forFile = new World();
  const layout = writeImage(join(forFile.directory, 'layout'), 'from/image:latest', [
    [{ path: 'data', data: noise(big) }],
    [{ path: 'second', data: 'second\n' }],
  ]);
  source = await new Peer(layout).start();
  await forFile.pull(`${source.address}/from/image`);
});
afterAll(async () => {
  await source.stop();
  forFile.remove();
});

let world: World;
beforeEach(async () => {
  world = new World();
  // Nothing of what an earlier push remembered.
  cpSync(forFile.root, world.root, { recursive: true });
  events = [];
  peer = await new PushPeer().start();
  image = world.store.require(`${source.address}/from/image`);
});
afterEach(async () => {
  await peer.stop();
  world.remove();
});

async function push(options: PushOptions = {}, repository = 'to/image'): Promise<PushedImage> {
  const session = new Push(world.store, parseReference(`${peer.address}/${repository}`), {
    settings: noSettings(),
    credentials: async () => undefined,
    retry: quickRetry,
    timeouts: quickTimeouts,
    onProgress: (event) => events.push(event),
    ...options,
  });
  return session.run(() => session.image(image, 'v1'));
}

interface Manifest {
  config: { digest: string };
  layers: { digest: string; mediaType: string; size: number }[];
}

/** All that the peer has is what the store has. */
function expectWhole(pushed: PushedImage, repository = 'to/image'): Manifest {
  const manifest = peer.manifests.get(`${repository} v1`);
  expect(sha256(manifest?.bytes ?? Buffer.alloc(0))).toBe(pushed.digest);
  const parsed: Manifest = JSON.parse(manifest?.bytes.toString() ?? '');
  expect(parsed.config.digest).toBe(image.id);
  expect(peer.blobs.get(`${repository} ${image.id}`)).toEqual(world.store.configBytes(image.id));
  const diffIds = parsed.layers.map(({ digest, size }) => {
    const blob = peer.blobs.get(`${repository} ${digest}`) ?? Buffer.alloc(0);
    expect(blob).toHaveLength(size);
    return sha256(gunzipSync(blob));
  });
  expect(diffIds).toEqual(image.layers.map(({ diffId }) => diffId));
  // Nothing is left of what was on its way.
  expect(readdirSync(world.root).filter((name) => name.startsWith('.'))).toEqual([]);
  return parsed;
}

const statuses = (): string[] =>
  events.flatMap((event) => (event.kind === 'layer' && event.current === undefined ? [event.status] : []));

describe('a line that holds', () => {
  test('one stream for each layer, while it is being made', async () => {
    expectWhole(await push({ parallel: 1 }));
    const patches = peer.requests.filter(({ method }) => method === 'PATCH');
    expect(patches.length).toBeGreaterThan(0);
    for (const { headers } of patches) expect(headers['content-range']).toBeUndefined();
    expect(statuses().filter((status) => status === 'Pushed')).toHaveLength(2);
    expect(events.at(-1)).toMatchObject({ kind: 'pushed', tag: 'v1' });
  });

  test('what is there is not sent again, by the same digests', async () => {
    const first = await push();
    const before = peer.requests.length;
    const again = await push();
    expect(again).toEqual(first);
    const requests = peer.requests.slice(before).map(({ method }) => method);
    expect(requests.filter((method) => method !== 'HEAD')).toEqual(['PUT']);
    expect(statuses().filter((status) => status === 'Layer already exists')).toHaveLength(2);
  });

  test('another repository of the registry lends what it has', async () => {
    const first = await push();
    const second = await push({}, 'other/image');
    expect(second.digest).toBe(first.digest);
    expectWhole(second, 'other/image');
    expect(statuses().filter((status) => status === 'Mounted from to/image')).toHaveLength(2);
  });

  test('the same layer twice is sent once', async () => {
    const layout = writeImage(join(world.directory, 'twice'), 'from/twice:latest', [
      [{ path: 'a', data: 'a' }],
      [{ path: 'a', data: 'a' }],
    ]);
    const other = await new Peer(layout).start();
    try {
      image = await world.pull(`${other.address}/from/twice`);
      const { layers } = expectWhole(await push());
      expect(layers[0]).toEqual(layers[1]);
      expect(statuses().filter((status) => status === 'Pushed')).toHaveLength(1);
    } finally {
      await other.stop();
    }
  });

  test('is known by its digest there afterwards', async () => {
    const { digest } = await push();
    expect(world.store.require(image.id).repoDigests).toContain(`${peer.address}/to/image@${digest}`);
    expect(world.store.readBlob(digest as never)).toEqual(peer.manifests.get('to/image v1')?.bytes);
  });
});

test.each([
  ['relative', (path: string) => path],
  ['without the host, and with its port', (path: string) => `//${peer.address}${path}`],
  ['absolute', (path: string) => `http://${peer.address}${path}`],
])('the place of an upload is %s', async (_name, location) => {
  peer.location = location;
  expectWhole(await push());
});

test('an upload on another host is told no password', async () => {
  const other = await new PushPeer().start();
  const credentials = async () => ({ username: 'alice', password: 'secret' });
  peer.trick = ({ headers, response }) => {
    if (headers.authorization !== undefined) return false;
    send(response, 401, Buffer.alloc(0), { 'www-authenticate': 'Basic realm="test"' });
    return true;
  };
  peer.location = (path) => `http://${other.address}${path}`;
  other.trick = ({ response }) => {
    send(response, 403, Buffer.alloc(0));
    return true;
  };
  try {
    await expect(push({ credentials })).rejects.toThrow(/^push access denied for/);
    expect(other.requests.length).toBeGreaterThan(0);
    for (const { headers } of other.requests) expect(headers.authorization).toBeUndefined();
  } finally {
    await other.stop();
  }
});

describe('a connection that breaks', () => {
  test('goes on from where the registry stands', async () => {
    peer.breaks.push(100_000, 900_000, 300_000);
    const { layers } = expectWhole(await push({ parallel: 1 }));
    const size = layers.find((layer) => layer.size > 1_000_000)?.size ?? 0;
    const ranges = peer.requests.flatMap(({ headers }) => headers['content-range'] ?? []);
    expect(ranges.length).toBeGreaterThanOrEqual(1);
    for (const range of ranges) expect(range).toMatch(/^[1-9]\d*-\d+$/);
    expect(ranges.at(-1)).toMatch(new RegExp(`-${size - 1}$`));
    expect(statuses()).toContain('Retrying');
  });

  test('is begun anew where the registry has forgotten it', async () => {
    peer.breaks.push(500_000);
    peer.trick = ({ method, path, response }) => {
      if (method !== 'GET' || !path.includes('/uploads/')) return false;
      send(response, 404, Buffer.alloc(0));
      return true;
    };
    expectWhole(await push({ parallel: 1 }));
    expect(peer.requests.filter(({ method }) => method === 'POST').length).toBeGreaterThanOrEqual(3);
  });

  test('after the last byte: the blob is there, and that is enough', async () => {
    let cut = 0;
    peer.trick = async (request) => {
      if (request.method !== 'PUT' || !request.path.includes('/uploads/') || cut > 0) return false;
      cut++;
      // It stores the blob, and its answer is lost.
      const digest = request.query.get('digest') ?? '';
      const id = request.path.split('/').at(-1) ?? '';
      const parts: Buffer[] = [peer.uploads.get(id) ?? Buffer.alloc(0)];
      for await (const chunk of request.incoming) parts.push(chunk as Buffer);
      const bytes = Buffer.concat(parts);
      expect(sha256(bytes)).toBe(digest);
      peer.blobs.set(`to/image ${digest}`, bytes);
      peer.uploads.delete(id);
      request.response.destroy();
      return true;
    };
    expectWhole(await push({ parallel: 1 }));
    expect(cut).toBe(1);
  });

  test('again and again: it is said', async () => {
    peer.trick = ({ method, incoming }) => {
      if (method !== 'PATCH' && method !== 'PUT') return false;
      incoming.destroy();
      return true;
    };
    await expect(push()).rejects.toThrow(expect.objectContaining({ code: 'NETWORK' }));
    expect(peer.manifests.size).toBe(0);
    expect(readdirSync(world.root).filter((name) => name.startsWith('.'))).toEqual([]);
  });
});

test('docker-registry behind a line that breaks twice has the whole image', async () => {
  const storage = join(world.directory, 'storage');
  mkdirSync(storage);
  const registry = await startConfigured(world.directory, storage);
  const cuts = [300_000, 800_000];
  const line = createServer((client) => {
    const server = connect(Number(registry.address.split(':')[1]), '127.0.0.1');
    let left = Number.POSITIVE_INFINITY;
    client.on('data', (chunk: Buffer) => {
      // Only what is long enough is a blob.
      if (left === Number.POSITIVE_INFINITY && chunk.toString('latin1', 0, 6) === 'PATCH ') left = cuts.shift() ?? left;
      left -= chunk.length;
      if (left < 0) client.destroy();
    });
    client.pipe(server).pipe(client);
    for (const [one, other] of [
      [client, server],
      [server, client],
    ] as const) {
      one.on('error', () => {});
      one.on('close', () => other.destroy());
    }
  });
  await new Promise<void>((resolve) => line.listen(0, '127.0.0.1', resolve));
  const address = `127.0.0.1:${(line.address() as AddressInfo).port}`;
  try {
    const session = new Push(world.store, parseReference(`${address}/to/image`), {
      settings: noSettings(),
      credentials: async () => undefined,
      retry: quickRetry,
      onProgress: (event) => events.push(event),
    });
    const pushed = await session.run(() => session.image(image, 'v1'));
    expect(cuts).toEqual([]);
    expect(statuses()).toContain('Retrying');
    const second = new World();
    const pulled = await second.pull(`${registry.address}/to/image:v1`);
    expect([pulled.id, pulled.manifestDigest]).toEqual([image.id, pushed.digest]);
    second.remove();
  } finally {
    await new Promise((resolve) => line.close(resolve));
    await registry.stop();
  }
});

describe('a registry in trouble', () => {
  test.each([500, 502, 503])('%i in the middle of a blob', async (status) => {
    let times = 0;
    peer.trick = ({ method, incoming, response }) => {
      if (method !== 'PATCH' || times++ > 1) return false;
      incoming.once('data', () => send(response, status, Buffer.from('{}'), { connection: 'close' }));
      return true;
    };
    expectWhole(await push({ parallel: 1 }));
    expect(times).toBeGreaterThan(1);
  });

  test('that stands elsewhere than it said (416)', async () => {
    peer.breaks.push(700_000);
    let lied = 0;
    peer.trick = ({ method, path, response }) => {
      const id = path.split('/').at(-1) ?? '';
      if (method !== 'GET' || !path.includes('/uploads/') || lied++ > 0) return false;
      const location = peer.location(path);
      send(response, 204, Buffer.alloc(0), { location, range: '0-99' });
      expect(peer.uploads.get(id)?.length).toBeGreaterThan(100);
      return true;
    };
    expectWhole(await push({ parallel: 1 }));
    expect(lied).toBeGreaterThan(1);
  });

  test('that asks to wait (429)', async () => {
    let times = 0;
    peer.trick = ({ method, response }) => {
      if (method !== 'POST' || times++ > 0) return false;
      send(response, 429, Buffer.alloc(0), { 'retry-after': '1' });
      return true;
    };
    expectWhole(await push());
  });

  test.each([401, 403, 405, 500])('that answers %i to a mount: the layer is sent', async (status) => {
    await push();
    peer.trick = ({ method, query, response }) => {
      if (method !== 'POST' || !query.has('mount')) return false;
      send(response, status, Buffer.alloc(0));
      return true;
    };
    expectWhole(await push({}, 'other/image'), 'other/image');
    expect(statuses()).not.toContain('Mounted from to/image');
  });

  test('that will not mount, and begins an upload instead: that one is used', async () => {
    await push();
    peer.blobs.clear();
    const before = peer.requests.length;
    expectWhole(await push({}, 'other/image'), 'other/image');
    const posts = peer.requests.slice(before).filter(({ method }) => method === 'POST');
    // Two layers and the config.
    expect(posts).toHaveLength(3);
    expect(posts.filter(({ query }) => query.has('mount'))).toHaveLength(2);
  });

  test('that knows Docker’s manifests only', async () => {
    peer.trick = ({ method, path, headers, incoming, response }) => {
      if (method !== 'PUT' || !path.includes('/manifests/') || !headers['content-type']?.includes('oci')) return false;
      incoming.resume();
      send(response, 415, Buffer.from('{"errors": [{"code": "MANIFEST_INVALID", "message": "unknown type"}]}'));
      return true;
    };
    const pushed = await push();
    const parsed = expectWhole(pushed);
    expect(pushed.mediaType).toBe('application/vnd.docker.distribution.manifest.v2+json');
    expect(parsed.layers[0]?.mediaType).toBe('application/vnd.docker.image.rootfs.diff.tar.gzip');
  });

  test('that stores another manifest than it was sent', async () => {
    peer.trick = ({ method, path, incoming, response }) => {
      if (method !== 'PUT' || !path.includes('/manifests/')) return false;
      incoming.resume();
      send(response, 201, Buffer.alloc(0), { 'docker-content-digest': `sha256:${'0'.repeat(64)}` });
      return true;
    };
    await expect(push()).rejects.toThrow(expect.objectContaining({ code: 'VERIFICATION' }));
  });

  test('that refuses: its own words', async () => {
    peer.trick = ({ method, response }) => {
      if (method !== 'POST') return false;
      const errors = [{ code: 'DENIED', message: 'requested access to the resource is denied' }];
      send(response, 403, Buffer.from(JSON.stringify({ errors })));
      return true;
    };
    await expect(push()).rejects.toThrow(
      expect.objectContaining({
        code: 'UNAUTHORIZED',
        message: `push access denied for ${peer.address}/to/image: denied: requested access to the resource is denied`,
      }),
    );
  });
});

test('a layer that was changed on the disk is not passed on', async () => {
  const base = world.store.layers.base(image.layers[1]?.chainId as never);
  const whole = join(base, 'archive.tar');
  if (existsSync(whole)) {
    const bytes = readFileSync(whole);
    bytes.write('changed', 512);
    writeFileSync(whole, bytes);
  } else {
    writeFileSync(join(base, 'fs/second'), 'changed');
  }
  await expect(push()).rejects.toThrow(expect.objectContaining({ code: 'CORRUPT' }));
  expect(peer.manifests.size).toBe(0);
});

test('Ctrl-C ends it, and leaves nothing', async () => {
  const stop = new AbortController();
  peer.trick = ({ method, incoming }) => {
    if (method !== 'PATCH' && method !== 'PUT') return false;
    incoming.once('data', () => stop.abort());
    return true;
  };
  await expect(push({ signal: stop.signal, timeouts: { ...quickTimeouts, answer: 20_000 } })).rejects.toThrow(
    expect.objectContaining({ code: 'INTERRUPTED' }),
  );
  expect(readdirSync(world.root).filter((name) => name.startsWith('.'))).toEqual([]);
});
