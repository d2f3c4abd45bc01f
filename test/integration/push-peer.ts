/**
 * A registry on loopback that takes pushes as the distribution-spec has it, resumed ones too, keeps them in memory, and misbehaves
 * as a test tells it.
 */
import { createHash, randomUUID } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { send } from './registry-peer.ts';

export interface PushRequest {
  method: string;
  /** `/v2/a/blobs/uploads/…`, without the query. */
  path: string;
  query: URLSearchParams;
  headers: IncomingMessage['headers'];
  incoming: IncomingMessage;
  response: ServerResponse;
}

/** Answers a request instead of the registry, or returns false for it to do so. */
export type PushTrick = (request: PushRequest) => boolean | undefined | Promise<boolean | undefined>;

export const sha256 = (bytes: Uint8Array): string => `sha256:${createHash('sha256').update(bytes).digest('hex')}`;

export class PushPeer {
  readonly requests: PushRequest[] = [];
  /** `REPOSITORY DIGEST` -> bytes. */
  readonly blobs = new Map<string, Buffer>();
  /** `REPOSITORY TAG` and `REPOSITORY DIGEST` -> what was put. */
  readonly manifests = new Map<string, { type: string; bytes: Buffer }>();
  readonly uploads = new Map<string, Buffer>();
  /** Asked before each answer. */
  trick: PushTrick = () => false;
  /** How it says where an upload goes on. */
  location: (path: string) => string = (path) => path;
  /** Bytes of a PATCH after which the connection breaks, for each PATCH in turn; none: it holds. */
  readonly breaks: number[] = [];
  readonly #server: Server;

  constructor() {
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

  /** `127.0.0.1:PORT` */
  get address(): string {
    return `127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** The methods of requests for uploads, in order: `POST PATCH PUT`. */
  uploadLog(): string {
    return this.requests
      .filter(({ path }) => path.includes('/uploads/'))
      .map(({ method }) => method)
      .join(' ');
  }

  async #serve(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(incoming.url ?? '', 'http://peer');
    const method = incoming.method ?? '';
    const request = {
      method,
      path: url.pathname,
      query: url.searchParams,
      headers: incoming.headers,
      incoming,
      response,
    };
    this.requests.push(request);
    incoming.on('error', () => {});
    response.on('error', () => {});
    if (await this.trick(request)) return;
    const [, repository = '', kind = '', rest = ''] =
      /^\/v2\/(.+)\/(blobs|manifests)\/(.+?)\/?$/.exec(url.pathname) ?? [];
    try {
      if (kind === 'manifests') await this.#manifest(request, repository, rest);
      else if (kind === 'blobs' && rest.startsWith('uploads')) await this.#upload(request, repository, rest.slice(8));
      else if (kind === 'blobs') this.#blob(request, repository, rest);
      else send(response, 200, Buffer.from('{}'));
    } catch {
      // The connection broke.
    }
  }

  #blob({ response }: PushRequest, repository: string, digest: string): void {
    const bytes = this.blobs.get(`${repository} ${digest}`);
    send(response, bytes === undefined ? 404 : 200, bytes ?? Buffer.alloc(0));
  }

  async #manifest(
    { method, headers, incoming, response }: PushRequest,
    repository: string,
    name: string,
  ): Promise<void> {
    if (method !== 'PUT') {
      const found = this.manifests.get(`${repository} ${name}`);
      const type = found === undefined ? {} : { 'content-type': found.type };
      return send(response, found === undefined ? 404 : 200, found?.bytes ?? Buffer.alloc(0), type);
    }
    const bytes = await wholeBody(incoming);
    const digest = sha256(bytes);
    const { config, layers = [] }: { config?: { digest: string }; layers?: { digest: string }[] } = JSON.parse(
      bytes.toString(),
    );
    for (const blob of config === undefined ? layers : [config, ...layers]) {
      if (!this.blobs.has(`${repository} ${blob.digest}`)) return this.#refuse(response, 400, 'BLOB_UNKNOWN');
    }
    const manifest = { type: headers['content-type'] ?? '', bytes };
    for (const key of [name, digest]) this.manifests.set(`${repository} ${key}`, manifest);
    send(response, 201, Buffer.alloc(0), { 'docker-content-digest': digest });
  }

  #refuse(response: ServerResponse, status: number, code: string): void {
    send(response, status, Buffer.from(JSON.stringify({ errors: [{ code, message: 'refused' }] })));
  }

  async #upload(request: PushRequest, repository: string, id: string): Promise<void> {
    const { method, query, incoming, response, headers } = request;
    if (method === 'POST') {
      const [digest, from] = [query.get('mount') ?? '', query.get('from') ?? ''];
      const mounted = this.blobs.get(`${from} ${digest}`);
      if (mounted !== undefined) {
        this.blobs.set(`${repository} ${digest}`, mounted);
        return send(response, 201, Buffer.alloc(0), { location: `/v2/${repository}/blobs/${digest}` });
      }
      const fresh = randomUUID();
      this.uploads.set(fresh, Buffer.alloc(0));
      return this.#state(response, 202, repository, fresh);
    }
    const before = this.uploads.get(id);
    if (before === undefined) return this.#refuse(response, 404, 'BLOB_UPLOAD_UNKNOWN');
    if (method === 'GET') return this.#state(response, 204, repository, id);
    const start = /^(\d+)-\d+$/.exec(headers['content-range'] ?? '')?.[1];
    if (method === 'PATCH' && start !== undefined && Number(start) !== before.length) {
      incoming.resume();
      return this.#state(response, 416, repository, id);
    }
    const limit = method === 'PATCH' ? (this.breaks.shift() ?? Number.POSITIVE_INFINITY) : Number.POSITIVE_INFINITY;
    let taken = 0;
    for await (const chunk of incoming) {
      const part = (chunk as Buffer).subarray(0, limit - taken);
      taken += part.length;
      this.uploads.set(id, Buffer.concat([this.uploads.get(id) ?? Buffer.alloc(0), part]));
      if (taken >= limit) {
        incoming.destroy();
        return;
      }
    }
    if (method === 'PATCH') return this.#state(response, 202, repository, id);
    const bytes = this.uploads.get(id) ?? Buffer.alloc(0);
    const digest = query.get('digest') ?? '';
    if (sha256(bytes) !== digest) return this.#refuse(response, 400, 'DIGEST_INVALID');
    this.uploads.delete(id);
    this.blobs.set(`${repository} ${digest}`, bytes);
    send(response, 201, Buffer.alloc(0), { 'docker-content-digest': digest });
  }

  #state(response: ServerResponse, status: number, repository: string, id: string): void {
    const length = this.uploads.get(id)?.length ?? 0;
    const location = this.location(`/v2/${repository}/blobs/uploads/${id}?state=a%2Bb`);
    send(response, status, Buffer.alloc(0), { location, range: `0-${Math.max(0, length - 1)}` });
  }
}

async function wholeBody(incoming: IncomingMessage): Promise<Buffer> {
  const parts: Buffer[] = [];
  for await (const chunk of incoming) parts.push(chunk as Buffer);
  return Buffer.concat(parts);
}
