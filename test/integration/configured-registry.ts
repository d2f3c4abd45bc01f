/** Debian's docker-registry with logins or TLS: the judge of how tsrun tells who it is. */
import { execFileSync, spawn } from 'node:child_process';
import { createHash, createSign, X509Certificate } from 'node:crypto';
import { closeSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { freePort, registryBinary } from '../../scripts/images/registry.ts';

export interface ConfiguredRegistry {
  /** `127.0.0.1:PORT` */
  address: string;
  stop(): Promise<void>;
}

export interface Certificate {
  /** Paths. */
  key: string;
  cert: string;
}

/** A certificate that nobody knows, for these names (`DNS:registry.test`, `IP:127.0.0.1`). */
export function makeCertificate(directory: string, names = 'IP:127.0.0.1,DNS:localhost'): Certificate {
  const key = join(directory, 'key.pem');
  const cert = join(directory, 'cert.pem');
  const subject = ['-subj', '/CN=tsrun test', '-addext', `subjectAltName=${names}`];
  const kind = ['-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2'];
  execFileSync('openssl', ['req', ...kind, ...subject, '-keyout', key, '-out', cert], { stdio: 'ignore' });
  return { key, cert };
}

function canConnect(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}

/** Starts a registry over `storage` with further configuration (distribution's configuration.md). */
export async function startConfigured(
  directory: string,
  storage: string,
  configuration: Record<string, unknown> = {},
  certificate?: Certificate,
  /** Certificates of authorities one of which must vouch for who asks. */
  clientAuthorities?: readonly string[],
): Promise<ConfiguredRegistry> {
  const port = await freePort();
  const address = `127.0.0.1:${port}`;
  const clients = clientAuthorities === undefined ? {} : { clientcas: clientAuthorities };
  const tls =
    certificate === undefined ? {} : { tls: { certificate: certificate.cert, key: certificate.key, ...clients } };
  const config = {
    version: 0.1,
    log: { level: 'error', accesslog: { disabled: true } },
    storage: { filesystem: { rootdirectory: storage } },
    http: { addr: address, secret: 'test', ...tls },
    ...configuration,
  };
  const file = join(directory, `registry-${port}.yml`);
  writeFileSync(file, JSON.stringify(config));
  const log = join(directory, `registry-${port}.log`);
  const logFd = openSync(log, 'w');
  const child = spawn(registryBinary(), ['serve', file], {
    stdio: ['ignore', logFd, logFd],
    env: { PATH: process.env.PATH, OTEL_TRACES_EXPORTER: 'none' },
  });
  closeSync(logFd);
  let ended = false;
  const end = new Promise<void>((resolve) =>
    child.once('exit', () => {
      ended = true;
      resolve();
    }),
  );
  for (let attempt = 0; attempt < 200 && !ended; attempt++) {
    if (await canConnect(port)) {
      return {
        address,
        stop: async () => {
          child.kill();
          await end;
        },
      };
    }
    await delay(25);
  }
  throw new Error(`docker-registry did not start:\n${readFileSync(log, 'utf8')}`);
}

/** Access to one repository, as a token claims it (distribution, spec/auth/jwt.md). */
interface Access {
  type: string;
  name: string;
  actions: string[];
}

const base64url = (value: object | Buffer) =>
  Buffer.isBuffer(value) ? value.toString('base64url') : Buffer.from(JSON.stringify(value)).toString('base64url');

/** A token service whose tokens docker-registry verifies. */
export class TokenService {
  readonly requests: { method: string; url: URL; authorization: string | undefined; body: string }[] = [];
  /** What to do with a request: whom it names, or undefined to refuse it. */
  decide: (request: { url: URL; authorization: string | undefined; body: string }) => string | undefined = () => '';
  /** How the token's field is called. */
  field = 'token';
  /** Seconds that tokens last. */
  lifetime = 300;
  readonly #certificate: Certificate;
  readonly #server: Server;

  constructor(certificate: Certificate) {
    this.#certificate = certificate;
    this.#server = createServer((incoming, response) => void this.#serve(incoming, response));
  }

  async start(): Promise<this> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
    return this;
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  get realm(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/token`;
  }

  /** The `auth` part of a registry's configuration. */
  get configuration(): Record<string, unknown> {
    const { realm } = this;
    return { auth: { token: { realm, service: 'test', issuer: 'issuer', rootcertbundle: this.#certificate.cert } } };
  }

  /** A signed token for `access`. */
  token(subject: string, access: Access[]): string {
    const now = Math.floor(Date.now() / 1000);
    const certificate = new X509Certificate(readFileSync(this.#certificate.cert));
    const header = { typ: 'JWT', alg: 'RS256', x5c: [certificate.raw.toString('base64')] };
    const id = createHash('sha256').update(`${now}${this.requests.length}`).digest('hex');
    const times = { iat: now, nbf: now - 10, exp: now + this.lifetime, jti: id };
    const claims = { iss: 'issuer', sub: subject, aud: 'test', ...times, access };
    const text = `${base64url(header)}.${base64url(claims)}`;
    const signature = createSign('sha256').update(text).sign(readFileSync(this.#certificate.key));
    return `${text}.${base64url(signature)}`;
  }

  async #serve(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    let body = '';
    for await (const chunk of incoming) body += chunk;
    const url = new URL(incoming.url ?? '', this.realm);
    const request = { method: incoming.method ?? '', url, authorization: incoming.headers.authorization, body };
    this.requests.push(request);
    const subject = this.decide(request);
    if (subject === undefined) {
      response.writeHead(401, { 'content-type': 'application/json' });
      response.end('{"details": "incorrect username or password"}');
      return;
    }
    const scopes = body === '' ? url.searchParams.getAll('scope') : [new URLSearchParams(body).get('scope') ?? ''];
    const access = scopes.flatMap((scope) => {
      const [type = '', name = '', actions = ''] = scope.split(':');
      return name === '' ? [] : [{ type, name, actions: actions.split(',') }];
    });
    response.writeHead(200, { 'content-type': 'application/json' });
    response.end(JSON.stringify({ [this.field]: this.token(subject, access), expires_in: this.lifetime }));
  }
}
