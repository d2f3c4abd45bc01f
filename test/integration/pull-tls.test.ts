/** Pulling over TLS: whom to believe, what to say otherwise, and through a proxy. */
import { copyFileSync, mkdirSync, readFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { pushLayout } from '../../scripts/images/push.ts';
import { trustOptions } from '../../src/image/trust.ts';
import { type Certificate, type ConfiguredRegistry, makeCertificate, startConfigured } from './configured-registry.ts';
import { noSettings, quickRetry, World, worldForEachTest, writeImage } from './pull-world.ts';
import { Peer } from './registry-peer.ts';

const repository = 'secure/image';
let forFile: World;
let layout: string;
let certificate: Certificate;
let registry: ConfiguredRegistry;

beforeAll(async () => {
  forFile = new World();
  const storage = join(forFile.directory, 'storage');
  mkdirSync(storage);
  layout = writeImage(join(forFile.directory, 'layout'), `${repository}:latest`, [
    [{ path: 'hello', data: 'hello\n' }],
  ]);
  certificate = makeCertificate(forFile.directory, 'IP:127.0.0.1,DNS:registry.test');
  const plain = await startConfigured(forFile.directory, storage);
  await pushLayout(layout, plain.address);
  await plain.stop();
  registry = await startConfigured(forFile.directory, storage, {}, certificate);
});
afterAll(async () => {
  await registry.stop();
  forFile.remove();
});

const world = worldForEachTest();
afterEach(() => {
  for (const name of ['SSL_CERT_FILE', 'HTTPS_PROXY', 'NO_PROXY']) delete process.env[name];
});

/** By a mirror of a registry that is not there, so that http is no way out. */
function pullByMirror(url: string, insecure: string[] = []) {
  const settings = { ...noSettings(), insecure: new Set(insecure) };
  settings.mirrors.set('127.0.0.1:1', [new URL(url)]);
  return world().pull(`127.0.0.1:1/${repository}`, { settings, retry: { ...quickRetry, attempts: 1 } });
}

test('a certificate that nobody knows is refused, with where to put its authority', async () => {
  const { address } = registry;
  const error = await world()
    .pull(`${address}/${repository}`)
    .catch((reason: unknown) => reason);
  expect(error).toMatchObject({
    code: 'NETWORK',
    message: `cannot reach ${address}: its certificate is not trusted (DEPTH_ZERO_SELF_SIGNED_CERT)`,
    hint: `put the certificate of its authority in /etc/docker/certs.d/${address}/ca.crt`,
  });
});

test("the system's authorities count", async () => {
  process.env.SSL_CERT_FILE = certificate.cert;
  const image = await pullByMirror(`https://${registry.address}/`);
  expect(image.layers).toHaveLength(1);
});

test('a registry on this machine may speak TLS instead of http', async () => {
  process.env.SSL_CERT_FILE = certificate.cert;
  const image = await world().pull(`${registry.address}/${repository}`);
  expect(image.layers).toHaveLength(1);
});

test('a certificate for another name is refused, known or not', async () => {
  const other = makeCertificate(world().directory, 'DNS:other.test');
  const peer = await new Peer(layout, {
    key: readFileSync(other.key, 'utf8'),
    cert: readFileSync(other.cert, 'utf8'),
  }).start();
  process.env.SSL_CERT_FILE = other.cert;
  try {
    await expect(pullByMirror(`https://${peer.address}/`)).rejects.toThrow(
      /its certificate is not trusted \(ERR_TLS_CERT_ALTNAME_INVALID\)/,
    );
  } finally {
    await peer.stop();
  }
});

describe('a host that the settings name insecure', () => {
  test('may have any certificate', async () => {
    const image = await pullByMirror(`https://${registry.address}/`, [registry.address]);
    expect(image.layers).toHaveLength(1);
  });

  test('may speak plain http', async () => {
    const peer = await new Peer(layout).start();
    // a name that is not loopback for tsrun, but is for the kernel
    const address = `0.0.0.0:${peer.address.split(':')[1]}`;
    try {
      const settings = { ...noSettings(), insecure: new Set([address]) };
      const image = await world().pull(`${address}/${repository}`, { settings });
      expect(image.layers).toHaveLength(1);
      // without the settings it is not tried
      const before = peer.requests.length;
      await expect(world().pull(`${address}/${repository}`)).rejects.toThrow(
        expect.objectContaining({
          message: expect.stringMatching(/^cannot reach 0\.0\.0\.0:\d+: no TLS there/),
          hint: `if it speaks plain http, name it in the settings: {"insecure": ["${address}"]}`,
        }),
      );
      expect(peer.requests).toHaveLength(before);
    } finally {
      await peer.stop();
    }
  });
});

test('certs.d holds authorities by host, and the certificate of the client', async () => {
  const directory = join(world().directory, 'certs.d');
  mkdirSync(join(directory, 'registry.test:5000'), { recursive: true });
  copyFileSync(certificate.cert, join(directory, 'registry.test:5000/ca.crt'));
  copyFileSync(certificate.cert, join(directory, 'registry.test:5000/client.cert'));
  copyFileSync(certificate.key, join(directory, 'registry.test:5000/client.key'));
  const text = readFileSync(certificate.cert, 'latin1');
  const options = await trustOptions(new URL('https://registry.test:5000'), false, undefined, [directory]);
  expect(options.ca).toContain(text);
  expect((options.ca as string[]).length).toBeGreaterThan(50);
  expect([options.cert, options.key]).toEqual([text, readFileSync(certificate.key, 'latin1')]);
  expect(await trustOptions(new URL('https://other.test'), false, undefined, [directory])).toEqual({});
});

describe('through a proxy', () => {
  let proxy: Server;
  let asked: string[];
  const sockets = new Set<Socket>();

  /** A CONNECT proxy for which every name is this machine. */
  beforeEach(async () => {
    asked = [];
    proxy = createServer();
    proxy.on('connection', (socket) => sockets.add(socket));
    proxy.on('connect', (request, client: Socket) => {
      asked.push(`${request.url} ${request.headers['proxy-authorization'] ?? '-'}`);
      if (request.url?.startsWith('forbidden.test')) {
        client.end('HTTP/1.1 403 Forbidden\r\n\r\n');
        return;
      }
      const server = connect(Number(request.url?.split(':')[1]), '127.0.0.1', () => {
        client.write('HTTP/1.1 200 OK\r\n\r\n');
        server.pipe(client).pipe(server);
      });
      sockets.add(server);
      server.on('error', () => client.destroy());
      client.on('error', () => server.destroy());
    });
    await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
    process.env.HTTPS_PROXY = `http://user:pass@127.0.0.1:${(proxy.address() as AddressInfo).port}`;
    process.env.SSL_CERT_FILE = certificate.cert;
  });
  afterEach(async () => {
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => proxy.close(resolve));
  });

  const port = () => registry.address.split(':')[1];

  test('the connection to the registry is encrypted from end to end', async () => {
    const image = await world().pull(`registry.test:${port()}/${repository}`);
    expect(image.layers).toHaveLength(1);
    expect(new Set(asked)).toEqual(new Set([`registry.test:${port()} Basic ${btoa('user:pass')}`]));
  });

  test('that refuses: it is named', async () => {
    const { host } = new URL(process.env.HTTPS_PROXY ?? '');
    await expect(world().pull('forbidden.test/x', { retry: { ...quickRetry, attempts: 1 } })).rejects.toThrow(
      `the proxy ${host} refuses to connect to forbidden.test:443: 403 Forbidden`,
    );
  });

  test('that is down: it is named', async () => {
    process.env.HTTPS_PROXY = 'http://127.0.0.1:1';
    await expect(world().pull('registry.test/x')).rejects.toThrow(
      /^cannot reach registry\.test:443 through the proxy 127\.0\.0\.1:1: /,
    );
  });

  test('except for hosts of NO_PROXY and this machine', async () => {
    process.env.NO_PROXY = '.test';
    await expect(world().pull('registry.test/x')).rejects.toThrow(/cannot reach registry\.test: /);
    await pullByMirror(`https://${registry.address}/`);
    expect(asked).toEqual([]);
  });
});
