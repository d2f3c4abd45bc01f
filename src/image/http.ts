/**
 * Requests to registries over node:http, which loads in 10 ms where fetch takes 36 and streams at half its cost.
 * Redirects are followed here, so that a token never reaches a host that it is not for (RFC 9110, 15.4).
 */
import http, {
  type Agent,
  type AgentOptions,
  type ClientRequest,
  type IncomingHttpHeaders,
  type IncomingMessage,
} from 'node:http';
import { TsrunError } from '../error.ts';
import { connectionError, errorCode, interrupted, RequestError, throwIfInterrupted } from './errors.ts';
import { allowsPlainHttp, isInsecure, type RegistrySettings } from './mirrors.ts';
import { proxyAuthorization, proxyFor, tunnelAgent } from './proxy.ts';
import { isUntrusted, trustOptions } from './trust.ts';

/** All in milliseconds. */
export interface Timeouts {
  /** Until the connection stands: name, TCP and TLS. */
  connect: number;
  /** From then until the answer's headers. */
  answer: number;
  /** Between two pieces of a body. */
  idle: number;
}

export const defaultTimeouts: Timeouts = { connect: 15_000, answer: 60_000, idle: 30_000 };

const maxRedirects = 5;
/** One address of a name is tried for 2 s before the next one; Node's own 250 ms are less than a bad line needs. */
const agentOptions: AgentOptions = { keepAlive: true, autoSelectFamilyAttemptTimeout: 2_000 };

export interface HttpRequest {
  method?: 'GET' | 'HEAD' | 'POST' | 'PUT' | 'PATCH';
  headers?: Record<string, string>;
  /** Only ever sent to the origin of the URL that the caller named. */
  authorization?: string | undefined;
  /** As a whole, or piece by piece; pieces are asked for as fast as the connection takes them. */
  body?: string | Uint8Array | AsyncIterable<Uint8Array>;
  signal?: AbortSignal | undefined;
  /** Where the caller named an address without TLS, whether redirects to such are followed; absent: by the settings. */
  clear?: 'followed';
}

/** An answer whose body has not been read. The caller reads or drops it. */
export interface Answer {
  status: number;
  headers: IncomingHttpHeaders;
  body: IncomingMessage;
  /** Where it came from, after redirects. */
  url: URL;
}

/** One header as text; of a header that came several times, the parts joined. */
export function header(answer: Answer, name: string): string | undefined {
  const value = answer.headers[name];
  return Array.isArray(value) ? value.join(', ') : value;
}

/** Connections to registries, kept open from one request to the next. */
export class HttpClient {
  readonly #settings: RegistrySettings;
  readonly #timeouts: Timeouts;
  readonly #certificates: string | undefined;
  readonly #agents = new Map<string, Agent>();
  /** Hosts whose certificate only the system's bundle explains. */
  readonly #wideTrust = new Set<string>();

  /** `certificates`: a directory that replaces certs.d. */
  constructor(settings: RegistrySettings, timeouts: Timeouts = defaultTimeouts, certificates?: string) {
    this.#settings = settings;
    this.#timeouts = timeouts;
    this.#certificates = certificates;
  }

  /** Milliseconds without a byte after which a body counts as broken. */
  get idleTimeout(): number {
    return this.#timeouts.idle;
  }

  /** Closes all connections, those in use too. */
  close(): void {
    for (const agent of this.#agents.values()) agent.destroy();
    this.#agents.clear();
  }

  /**
   * Makes a request and follows redirects of GET and HEAD.
   * Throws `RequestError` where no answer came, `INTERRUPTED` on the signal; any status is an answer.
   */
  async request(target: URL, request: HttpRequest = {}): Promise<Answer> {
    let url = target;
    let current = request;
    for (let hop = 0; ; hop++) {
      const answer = await this.#exchangeTrusting(url, current);
      const location = header(answer, 'location');
      const reads = request.method === undefined || request.method === 'GET' || request.method === 'HEAD';
      if (![301, 302, 303, 307, 308].includes(answer.status) || location === undefined || !reads) return answer;
      discard(answer);
      if (hop === maxRedirects)
        throw new RequestError('REGISTRY', `${target.host}: more than ${maxRedirects} redirects`);
      const next = this.resolve(url, location, request.clear === 'followed');
      if (next.origin !== url.origin) current = { ...current, authorization: undefined };
      url = next;
    }
  }

  /**
   * Where an answer of `from` leads. Throws `REGISTRY` for what is no URL, and for one that would be spoken to in the clear
   * without anybody having allowed that.
   */
  resolve(from: URL, location: string, mayBeClear = false): URL {
    if (!URL.canParse(location, from.href)) {
      throw new RequestError('REGISTRY', `${from.host}: redirects to ${JSON.stringify(location)}, which is no URL`);
    }
    const next = new URL(location, from);
    // A registry behind a proxy that ends TLS, and does not know of it: it means itself.
    if (next.protocol === 'http:' && from.protocol === 'https:' && next.host === from.host) next.protocol = 'https:';
    // A registry elsewhere must not make this machine ask itself, or give up encryption.
    const clear = from.protocol === 'http:' && (mayBeClear || allowsPlainHttp(this.#settings, next));
    const allowed = next.protocol === 'https:' || clear;
    if ((next.protocol !== 'https:' && next.protocol !== 'http:') || !allowed) {
      throw new RequestError('REGISTRY', `${from.host}: redirects to ${next.origin}, which is not https`);
    }
    return next;
  }

  /** One request, again with the system's certificate authorities where Node's own list was not enough. */
  async #exchangeTrusting(url: URL, request: HttpRequest): Promise<Answer> {
    try {
      return await this.#exchange(url, request);
    } catch (error) {
      const known = this.#wideTrust.has(url.host);
      if (!(error instanceof RequestError) || !isUntrusted(error.reason) || known) throw error;
      this.#wideTrust.add(url.host);
      return await this.#exchange(url, request);
    }
  }

  async #agentFor(url: URL, proxy: URL | undefined): Promise<Agent> {
    const secure = url.protocol === 'https:';
    const wide = this.#wideTrust.has(url.host);
    const key = secure ? `${url.origin} ${wide}` : 'http';
    const existing = this.#agents.get(key);
    if (existing !== undefined) return existing;
    let agent: Agent;
    if (secure) {
      const https = await import('node:https');
      const trust = await trustOptions(url, wide, this.#certificates);
      const options = { ...trust, ...agentOptions, rejectUnauthorized: !isInsecure(this.#settings, url) };
      agent = proxy === undefined ? new https.Agent(options) : await tunnelAgent(proxy, options);
    } else {
      agent = new http.Agent(agentOptions);
    }
    this.#agents.set(key, agent);
    return agent;
  }

  async #exchange(url: URL, request: HttpRequest, staleTries = 2): Promise<Answer> {
    throwIfInterrupted(request.signal);
    const proxy = proxyFor(url);
    const secure = url.protocol === 'https:';
    const send = secure ? (await import('node:https')).request : http.request;
    const agent = await this.#agentFor(url, proxy);
    const direct = secure || proxy === undefined;
    const outgoing = send({
      host: (direct ? url : proxy).hostname.replace(/^\[|\]$/g, ''),
      port: (direct ? url : proxy).port || (secure ? 443 : 80),
      path: direct ? url.pathname + url.search : url.href,
      method: request.method ?? 'GET',
      agent,
      ...(request.signal === undefined ? {} : { signal: request.signal }),
      headers: {
        host: url.host,
        'user-agent': 'tsrun',
        'accept-encoding': 'identity',
        ...(direct ? {} : proxyAuthorization(proxy)),
        ...request.headers,
        ...(request.authorization === undefined ? {} : { authorization: request.authorization }),
      },
    });
    return await new Promise((resolve, reject) => {
      const sending = { waitsForUs: false, progressed: () => {} };
      const giveUp = (what: string, milliseconds: number): NodeJS.Timeout =>
        setTimeout(() => {
          if (sending.waitsForUs) return void timer.refresh();
          const text = `cannot reach ${url.host}: ${what} within ${milliseconds / 1000} s`;
          outgoing.destroy(new RequestError('NETWORK', text, { transient: true, reason: 'ETIMEDOUT' }));
        }, milliseconds);
      let timer = giveUp('no connection', this.#timeouts.connect);
      outgoing.once('socket', (socket) => {
        const connected = (): void => {
          clearTimeout(timer);
          timer = giveUp('no answer', this.#timeouts.answer);
        };
        if (socket.connecting) socket.once(secure ? 'secureConnect' : 'connect', connected);
        else connected();
      });
      let answered = false;
      outgoing.once('response', (body) => {
        answered = true;
        clearTimeout(timer);
        // A server that has heard enough answers before it has everything; its connection serves no other request then.
        if (!outgoing.writableEnded) body.once('close', () => outgoing.destroy());
        resolve({ status: body.statusCode ?? 0, headers: body.headers, body, url });
      });
      outgoing.on('error', (error) => {
        answered = true;
        clearTimeout(timer);
        if (request.signal?.aborted) return reject(interrupted());
        // A connection that was kept open may be gone by the time it is used again.
        const stale = outgoing.reusedSocket && staleTries > 0 && errorCode(error) === 'ECONNRESET';
        const repeatable = request.method === undefined || request.method === 'GET' || request.method === 'HEAD';
        if (stale && repeatable) resolve(this.#exchange(url, request, staleTries - 1));
        // What the body failed with is no fault of the connection.
        else reject(error instanceof TsrunError ? error : connectionError(error, url));
      });
      const { body } = request;
      if (body === undefined || typeof body === 'string' || body instanceof Uint8Array) outgoing.end(body);
      else {
        sending.progressed = () => {
          if (!answered) timer.refresh();
        };
        void sendPieces(outgoing, body, sending);
      }
    });
  }
}

/** Writes a body as it comes. What goes wrong ends the request with that error. */
async function sendPieces(
  outgoing: ClientRequest,
  pieces: AsyncIterable<Uint8Array>,
  /** `waitsForUs`: the next piece is not there yet, which is not the server's fault. */
  state: { waitsForUs: boolean; progressed(): void },
): Promise<void> {
  let over = false;
  let wake = (): void => {};
  const end = (): void => {
    over = true;
    wake();
  };
  outgoing.once('response', end);
  outgoing.once('close', end);
  outgoing.on('drain', () => wake());
  try {
    state.waitsForUs = true;
    for await (const piece of pieces) {
      state.waitsForUs = false;
      if (over) return;
      state.progressed();
      if (!outgoing.write(piece) && !over) {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
        state.progressed();
      }
      if (over) return;
      state.waitsForUs = true;
    }
    outgoing.end();
  } catch (error) {
    outgoing.destroy(error instanceof Error ? error : new Error(String(error)));
  } finally {
    state.waitsForUs = false;
    state.progressed();
  }
}

/** Drops a body that nobody wants; a short one is read, so that its connection serves the next request. */
export function discard(answer: Answer): void {
  answer.body.on('error', () => {});
  if (Number(header(answer, 'content-length') ?? Number.NaN) <= 65_536) answer.body.resume();
  else answer.body.destroy();
}

/**
 * The pieces of a body. The time that the reader of this generator takes does not count as the server's.
 * Throws `RequestError` when the connection breaks or `idle` milliseconds pass without a byte.
 */
export async function* chunks(answer: Answer, idle: number, signal?: AbortSignal): AsyncGenerator<Buffer, void, void> {
  const { body, url } = answer;
  let waiting = true;
  const timer = setTimeout(function check() {
    if (!waiting) return void timer.refresh();
    const text = `${url.host}: sent nothing for ${idle / 1000} s`;
    body.destroy(new RequestError('NETWORK', text, { transient: true, reason: 'ETIMEDOUT' }));
  }, idle);
  try {
    for await (const chunk of body) {
      waiting = false;
      yield chunk as Buffer;
      waiting = true;
      timer.refresh();
    }
  } catch (error) {
    throwIfInterrupted(signal);
    throw connectionError(error, url);
  } finally {
    clearTimeout(timer);
    body.destroy();
  }
}

/** A whole body of at most `limit` bytes. Throws `REGISTRY` where there is more. */
export async function readBody(
  answer: Answer,
  options: { limit: number; idle: number; signal?: AbortSignal | undefined },
): Promise<Buffer> {
  const parts: Buffer[] = [];
  let length = 0;
  for await (const chunk of chunks(answer, options.idle, options.signal)) {
    length += chunk.length;
    if (length > options.limit) {
      throw new RequestError(
        'REGISTRY',
        `${answer.url.host}: sends more than ${options.limit} bytes where less is allowed`,
      );
    }
    parts.push(chunk);
  }
  return parts.length === 1 ? (parts[0] as Buffer) : Buffer.concat(parts, length);
}
