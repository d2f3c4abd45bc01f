/** Where a pull goes: redirects, mirrors, addresses where no registry is. */
import { createServer, type Server, type Socket } from 'node:net';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Descriptor } from '../../scripts/images/layout.ts';
import type { PulledImage, PullOptions } from '../../src/image/pull.ts';
import { repository, weatherForEachTest } from './pull-weather.ts';
import { mirrored, noise, noSettings, quickRetry, type World } from './pull-world.ts';
import { always, Peer, send, sendPart } from './registry-peer.ts';

const name = repository;
const weather = weatherForEachTest();
let world: World;
let peer: Peer;
let blob: Descriptor;
let layout: string;
beforeEach(() => {
  ({ world, peer, blob, layout } = weather());
});
const pull = (options: PullOptions = {}) => weather().pull(options);
const isBlob = (path: string) => weather().isBlob(path);
const ranges = () => weather().ranges();
const expectWhole = (pulled: Promise<PulledImage>) => weather().expectWhole(pulled);
const expectFailure = (pulled: Promise<PulledImage>, code: string, message: RegExp | string) =>
  weather().expectFailure(pulled, code, message);

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
    peer.trick = always(404);
    const settings = noSettings();
    settings.mirrors.set('127.0.0.1:1', [new URL(`http://${peer.address}/hub/`)]);
    await expect(world.pull('127.0.0.1:1/x', { settings })).rejects.toThrow(/connection refused \(before that mirror/);
    expect(peer.log()).toEqual(['GET /hub/v2/x/manifests/latest']);
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

/** Something on loopback that is no registry. */
class Stranger {
  readonly #sockets = new Set<Socket>();
  readonly #server: Server;

  constructor(greet: (socket: Socket) => void) {
    this.#server = createServer((socket) => {
      this.#sockets.add(socket);
      socket.on('error', () => {}).resume();
      greet(socket);
    });
  }

  /** `127.0.0.1:PORT` */
  async start(): Promise<string> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
    const address = this.#server.address();
    if (address === null || typeof address === 'string') throw new Error('no port');
    return `127.0.0.1:${address.port}`;
  }

  async stop(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

describe('no registry at all', () => {
  let stranger: Stranger | undefined;
  afterEach(async () => {
    await stranger?.stop();
    stranger = undefined;
  });

  /** Pulls by a mirror of a registry that is not there, so that no test asks one that is. */
  async function expectFromMirror(mirror: string, message: RegExp): Promise<void> {
    const settings = noSettings();
    settings.mirrors.set('127.0.0.1:1', [new URL(mirror)]);
    const retry = { ...quickRetry, attempts: 1 };
    await expect(world.pull('127.0.0.1:1/x', { settings, retry })).rejects.toThrow(message);
  }

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
    stranger = new Stranger(() => {});
    const address = await stranger.start();
    await expect(world.pull(`${address}/x`, { retry: { ...quickRetry, attempts: 1 } })).rejects.toThrow(
      expect.objectContaining({ code: 'NETWORK', message: `cannot reach ${address}: no answer within 1 s` }),
    );
    // TLS does not get to its end there
    await expectFromMirror(`https://${address}/`, /: no connection within 1 s/);
  });

  test('something that speaks another protocol', async () => {
    stranger = new Stranger((socket) => socket.end('220 mail.example ESMTP\r\n'));
    const address = await stranger.start();
    await expectFromMirror(`http://${address}/`, /its answer is not HTTP \(HPE_/);
    await expectFromMirror(`https://${address}/`, /no TLS there/);
  });
});
