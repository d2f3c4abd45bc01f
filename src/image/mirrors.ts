/**
 * Which addresses serve a registry, and which of them may be spoken to without TLS: `TSRUN_MIRRORS` and the settings
 * files (`configPaths`):
 *
 *     {"mirrors": {"docker.io": ["https://mirror.example/"]}, "insecure": ["registry.example:5000"]}
 *
 * A host's mirrors of the environment replace those of the user's file, which replace those of the system's.
 */
import { readFileSync } from 'node:fs';
import { TsrunError } from '../error.ts';
import { configPaths } from '../linux/paths.ts';
import { errorCode } from './errors.ts';
import { parseJson } from './json.ts';

/** What the user said about registries. */
export interface RegistrySettings {
  /** URLs by the registry's host, in the order in which they are tried. */
  mirrors: Map<string, URL[]>;
  /** `host` or `host:port` that may be spoken to without TLS, or with a certificate that nobody knows. */
  insecure: Set<string>;
}

/** An address that serves a registry's images. */
export interface Endpoint {
  /** Ends with a slash; `v2/…` is appended. */
  base: URL;
  isMirror: boolean;
  /** The registry that it stands for: `docker.io`. */
  domain: string;
}

const maxSettings = 1000;

/** Docker's registry answers at another name than images carry. */
const servingHost = new Map([['docker.io', 'registry-1.docker.io']]);

/** Whether a host of a URL is this machine itself: what is said to it crosses no network. */
export function isLoopback(hostname: string): boolean {
  return hostname === 'localhost' || /^127(\.\d{1,3}){3}$/.test(hostname) || hostname === '[::1]';
}

/** Whether the settings allow this host without TLS. An entry without port covers all ports. */
export function isInsecure(settings: RegistrySettings, url: URL): boolean {
  return settings.insecure.has(url.hostname) || settings.insecure.has(withPort(url));
}

function withPort(url: URL): string {
  const port = url.port === '' ? (url.protocol === 'http:' ? '80' : '443') : url.port;
  return `${url.hostname}:${port}`;
}

/** Whether plain http to `url` is allowed. */
export function allowsPlainHttp(settings: RegistrySettings, url: URL): boolean {
  return isLoopback(url.hostname) || isInsecure(settings, url);
}

function parseMirror(text: string, origin: string): URL {
  const problem = (message: string): TsrunError =>
    new TsrunError('USAGE', `${origin}: ${JSON.stringify(text)} ${message}`, {
      hint: 'write the mirror as https://host[:port], or http:// for one on this machine',
    });
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || (url.protocol !== 'http:' && url.protocol !== 'https:')) throw problem('is no http(s) URL');
  if (url.username !== '' || url.password !== '') throw problem('must not hold a password: use tsrun login');
  if (url.search !== '' || url.hash !== '') throw problem('must not have a query or fragment');
  if (!url.pathname.endsWith('/')) url.pathname += '/';
  return url;
}

function readSettingsFile(path: string, settings: RegistrySettings): void {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    if (['ENOENT', 'ENOTDIR', 'EACCES'].includes(errorCode(error) ?? '')) return;
    throw error;
  }
  const json = parseJson(text, { name: path, code: 'USAGE', hint: 'correct or remove the file' });
  for (const [host, urls] of json.get('mirrors').entries(maxSettings)) {
    settings.mirrors.set(
      normalHost(host),
      urls.strings(maxSettings).map((url) => parseMirror(url, path)),
    );
  }
  for (const host of json.get('insecure').strings(maxSettings)) settings.insecure.add(host.toLowerCase());
}

function normalHost(host: string): string {
  return host === 'index.docker.io' || host === 'registry-1.docker.io' ? 'docker.io' : host;
}

/**
 * Reads `TSRUN_MIRRORS` ("docker.io=http://127.0.0.1:5000", comma separated, a host may occur several times) and the
 * settings files. Throws `USAGE` naming the variable or the file that does not read.
 */
export function loadRegistrySettings(
  paths: readonly string[] = configPaths(),
  environment: string | undefined = process.env.TSRUN_MIRRORS,
): RegistrySettings {
  const settings: RegistrySettings = { mirrors: new Map(), insecure: new Set() };
  for (const path of paths) readSettingsFile(path, settings);
  const fromEnvironment = new Map<string, URL[]>();
  for (const item of (environment ?? '').split(',')) {
    const entry = item.trim();
    if (entry === '') continue;
    const equals = entry.indexOf('=');
    if (equals < 1) {
      throw new TsrunError('USAGE', `TSRUN_MIRRORS: ${JSON.stringify(entry)} has no "="`, {
        hint: 'write TSRUN_MIRRORS=docker.io=http://127.0.0.1:5000',
      });
    }
    const host = normalHost(entry.slice(0, equals));
    const urls = fromEnvironment.get(host) ?? [];
    urls.push(parseMirror(entry.slice(equals + 1), 'TSRUN_MIRRORS'));
    fromEnvironment.set(host, urls);
  }
  for (const [host, urls] of fromEnvironment) settings.mirrors.set(host, urls);
  return settings;
}

/**
 * The addresses to try for a registry: its mirrors in order, then itself.
 * Throws `USAGE` for a mirror whose http:// is neither loopback nor named insecure.
 */
export function endpointsFor(domain: string, settings: RegistrySettings): Endpoint[] {
  const endpoints: Endpoint[] = [];
  for (const base of settings.mirrors.get(domain) ?? []) {
    if (base.protocol === 'http:' && !allowsPlainHttp(settings, base)) {
      throw new TsrunError('USAGE', `the mirror ${base.href} of ${domain} is plain http on another machine`, {
        hint:
          'anyone on the way could read and change what it answers: use https, ' +
          `or name it in ${configPaths().at(-1)}: {"insecure": ["${base.host}"]}`,
      });
    }
    endpoints.push({ base, isMirror: true, domain });
  }
  endpoints.push(registryEndpoint(domain));
  return endpoints;
}

/** The registry itself, without its mirrors. This machine's own registries speak http unless they answer otherwise. */
export function registryEndpoint(domain: string): Endpoint {
  const host = servingHost.get(domain) ?? domain;
  const secure = new URL(`https://${host}/`);
  const scheme = isLoopback(secure.hostname) ? 'http' : 'https';
  return { base: new URL(`${scheme}://${host}/`), isMirror: false, domain };
}
