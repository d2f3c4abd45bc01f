/**
 * Which certificates a registry's connection trusts. Node's own list of authorities comes first: it costs nothing. The
 * system's bundle (25 ms to parse) is read when that was not enough, as are the files that docker, podman and tsrun look
 * for by host: `certs.d/<host[:port]>/*.crt` for authorities, `*.cert` with `*.key` for a client's own.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { SecureContextOptions } from 'node:tls';
import { TsrunError } from '../error.ts';
import { errorCode } from './errors.ts';

/** The system's, then the user's (of docker without root, and of podman). */
function certificateDirectories(): string[] {
  const { HOME, XDG_CONFIG_HOME } = process.env;
  const user = XDG_CONFIG_HOME || (HOME ? join(HOME, '.config') : '');
  const places = ['/etc', ...(user === '' ? [] : [user])];
  return places.flatMap((place) => ['tsrun', 'containers', 'docker'].map((name) => join(place, name, 'certs.d')));
}

/** Debian and Alpine, Fedora, openSUSE. */
const systemBundles = [
  '/etc/ssl/certs/ca-certificates.crt',
  '/etc/pki/tls/certs/ca-bundle.crt',
  '/etc/ssl/ca-bundle.pem',
];

/** Codes of a certificate whose authority is unknown: a longer list of authorities may help. */
export function isUntrusted(reason: string | undefined): boolean {
  return reason !== undefined && /^(SELF_SIGNED_CERT_IN_CHAIN|DEPTH_ZERO_SELF_SIGNED_CERT|UNABLE_TO_.*)$/.test(reason);
}

function filesOf(directory: string): string[] {
  try {
    return readdirSync(directory).sort();
  } catch {
    return [];
  }
}

function readIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return undefined;
  }
}

function systemAuthorities(): string[] {
  const named = process.env.SSL_CERT_FILE;
  for (const path of named ? [named] : systemBundles) {
    const bundle = readIfThere(path);
    if (bundle !== undefined) return [bundle];
  }
  return [];
}

/** What a directory holds for a host. Throws `USAGE` for half of a client's certificate, as docker and podman do. */
function readCertificates(directory: string): { authorities: string[]; own: SecureContextOptions } {
  const authorities: string[] = [];
  const own: SecureContextOptions = {};
  const names = filesOf(directory);
  const lacks = (missing: string, of: string): TsrunError =>
    new TsrunError('USAGE', `"${directory}" has ${of} and no ${missing}`, {
      hint: 'a client needs NAME.cert and NAME.key; the certificate of an authority is called NAME.crt',
    });
  for (const name of names) {
    const stem = name.replace(/\.[^.]*$/, '');
    if (name.endsWith('.key') && !names.includes(`${stem}.cert`)) throw lacks(`${stem}.cert`, name);
    if (name.endsWith('.cert') && !names.includes(`${stem}.key`)) throw lacks(`${stem}.key`, name);
    const text = name.endsWith('.crt') || name.endsWith('.cert') ? readIfThere(join(directory, name)) : undefined;
    if (text === undefined) continue;
    if (name.endsWith('.crt')) {
      authorities.push(text);
      continue;
    }
    const key = readIfThere(join(directory, `${stem}.key`));
    if (key !== undefined) Object.assign(own, { cert: text, key });
  }
  return { authorities, own };
}

/** How certs.d may call the host of a URL: with its port also where that is the usual one, and docker.io by its own name. */
function namesOf(url: URL): string[] {
  const names = url.port === '' ? [url.hostname, `${url.hostname}:443`] : [url.host];
  return url.hostname === 'registry-1.docker.io' ? [...names, 'docker.io', 'index.docker.io'] : names;
}

/** The directory that `--cert-dir` names. Throws `USAGE` where it cannot be read. */
export function checkCertificateDirectory(path: string): string {
  try {
    readdirSync(path);
    return path;
  } catch (cause) {
    throw new TsrunError('USAGE', `cannot read the directory of certificates "${path}": ${errorCode(cause)}`, {
      cause,
      hint: 'it holds NAME.crt of authorities, and NAME.cert with NAME.key of a client',
    });
  }
}

/**
 * What tls.connect needs for the host of `url`.
 * @param wide whether to read the system's bundle too
 * @param own a directory with the files themselves, instead of those that are looked for by host
 */
export async function trustOptions(
  url: URL,
  wide: boolean,
  own?: string,
  directories: readonly string[] = certificateDirectories(),
): Promise<SecureContextOptions> {
  const places =
    own === undefined ? directories.flatMap((place) => namesOf(url).map((name) => join(place, name))) : [own];
  const found = places.map(readCertificates);
  const authorities = found.flatMap((one) => one.authorities);
  const client: SecureContextOptions = Object.assign({}, ...found.map((one) => one.own));
  if (authorities.length === 0 && !wide) return client;
  const { rootCertificates } = await import('node:tls');
  return { ...client, ca: [...rootCertificates, ...systemAuthorities(), ...authorities] };
}
