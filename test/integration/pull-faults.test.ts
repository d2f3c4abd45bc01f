/** Pulling in bad weather: broken connections, registries that lie, mirrors that are down. */
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { Descriptor } from '../../scripts/images/layout.ts';
import { mirrored, noise, quickRetry, World, writeImage } from './pull-world.ts';
import { always, Peer, send, sendPart } from './registry-peer.ts';

const name = 'library/weather';
const content = noise(3_000_000);
let layout: string;
let layoutWorld: World;
let world: World;
let peer: Peer;
let blob: Descriptor;

beforeAll(() => {
  layoutWorld = new World();
  layout = writeImage(join(layoutWorld.directory, 'layout'), `${name}:latest`, [
    [{ path: 'data', data: content }],
    [{ path: 'second', data: 'second\n' }],
  ]);
});
afterAll(() => layoutWorld.remove());

beforeEach(async () => {
  world = new World();
  peer = await new Peer(layout).start();
  blob = peer.layers(`${name}:latest`)[0] as Descriptor;
});
afterEach(async () => {
  await peer.stop();
  world.remove();
});

const pull = (options = {}) => world.pull(`${peer.address}/${name}`, options);
const isBlob = (path: string) => path.endsWith(`/blobs/${blob.digest}`);

/** The image is there, whole, and nothing else. */
async function expectWhole(pulled: ReturnType<typeof pull>): Promise<void> {
  const [lower = '', upper = ''] = world.store.layerPaths(await pulled);
  expect(readFileSync(join(lower, 'data')).equals(content)).toBe(true);
  expect(readFileSync(join(upper, 'second'), 'utf8')).toBe('second\n');
  expectNothingHalf();
}

function expectNothingHalf(): void {
  const names = existsSync(world.path('layers')) ? readdirSync(world.path('layers')) : [];
  expect(names.filter((entry) => entry.startsWith('.tmp'))).toEqual([]);
}

async function expectFailure(pulled: ReturnType<typeof pull>, code: string, message: RegExp | string): Promise<void> {
  await expect(pulled).rejects.toThrow(
    expect.objectContaining({ code, message: typeof message === 'string' ? message : expect.stringMatching(message) }),
  );
  expect(world.store.list()).toEqual([]);
  expectNothingHalf();
}

/** Ranges that were asked for of the big blob: undefined for all of it. */
const ranges = () => peer.requests.filter(({ path }) => isBlob(path)).map(({ headers }) => headers.range);

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
    expect(ranges()).toHaveLength(quickRetry.attempts);
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

describe('a registry that lies', () => {
  /** Answers requests for the big blob with `bytes`; without `announced` in chunks of unknown number. */
  function serveBlob(bytes: Buffer, announced?: number): void {
    peer.trick = ({ path, response }) => {
      if (!isBlob(path)) return false;
      response.writeHead(200, announced === undefined ? {} : { 'content-length': String(announced) });
      response.end(bytes);
      return true;
    };
  }

  test('about the length: more than the manifest says', async () => {
    serveBlob(Buffer.concat([peer.blob(blob.digest), Buffer.alloc(10)]), blob.size + 10);
    await expectFailure(
      pull(),
      'VERIFICATION',
      new RegExp(`announces ${blob.size + 10} bytes for blob .*, which has ${blob.size}$`),
    );
  });

  test('about the length: less than the manifest says', async () => {
    serveBlob(peer.blob(blob.digest).subarray(0, 1000), 1000);
    await expectFailure(pull(), 'VERIFICATION', /announces 1000 bytes for blob/);
  });

  test('by sending more than it may, without an announcement', async () => {
    serveBlob(Buffer.concat([peer.blob(blob.digest), Buffer.alloc(1_000_000)]));
    await expectFailure(pull(), 'VERIFICATION', new RegExp(`sends more than the ${blob.size} bytes of blob`));
  });

  test('by ending early, without an announcement', async () => {
    serveBlob(peer.blob(blob.digest).subarray(0, 1000));
    await expectFailure(pull(), 'REGISTRY', /ended blob sha256:[0-9a-f]+ early$/);
  });

  test('about the content: the digest shows it, and it is tried once more', async () => {
    const bytes = Buffer.from(peer.blob(blob.digest));
    bytes[bytes.length - 20] = (bytes[bytes.length - 20] ?? 0) ^ 1;
    serveBlob(bytes, bytes.length);
    const actual = createHash('sha256').update(bytes).digest('hex');
    await expectFailure(pull(), 'VERIFICATION', `blob ${blob.digest} was received with the digest sha256:${actual}`);
    expect(ranges()).toHaveLength(2);
  });

  test('about the content from its first byte: damage is not taken for a bad archive', async () => {
    serveBlob(noise(blob.size, 7), blob.size);
    await expectFailure(pull(), 'VERIFICATION', /was received with the digest/);
  });

  test('once: the second time it is right', async () => {
    let lied = false;
    peer.trick = ({ path, response }) => {
      if (!isBlob(path) || lied) return false;
      lied = true;
      send(response, 200, noise(blob.size));
      return true;
    };
    await expectWhole(pull());
  });

  test('about the manifest that is asked for by its digest', async () => {
    const { digest } = peer.tagged(`${name}:latest`);
    peer.trick = ({ path, response }) => {
      if (!path.includes('/manifests/')) return false;
      const other = Buffer.concat([peer.blob(digest), Buffer.from(' ')]);
      send(response, 200, other, {
        'docker-content-digest': digest,
        'content-type': 'application/vnd.oci.image.manifest.v1+json',
      });
      return true;
    };
    await expectFailure(
      world.pull(`${peer.address}/${name}@${digest}`),
      'VERIFICATION',
      new RegExp(`sent another manifest than ${digest}`),
    );
  });

  test('about the digest in a header: the bytes decide', async () => {
    const { digest } = peer.tagged(`${name}:latest`);
    peer.trick = ({ response }) => {
      response.setHeader('docker-content-digest', `sha256:${'f'.repeat(64)}`);
      return false;
    };
    const image = await pull();
    expect(image.repoDigests).toEqual([`${peer.address}/${name}@${digest}`]);
  });

  test('about the config', async () => {
    const config = JSON.parse(peer.blob(peer.tagged(`${name}:latest`).digest).toString()).config.digest;
    peer.trick = ({ path, response }) => {
      if (!path.endsWith(config)) return false;
      send(response, 200, Buffer.from(peer.blob(config).toString().replace('hello', 'hullo')));
      return true;
    };
    await expectFailure(pull(), 'VERIFICATION', new RegExp(`sent something else as blob ${config}`));
  });

  test('with a manifest without end', async () => {
    peer.trick = ({ path, response }) => {
      if (!path.includes('/manifests/')) return false;
      response.writeHead(200, { 'content-type': 'application/vnd.oci.image.manifest.v1+json' });
      const piece = Buffer.alloc(65_536, ' ');
      const pump = () => {
        while (!response.destroyed && response.write(piece));
      };
      response.on('drain', pump);
      pump();
      return true;
    };
    await expectFailure(pull(), 'REGISTRY', `${peer.address}: sends more than 4194304 bytes where less is allowed`);
  });

  test.each([
    ['<html>', 'REGISTRY', /^manifest of ".*" \(sha256:[0-9a-f]+\): is not valid JSON$/],
    ['{"schemaVersion": 1, "fsLayers": []}', 'UNSUPPORTED', /version 2, schema 1$/],
  ])('with the manifest %s', async (text, code, message) => {
    peer.trick = ({ path, response }) => {
      if (!path.includes('/manifests/')) return false;
      send(response, 200, Buffer.from(text));
      return true;
    };
    await expectFailure(pull(), code, message);
  });
});

describe('an archive that is bad in itself', () => {
  test('is told apart from damage, and not fetched again', async () => {
    const bad = writeImage(join(world.directory, 'bad'), 'library/bad:latest', [[{ path: '../outside', data: 'x' }]]);
    const badPeer = await new Peer(bad).start();
    try {
      await expectFailure(world.pull(`${badPeer.address}/library/bad`), 'ARCHIVE', /outside/);
      expect(badPeer.log('/blobs/')).toHaveLength(2); // the config and the layer
    } finally {
      await badPeer.stop();
    }
  });

  test('or whose config does not belong to it', async () => {
    const directory = writeImage(join(world.directory, 'x'), 'library/x:latest', [[{ path: 'a', data: 'a' }]]);
    const other = await new Peer(directory).start();
    try {
      const manifest = JSON.parse(other.blob(other.tagged('library/x:latest').digest).toString());
      const config = JSON.parse(other.blob(manifest.config.digest).toString());
      config.rootfs.diff_ids = [`sha256:${'1'.repeat(64)}`];
      const bytes = Buffer.from(JSON.stringify(config));
      const digest = `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
      manifest.config = { ...manifest.config, digest, size: bytes.length };
      other.trick = ({ path, response }) => {
        if (path.includes('/manifests/')) send(response, 200, Buffer.from(JSON.stringify(manifest)));
        else if (path.endsWith(digest)) send(response, 200, bytes);
        else return false;
        return true;
      };
      await expectFailure(
        world.pull(`${other.address}/library/x`),
        'VERIFICATION',
        /unpacks to sha256:.*, the image says sha256:1111/,
      );
    } finally {
      await other.stop();
    }
  });
});

describe('redirects', () => {
  let elsewhere: Peer;
  beforeEach(async () => {
    elsewhere = await new Peer(layout).start();
  });
  afterEach(() => elsewhere.stop());

  const redirect = (location: (path: string) => string, status = 307) => {
    peer.trick = ({ path, response }) => {
      if (!path.includes('/blobs/')) return false;
      send(response, status, Buffer.alloc(0), { location: location(path) });
      return true;
    };
  };

  test.each([301, 302, 303, 307, 308])('%i to another host', async (status) => {
    redirect((path) => `http://${elsewhere.address}${path}?signature=x`, status);
    elsewhere.trick = ({ path, response }) => {
      if (!path.endsWith('?signature=x')) return false;
      send(response, 200, elsewhere.blob(/sha256:[0-9a-f]+/.exec(path)?.[0] ?? ''));
      return true;
    };
    await expectWhole(pull());
    expect(elsewhere.requests).toHaveLength(3);
  });

  test('relative ones, and a resume through one', async () => {
    let broken = false;
    peer.trick = ({ path, response }) => {
      if (path.includes('/blobs/'))
        send(response, 302, Buffer.alloc(0), { location: `/storage/${path.split('/').at(-1)}` });
      else if (!path.startsWith('/storage/')) return false;
      else {
        const bytes = peer.blob(path.split('/').at(-1) ?? '');
        const start = Number(/\d+/.exec(peer.requests.at(-1)?.headers.range ?? '0')?.[0]);
        if (bytes.length > 1_000_000 && !broken) {
          broken = true;
          sendPart(response, bytes, 500_000);
        } else if (start > 0) {
          send(response, 206, bytes.subarray(start), {
            'content-range': `bytes ${start}-${bytes.length - 1}/${bytes.length}`,
          });
        } else send(response, 200, bytes);
      }
      return true;
    };
    await expectWhole(pull({ parallel: 1 }));
    expect(peer.requests.filter(({ headers }) => headers.range === 'bytes=500000-').map(({ path }) => path)).toEqual([
      expect.stringContaining('/blobs/'),
      expect.stringContaining('/storage/'),
    ]);
  });

  test('in a circle', async () => {
    redirect((path) => path);
    await expectFailure(pull(), 'REGISTRY', `${peer.address}: more than 5 redirects`);
  });

  test.each([
    ['http://192.0.2.1/x', /redirects to http:\/\/192\.0\.2\.1, which is not https$/],
    ['ftp://127.0.0.1/x', /redirects to ftp:\/\/127\.0\.0\.1, which is not https$|redirects to null/],
    ['http://[', /redirects to "http:\/\/\[", which is no URL$/],
    ['file:///etc/passwd', /which is not https$/],
  ])('to %s are refused', async (location, message) => {
    redirect(() => location);
    await expectFailure(pull(), 'REGISTRY', message);
  });
});

describe('mirrors', () => {
  test('are asked first', async () => {
    await world.pull('weather', { settings: mirrored(`http://${peer.address}`) });
    expect(peer.log('/manifests/')).toEqual(['GET /v2/library/weather/manifests/latest']);
    expect(world.warnings()).toEqual([]);
  });

  test('a prefix in the path is kept', async () => {
    peer.trick = (request) => {
      expect(request.path).toMatch(/^\/hub\/v2\//);
      send(request.response, 404, Buffer.alloc(0));
      return true;
    };
    await expect(
      world.pull('weather', {
        settings: mirrored(`http://${peer.address}/hub`),
        retry: { ...quickRetry, attempts: 1 },
      }),
    ).rejects.toThrow();
    expect(peer.requests).toHaveLength(1);
  });

  test.each<[string, (mirror: Peer) => void | Promise<void>]>([
    ['is down', (mirror) => mirror.stop()],
    ['lacks the image', (mirror) => mirror.play(always(404))],
    ['is broken', (mirror) => mirror.play(always(500))],
    ['wants a login', (mirror) => mirror.play(always(401))],
    ['falls silent', (mirror) => mirror.play(() => true)],
  ])('one that %s is passed over, and said', async (_name, spoil) => {
    const mirror = await new Peer(layout).start();
    const { address } = mirror;
    try {
      await spoil(mirror);
      await expectWhole(world.pull('weather', { settings: mirrored(`http://${address}`, `http://${peer.address}`) }));
      expect(world.warnings()).toEqual([`mirror ${address} did not have weather:latest: using mirror ${peer.address}`]);
    } finally {
      await mirror.stop().catch(() => {});
    }
  });

  test('one that breaks in the middle of a blob is followed by the next, from there on', async () => {
    const mirror = await new Peer(layout).start();
    mirror.trick = ({ path, response }) => {
      if (!isBlob(path)) return false;
      if (mirror.log(blob.digest).length === 1) sendPart(response, mirror.blob(blob.digest), 1_000_000);
      else send(response, 500, Buffer.alloc(0));
      return true;
    };
    try {
      await expectWhole(
        world.pull('weather', { settings: mirrored(`http://${mirror.address}`, `http://${peer.address}`) }),
      );
      expect(ranges()).toEqual(['bytes=1000000-']);
    } finally {
      await mirror.stop();
    }
  });

  test('one that has the wrong bytes is followed by the next, from the beginning', async () => {
    const mirror = await new Peer(layout).start();
    mirror.trick = ({ path, response }) => {
      if (!isBlob(path)) return false;
      send(response, 200, noise(blob.size));
      return true;
    };
    try {
      await expectWhole(
        world.pull('weather', { settings: mirrored(`http://${mirror.address}`, `http://${peer.address}`) }),
      );
      expect(mirror.log(blob.digest)).toHaveLength(1);
      expect(ranges()).toEqual([undefined]);
    } finally {
      await mirror.stop();
    }
  });

  test('when nobody has it, the error says what each of them answered', async () => {
    const { address } = peer;
    await peer.stop();
    const other = await new Peer(layout).start();
    other.trick = ({ response }) => {
      send(response, 404, Buffer.alloc(0));
      return true;
    };
    try {
      const settings = mirrored(`http://${address}`);
      settings.mirrors.set(other.address, [new URL(`http://${address}`)]);
      await expectFailure(
        world.pull(`${other.address}/${name}`, { settings }),
        'NOT_FOUND',
        `manifest for ${other.address}/${name}:latest not found ` +
          `(before that mirror ${address}: cannot reach ${address}: connection refused)`,
      );
    } finally {
      await other.stop();
      peer = await new Peer(layout).start();
    }
  });
});

describe('no registry at all', () => {
  const listeners: Server[] = [];
  afterEach(async () => {
    for (const server of listeners.splice(0)) await new Promise((resolve) => server.close(resolve));
  });

  test('nothing listens', async () => {
    await expect(world.pull('127.0.0.1:1/x')).rejects.toThrow(
      expect.objectContaining({
        code: 'NETWORK',
        message: 'cannot reach 127.0.0.1:1: connection refused',
        hint: 'nothing listens there: check host and port',
      }),
    );
  });

  test('no such host', async () => {
    await expect(world.pull('registry.invalid/x')).rejects.toThrow(
      expect.objectContaining({
        code: 'NETWORK',
        message: expect.stringMatching(
          /^cannot reach registry\.invalid: (no such host|the name server does not answer)$/,
        ),
      }),
    );
  });

  test('something that takes connections and says nothing', async () => {
    const silent = createServer((socket) => socket.on('error', () => {}).resume());
    listeners.push(silent);
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
    const address = silent.address();
    const port = address !== null && typeof address === 'object' ? address.port : 0;
    const retry = { ...quickRetry, attempts: 1 };
    await expect(world.pull(`127.0.0.1:${port}/x`, { retry })).rejects.toThrow(
      expect.objectContaining({ code: 'NETWORK', message: `cannot reach 127.0.0.1:${port}: no answer within 1 s` }),
    );
    // TLS does not get to its end there
    const settings = mirrored(`https://127.0.0.1:${port}`);
    await expect(world.pull('x', { retry, settings })).rejects.toThrow(/: no connection within 1 s/);
  });

  test('something that speaks another protocol', async () => {
    const other = createServer((socket) => socket.on('error', () => {}).end('220 mail.example ESMTP\r\n'));
    listeners.push(other);
    await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve));
    const address = other.address();
    const port = address !== null && typeof address === 'object' ? address.port : 0;
    await expect(world.pull('x', { settings: mirrored(`http://127.0.0.1:${port}`) })).rejects.toThrow(
      /its answer is not HTTP \(HPE_/,
    );
    await expect(world.pull('x', { settings: mirrored(`https://127.0.0.1:${port}`) })).rejects.toThrow(/no TLS there/);
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
