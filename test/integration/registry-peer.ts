/**
 * A registry on loopback that serves an image layout and misbehaves as a test tells it: what a real registry only does
 * when the weather is bad.
 */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type RequestListener, type Server, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import type { Descriptor } from '../../scripts/images/layout.ts';

export interface PeerRequest {
  method: string;
  /** `/v2/library/x/blobs/sha256:…` */
  path: string;
  headers: IncomingMessage['headers'];
  incoming: IncomingMessage;
  response: ServerResponse;
}

/** Answers a request instead of the registry, or returns false for it to do so. */
export type Trick = (request: PeerRequest) => boolean | undefined | Promise<boolean | undefined>;

export class Peer {
  readonly requests: PeerRequest[] = [];
  /** Asked before each answer. */
  trick: Trick = () => false;
  readonly #server: Server;
  readonly #layout: string;

  constructor(layout: string, tls?: { key: string; cert: string }) {
    this.#layout = layout;
    const listener: RequestListener = (incoming, response) => void this.#serve(incoming, response);
    this.#server = tls === undefined ? createServer(listener) : createTlsServer(tls, listener);
  }

  play(trick: Trick): void {
    this.trick = trick;
  }

  async start(): Promise<this> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
    return this;
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  /** `127.0.0.1:PORT` */
  get address(): string {
    return `127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** Requests as `GET /v2/…`, those for blobs or manifests only where told. */
  log(part = ''): string[] {
    return this.requests.filter(({ path }) => path.includes(part)).map(({ method, path }) => `${method} ${path}`);
  }

  /** The bytes of a blob of the layout. */
  blob(digest: string): Buffer {
    return readFileSync(join(this.#layout, 'blobs', digest.replace(':', '/')));
  }

  /** The descriptor of what `REPOSITORY:TAG` names. */
  tagged(name: string): Descriptor {
    const index: { manifests: Descriptor[] } = JSON.parse(readFileSync(join(this.#layout, 'index.json'), 'utf8'));
    const found = index.manifests.find((image) => image.annotations?.['org.opencontainers.image.ref.name'] === name);
    if (found === undefined) throw new Error(`the layout has no ${name}`);
    return found;
  }

  /** Layers of what a tag names, lowest first. */
  layers(name: string): Descriptor[] {
    return JSON.parse(this.blob(this.tagged(name).digest).toString()).layers;
  }

  async #serve(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    const path = incoming.url ?? '';
    const request = { method: incoming.method ?? '', path, headers: incoming.headers, incoming, response };
    this.requests.push(request);
    response.on('error', () => {});
    if (await this.trick(request)) return;
    const [, repository = '', kind = '', reference = ''] = /^\/v2\/(.+)\/(manifests|blobs)\/([^/?]+)$/.exec(path) ?? [];
    try {
      if (kind === 'manifests') {
        const bytes = reference.includes(':')
          ? this.blob(reference)
          : this.blob(this.tagged(`${repository}:${reference}`).digest);
        const { mediaType } = JSON.parse(bytes.toString());
        const digest = `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
        // What a test has set before stays.
        const header = response.hasHeader('docker-content-digest') ? {} : { 'docker-content-digest': digest };
        send(response, 200, bytes, { 'content-type': mediaType, ...header });
      } else if (kind === 'blobs') this.#sendBlob(request, this.blob(reference));
      else send(response, 200, Buffer.from('{}'));
    } catch {
      const errors = [{ code: 'MANIFEST_UNKNOWN', message: 'manifest unknown' }];
      send(response, 404, Buffer.from(JSON.stringify({ errors })), { 'content-type': 'application/json' });
    }
  }

  #sendBlob({ headers, response }: PeerRequest, bytes: Buffer): void {
    const from = /^bytes=(\d+)-$/.exec(headers.range ?? '')?.[1];
    const start = Number(from ?? 0);
    if (from === undefined) send(response, 200, bytes);
    else if (start >= bytes.length) {
      send(response, 416, Buffer.alloc(0), { 'content-range': `bytes */${bytes.length}` });
    } else {
      const range = `bytes ${start}-${bytes.length - 1}/${bytes.length}`;
      send(response, 206, bytes.subarray(start), { 'content-range': range });
    }
  }
}

/** A whole answer. */
export function send(
  response: ServerResponse,
  status: number,
  body: Uint8Array,
  headers: Record<string, string> = {},
): void {
  response.writeHead(status, { 'content-length': String(body.length), ...headers });
  response.end(response.req.method === 'HEAD' ? undefined : body);
}

/** Announces `body`, sends `length` bytes of it and breaks the connection off. */
export function sendPart(
  response: ServerResponse,
  body: Uint8Array,
  length: number,
  status = 200,
  headers: Record<string, string> = {},
): void {
  response.writeHead(status, { 'content-length': String(body.length), ...headers });
  response.write(body.subarray(0, length), () => response.socket?.destroySoon());
}

/** The trick of a registry that answers everything with a status. */
export function always(status: number): Trick {
  return ({ response }) => {
    send(response, status, Buffer.alloc(0));
    return true;
  };
}
