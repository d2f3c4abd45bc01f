/**
 * Proxies as curl and Go read them from the environment: HTTPS_PROXY, HTTP_PROXY and NO_PROXY, lower case too. Only
 * http:// proxies; what goes to https hosts passes through a CONNECT tunnel (RFC 9110, 9.3.6), end to end encrypted.
 */
import { request as httpRequest } from 'node:http';
import type { Agent, AgentOptions } from 'node:https';
import { BlockList, isIP } from 'node:net';
import { TsrunError } from '../error.ts';
import { RequestError } from './errors.ts';
import { isLoopback } from './mirrors.ts';

export type Environment = Readonly<Record<string, string | undefined>>;

function variable(environment: Environment, name: string): string {
  return environment[name.toLowerCase()] || environment[name] || '';
}

function familyOf(address: string): 'ipv4' | 'ipv6' {
  return isIP(address) === 6 ? 'ipv6' : 'ipv4';
}

/** Whether one entry of NO_PROXY covers the host: `*`, a name with its subdomains, an address, a network, with a port or not. */
function isExempt(entry: string, hostname: string, port: string): boolean {
  if (entry === '*') return true;
  const [network = '', bits] = entry.split('/');
  if (bits !== undefined && isIP(network) !== 0) {
    if (isIP(hostname) === 0 || !/^\d{1,3}$/.test(bits) || Number(bits) > (isIP(network) === 4 ? 32 : 128))
      return false;
    const list = new BlockList();
    list.addSubnet(network, Number(bits), familyOf(network));
    return list.check(hostname, familyOf(hostname));
  }
  const [, name = entry, entryPort] = /^(.*?)(?::(\d+))?$/.exec(isIP(entry) === 6 ? `[${entry}]` : entry) ?? [];
  if (entryPort !== undefined && entryPort !== port) return false;
  const bare = name
    .replace(/^\*?\./, '')
    .replace(/^\[|\]$/g, '')
    .toLowerCase();
  return hostname === bare || (isIP(bare) === 0 && hostname.endsWith(`.${bare}`));
}

/** The proxy for `url`, if there is one. This machine's own addresses never go through it. Throws `USAGE` for a proxy that is no http URL. */
export function proxyFor(url: URL, environment: Environment = process.env): URL | undefined {
  const name = url.protocol === 'https:' ? 'HTTPS_PROXY' : 'HTTP_PROXY';
  const text = variable(environment, name);
  if (text === '' || isLoopback(url.hostname)) return undefined;
  const hostname = url.hostname.replace(/^\[|\]$/g, '');
  const port = url.port === '' ? (url.protocol === 'https:' ? '443' : '80') : url.port;
  const exempt = variable(environment, 'NO_PROXY')
    .split(/[\s,]+/)
    .some((entry) => entry !== '' && isExempt(entry, hostname, port));
  if (exempt) return undefined;
  const withScheme = text.includes('://') ? text : `http://${text}`;
  const proxy = URL.canParse(withScheme) ? new URL(withScheme) : undefined;
  if (proxy === undefined || proxy.protocol !== 'http:') {
    throw new TsrunError('USAGE', `${name}: ${JSON.stringify(text)} is not the URL of an http proxy`, {
      hint: `write ${name}=http://host:port; other kinds of proxy are not supported`,
    });
  }
  return proxy;
}

/** The header that tells the proxy who asks; none where its URL names nobody. */
export function proxyAuthorization(proxy: URL): Record<string, string> {
  if (proxy.username === '') return {};
  const pair = `${decodeURIComponent(proxy.username)}:${decodeURIComponent(proxy.password)}`;
  return { 'proxy-authorization': `Basic ${Buffer.from(pair).toString('base64')}` };
}

/** An agent whose connections are TLS inside a tunnel through `proxy`. */
export async function tunnelAgent(proxy: URL, options: AgentOptions): Promise<Agent> {
  const [https, tls] = await Promise.all([import('node:https'), import('node:tls')]);

  class TunnelAgent extends https.Agent {
    override createConnection(...[target, callback]: Parameters<Agent['createConnection']>): undefined {
      const authority = `${target.host}:${target.port}`;
      const connect = httpRequest({
        host: proxy.hostname.replace(/^\[|\]$/g, ''),
        port: proxy.port || 80,
        method: 'CONNECT',
        path: authority,
        headers: { host: authority, ...proxyAuthorization(proxy) },
        agent: false,
      });
      // The type has no form for a connection that failed: its second argument is ignored then.
      const fail = (error: Error): void => callback?.(error, connect as never);
      connect.once('error', (error) => {
        fail(
          new RequestError('NETWORK', `cannot reach ${authority} through the proxy ${proxy.host}: ${error.message}`, {
            cause: error,
          }),
        );
      });
      connect.once('connect', (answer, socket) => {
        if (answer.statusCode !== 200) {
          socket.destroy();
          fail(
            new RequestError(
              'NETWORK',
              `the proxy ${proxy.host} refuses to connect to ${authority}: ${answer.statusCode} ${answer.statusMessage}`,
            ),
          );
          return;
        }
        const servername = isIP(target.host ?? '') === 0 ? { servername: target.host ?? '' } : {};
        callback?.(null, tls.connect({ ...this.options, ...servername, socket }));
      });
      connect.end();
    }
  }
  return new TunnelAgent(options);
}
