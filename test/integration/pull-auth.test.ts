/** Who pulls: logins and tokens, judged by docker-registry; and who is never told. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { pushLayout } from '../../scripts/images/push.ts';
import type { Credentials } from '../../src/image/credentials.ts';
import {
  type Certificate,
  type ConfiguredRegistry,
  makeCertificate,
  startConfigured,
  TokenService,
} from './configured-registry.ts';
import { mirrored, World, worldForEachTest, writeImage } from './pull-world.ts';
import { Peer, send } from './registry-peer.ts';

const repository = 'private/image';
let forFile: World;
let storage: string;
let layout: string;
let certificate: Certificate;

beforeAll(async () => {
  forFile = new World();
  storage = join(forFile.directory, 'storage');
  mkdirSync(storage);
  layout = writeImage(join(forFile.directory, 'layout'), `${repository}:latest`, [
    [{ path: 'hello', data: 'hello\n' }],
    [{ path: 'second', data: 'second\n' }],
  ]);
  certificate = makeCertificate(forFile.directory);
  const plain = await startConfigured(forFile.directory, storage);
  await pushLayout(layout, plain.address);
  await plain.stop();
});
afterAll(() => forFile.remove());

const world = worldForEachTest();

const as = (username: string, password: string, identityToken?: string) => async (): Promise<Credentials> =>
  identityToken === undefined ? { username, password } : { username, password, identityToken };

describe('a registry with passwords (basic authentication)', () => {
  let registry: ConfiguredRegistry;
  beforeAll(async () => {
    // bcrypt of "secret"
    const line = 'alice:$2b$05$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a';
    writeFileSync(join(forFile.directory, 'htpasswd'), `${line}\n`);
    const auth = { htpasswd: { realm: 'test', path: join(forFile.directory, 'htpasswd') } };
    registry = await startConfigured(forFile.directory, storage, { auth });
  });
  afterAll(() => registry.stop());

  test('lets in who has one', async () => {
    const image = await world().pull(`${registry.address}/${repository}`, { credentials: as('alice', 'secret') });
    expect(image.layers).toHaveLength(2);
  });

  test("takes it from docker's configuration", async () => {
    const directory = join(world().directory, 'docker');
    mkdirSync(directory);
    const auth = Buffer.from('alice:secret').toString('base64');
    writeFileSync(join(directory, 'config.json'), JSON.stringify({ auths: { [registry.address]: { auth } } }));
    process.env.DOCKER_CONFIG = directory;
    try {
      const { credentialsFor } = await import('../../src/image/credentials.ts');
      const image = await world().pull(`${registry.address}/${repository}`, {
        credentials: (host) => credentialsFor(host),
      });
      expect(image.layers).toHaveLength(2);
    } finally {
      delete process.env.DOCKER_CONFIG;
    }
  });

  test.each<[string, (() => Promise<Credentials | undefined>) | undefined]>([
    ['nobody', undefined],
    ['the wrong password', as('alice', 'wrong')],
    ['an unknown user', as('mallory', 'secret')],
  ])('refuses %s, in the words that people know', async (_name, credentials) => {
    const pulled = world().pull(`${registry.address}/${repository}`, credentials === undefined ? {} : { credentials });
    await expect(pulled).rejects.toThrow(
      expect.objectContaining({
        code: 'UNAUTHORIZED',
        message:
          `pull access denied for ${registry.address}/${repository}, repository does not exist or may require a login: ` +
          'unauthorized: authentication required',
        hint: expect.stringContaining('docker login'),
      }),
    );
  });

  test('credentials that cannot be read are said, and it goes on without', async () => {
    const credentials = () => Promise.reject(new Error('the helper is broken'));
    await expect(world().pull(`${registry.address}/${repository}`, { credentials })).rejects.toThrow(
      /pull access denied/,
    );
    expect(world().warnings()).toEqual(['the helper is broken; trying without credentials']);
  });
});

describe('a registry with a token service', () => {
  let service: TokenService;
  let registry: ConfiguredRegistry;
  beforeEach(async () => {
    service = await new TokenService(certificate).start();
    registry = await startConfigured(forFile.directory, storage, service.configuration);
  });
  afterEach(async () => {
    await registry.stop();
    await service.stop();
  });

  const pull = (credentials?: () => Promise<Credentials | undefined>) =>
    world().pull(`${registry.address}/${repository}`, credentials === undefined ? {} : { credentials });

  test.each(['token', 'access_token'])('anonymously: one token, called %s, for the whole pull', async (field) => {
    service.field = field;
    const image = await pull();
    expect(image.layers).toHaveLength(2);
    expect(service.requests).toHaveLength(1);
    const { url, authorization } = service.requests[0] ?? {};
    expect(authorization).toBeUndefined();
    expect(url?.searchParams.get('service')).toBe('test');
    expect(url?.searchParams.getAll('scope')).toEqual([`repository:${repository}:pull`]);
  });

  test('with a password, which only the token service sees', async () => {
    const basic = `Basic ${Buffer.from('alice:s:ecret').toString('base64')}`;
    service.decide = ({ authorization, url }) =>
      authorization === basic ? (url.searchParams.get('account') ?? '') : undefined;
    await pull(as('alice', 's:ecret'));
    expect(service.requests).toHaveLength(1);
  });

  test('with a refresh token', async () => {
    service.field = 'access_token';
    service.decide = ({ body }) => {
      const form = new URLSearchParams(body);
      return form.get('grant_type') === 'refresh_token' && form.get('refresh_token') === 'refresh'
        ? 'alice'
        : undefined;
    };
    await pull(as('', '', 'refresh'));
    expect(service.requests).toHaveLength(1);
    expect(service.requests[0]).toMatchObject({ method: 'POST', authorization: undefined });
    const form = new URLSearchParams(service.requests[0]?.body);
    expect(form.get('scope')).toBe(`repository:${repository}:pull`);
    expect(form.get('service')).toBe('test');
  });

  test('that refuses the password', async () => {
    service.decide = () => undefined;
    await expect(pull(as('alice', 'wrong'))).rejects.toThrow(
      expect.objectContaining({
        code: 'UNAUTHORIZED',
        message: expect.stringMatching(
          /^no token from 127\.0\.0\.1:\d+: 127\.0\.0\.1:\d+ refuses the credentials: incorrect username or password$/,
        ),
      }),
    );
  });

  test('whose token gives no right to the repository', async () => {
    service.decide = ({ url }) => {
      url.searchParams.delete('scope');
      return '';
    };
    await expect(pull()).rejects.toThrow(
      /^pull access denied for .*private\/image, repository does not exist or may require a login/,
    );
  });
});

describe('tokens and who gets them', () => {
  let service: TokenService;
  let peer: Peer;
  beforeEach(async () => {
    service = await new TokenService(certificate).start();
    peer = await new Peer(layout).start();
  });
  afterEach(async () => {
    await peer.stop();
    await service.stop();
  });

  const challenge = () => ({
    'www-authenticate': `Bearer realm="${service.realm}",service="test",scope="repository:x:pull"`,
  });

  test('one that has run out in the middle is replaced, once for all layers', async () => {
    const valid = new Set<string>();
    service.decide = () => '';
    peer.trick = ({ path, headers, response }) => {
      const token = headers.authorization ?? '';
      if (path.includes('/manifests/') && token !== '') valid.add(token);
      // by the time of the first blob all that came before is void
      const layers = peer.layers(`${repository}:latest`).map(({ digest }) => digest);
      const isLayer = layers.some((digest) => path.endsWith(digest));
      if (token !== '' && !(isLayer && valid.has(token))) return false;
      send(response, 401, Buffer.alloc(0), challenge());
      return true;
    };
    service.lifetime = 1;
    const tokens: string[] = [];
    const original = service.token.bind(service);
    service.token = (...parameters) => {
      const token = original(...parameters) + tokens.length;
      tokens.push(token);
      return token;
    };
    const image = await world().pull(`${peer.address}/${repository}`);
    expect(image.layers).toHaveLength(2);
    expect(service.requests).toHaveLength(2);
  });

  test('a token that never helps ends the pull', async () => {
    peer.trick = ({ response }) => {
      send(response, 401, Buffer.alloc(0), challenge());
      return true;
    };
    await expect(world().pull(`${peer.address}/${repository}`)).rejects.toThrow(/pull access denied/);
    expect(peer.requests).toHaveLength(2);
  });

  test('a redirect to another host takes no token along; one on the same host does', async () => {
    const cdn = await new Peer(layout).start();
    try {
      peer.trick = ({ path, headers, response }) => {
        if (headers.authorization === undefined) send(response, 401, Buffer.alloc(0), challenge());
        else if (path.startsWith('/v2/') && path.includes('/blobs/'))
          send(response, 307, Buffer.alloc(0), { location: `/moved${path}` });
        else if (path.startsWith('/moved/'))
          send(response, 307, Buffer.alloc(0), { location: `http://${cdn.address}${path.slice(6)}` });
        else return false;
        return true;
      };
      await world().pull(`${peer.address}/${repository}`);
      expect(cdn.requests).toHaveLength(3);
      expect(cdn.requests.map(({ headers }) => headers.authorization)).toEqual([undefined, undefined, undefined]);
      const moved = peer.requests.filter(({ path }) => path.startsWith('/moved/'));
      expect(moved).toHaveLength(3);
      for (const { headers } of moved) expect(headers.authorization).toMatch(/^Bearer /);
    } finally {
      await cdn.stop();
    }
  });

  test('a 401 of a host behind a redirect is not answered', async () => {
    const cdn = await new Peer(layout).start();
    cdn.trick = ({ response }) => {
      send(response, 401, Buffer.alloc(0), { 'www-authenticate': 'Basic realm="give me"' });
      return true;
    };
    peer.trick = ({ path, response }) => {
      if (!path.includes('/blobs/')) return false;
      send(response, 307, Buffer.alloc(0), { location: `http://${cdn.address}${path}` });
      return true;
    };
    try {
      await expect(
        world().pull(`${peer.address}/${repository}`, { credentials: as('alice', 'secret') }),
      ).rejects.toThrow(/pull access denied/);
      expect(cdn.requests.map(({ headers }) => headers.authorization)).toEqual([undefined]);
    } finally {
      await cdn.stop();
    }
  });

  test('a mirror is asked with its own credentials, not with those of the registry that it mirrors', async () => {
    const hosts: string[] = [];
    peer.trick = ({ headers, response }) => {
      if (headers.authorization !== undefined) return false;
      send(response, 401, Buffer.alloc(0), { 'www-authenticate': 'Basic realm="mirror"' });
      return true;
    };
    const credentials = async (host: string) => {
      hosts.push(host);
      return { username: host, password: 'p' };
    };
    await world().pull(repository, { settings: mirrored(`http://${peer.address}/`), credentials });
    expect(hosts).toEqual([peer.address]);
    const sent = Buffer.from(`${peer.address}:p`).toString('base64');
    expect(peer.requests.at(-1)?.headers.authorization).toBe(`Basic ${sent}`);
  });

  test.each([
    ['http://192.0.2.1/token', /its token service http:\/\/192\.0\.2\.1 is not https$/],
    ['nonsense', /its token service "nonsense" is no URL$/],
    ['', /its token service "" is no URL$/],
  ])('the token service %j is refused', async (realm, message) => {
    peer.trick = ({ response }) => {
      send(response, 401, Buffer.alloc(0), { 'www-authenticate': `Bearer realm="${realm}"` });
      return true;
    };
    await expect(world().pull(`${peer.address}/${repository}`, { credentials: as('alice', 'secret') })).rejects.toThrow(
      message,
    );
  });

  test.each([
    ['{}', /has neither "token" nor "access_token"$/],
    ['[]', /must be an object$/],
    ['{"token": 5}', /token must be a string$/],
    ['{"token": "a\\nb: c"}', /has neither "token"/],
    ['<html>', /is not valid JSON$/],
  ])('a token service that answers %s', async (body, message) => {
    const strange = await new Peer(layout).start();
    strange.trick = ({ response }) => {
      send(response, 200, Buffer.from(body));
      return true;
    };
    peer.trick = ({ response }) => {
      send(response, 401, Buffer.alloc(0), { 'www-authenticate': `Bearer realm="http://${strange.address}/"` });
      return true;
    };
    try {
      await expect(world().pull(`${peer.address}/${repository}`)).rejects.toThrow(message);
    } finally {
      await strange.stop();
    }
  });
});
