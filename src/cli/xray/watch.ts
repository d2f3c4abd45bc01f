/**
 * `xray --watch`: serves the page on 127.0.0.1, below a path that only who started it knows, and sends what has changed
 * (server-sent events, HTML standard "Server-sent events").
 */
import { randomBytes, timingSafeEqual } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Xray } from '../../container/xray/xray.ts';
import { codeOf, messageOf, TsrunError } from '../../error.ts';
import type { Language } from '../options/language.ts';
import { renderSections, renderXrayHtml } from './html.ts';
import { sheetOfXray } from './sheet.ts';
import { xrayWords } from './words.ts';

/** Milliseconds between two looks at the container. */
const interval = 1000;

export interface WatchOptions {
  /** Looks at the container; throws where it has ended. */
  look: () => Xray;
  /** 0: one that is free. */
  port: number;
  language: Language;
}

export interface XrayServer {
  /** Where a browser finds it. */
  address: string;
  close(): Promise<void>;
}

/** Listens. Throws `CONFLICT` where the port is somebody's. */
export async function serveXray(options: WatchOptions): Promise<XrayServer> {
  const token = randomBytes(24).toString('base64url');
  const watcher = new Watcher(options, token);
  const server = createServer((request, response) => watcher.answer(request, response));
  await listening(server, options.port);
  const { port } = server.address() as AddressInfo;
  watcher.port = port;
  return {
    address: `http://127.0.0.1:${port}/${token}/`,
    close: () => {
      watcher.close();
      return new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      });
    },
  };
}

function listening(server: Server, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (cause) => {
      const hint = codeOf(cause) === 'EADDRINUSE' ? 'give another port, or none to take one that is free' : undefined;
      reject(new TsrunError('CONFLICT', `cannot listen on 127.0.0.1:${port}: ${messageOf(cause)}`, { cause, hint }));
    });
    server.listen(port, '127.0.0.1', () => resolve());
  });
}

class Watcher {
  port = 0;
  private readonly clients = new Set<ServerResponse>();
  private timer: NodeJS.Timeout | undefined;
  private shown = new Map<string, string>();
  private last: Xray | undefined;

  constructor(
    private readonly options: WatchOptions,
    private readonly token: string,
  ) {}

  answer(request: IncomingMessage, response: ServerResponse): void {
    const [, token = '', name] = (request.url ?? '').split('/');
    // A name of another site that leads to 127.0.0.1 is no way in.
    const isLocal = [`127.0.0.1:${this.port}`, `localhost:${this.port}`].includes(request.headers.host ?? '');
    const isKnown = isLocal && request.method === 'GET' && equal(token, this.token);
    if (!isKnown) refuse(response);
    else if (name === '') this.page(response);
    else if (name === 'events') this.events(response);
    else refuse(response);
  }

  private page(response: ServerResponse): void {
    const found = this.look() ?? this.last;
    if (found === undefined) {
      response.writeHead(410, headers('text/plain')).end(xrayWords[this.options.language].ended);
      return;
    }
    const nonce = randomBytes(16).toString('base64');
    response.writeHead(200, headers('text/html'));
    response.end(renderXrayHtml(found, this.options.language, { live: { nonce }, taken: new Date() }));
  }

  private events(response: ServerResponse): void {
    response.writeHead(200, headers('text/event-stream'));
    response.flushHeaders();
    this.clients.add(response);
    response.on('close', () => this.clients.delete(response));
    // A page that was open before gets everything again.
    const all = [...this.shown].map(([name, html]) => ({ name, html }));
    if (all.length > 0) response.write(message(all));
    this.timer ??= setTimeout(() => this.tick(), 0);
  }

  /** Looks, tells, and looks again as long as somebody listens. */
  private tick(): void {
    this.timer = undefined;
    if (this.clients.size === 0) return;
    const found = this.look();
    if (found === undefined) {
      for (const client of this.clients) {
        client.end(`event: ended\ndata: ${xrayWords[this.options.language].ended}\n\n`);
      }
      return;
    }
    const { language } = this.options;
    const sections = renderSections(found, sheetOfXray(found, language), xrayWords[language]);
    const changed = sections.filter(({ name, html }) => this.shown.get(name) !== html);
    this.shown = new Map(sections.map(({ name, html }) => [name, html]));
    if (changed.length > 0) for (const client of this.clients) client.write(message(changed));
    this.timer = setTimeout(() => this.tick(), interval);
  }

  /** Undefined: it has ended. */
  private look(): Xray | undefined {
    try {
      this.last = this.options.look();
      return this.last;
    } catch {
      return undefined;
    }
  }

  close(): void {
    clearTimeout(this.timer);
    for (const client of this.clients) client.end();
  }
}

function message(sections: readonly { name: string; html: string }[]): string {
  return `data: ${JSON.stringify(sections)}\n\n`;
}

function headers(type: string): Record<string, string> {
  return {
    'content-type': `${type}; charset=utf-8`,
    'cache-control': 'no-store',
    'referrer-policy': 'no-referrer',
    'x-content-type-options': 'nosniff',
    'x-frame-options': 'DENY',
  };
}

function refuse(response: ServerResponse): void {
  response.writeHead(404, headers('text/plain')).end('not found\n');
}

function equal(given: string, wanted: string): boolean {
  const [left, right] = [Buffer.from(given), Buffer.from(wanted)];
  return left.length === right.length && timingSafeEqual(left, right);
}
