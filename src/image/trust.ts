/**
 * Which certificates a registry's connection trusts. Node's own list of authorities comes first: it costs nothing. The
 * system's bundle (25 ms to parse) is read when that was not enough, as are the files that docker, podman and tsrun look
 * for by host: `certs.d/<host[:port]>/*.crt` for authorities, `*.cert` with `*.key` for a client's own.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { SecureContextOptions } from 'node:tls';

const certificateDirectories = ['/etc/tsrun/certs.d', '/etc/containers/certs.d', '/etc/docker/certs.d'];

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

/**
 * What tls.connect needs for `host` (with its port, as in the reference).
 * @param wide whether to read the system's bundle too
 */
export async function trustOptions(
  host: string,
  wide: boolean,
  directories: readonly string[] = certificateDirectories,
): Promise<SecureContextOptions> {
  const authorities: string[] = [];
  const own: SecureContextOptions = {};
  for (const directory of directories) {
    const path = join(directory, host);
    for (const name of filesOf(path)) {
      const text = readIfThere(join(path, name));
      if (text === undefined) continue;
      if (name.endsWith('.crt')) authorities.push(text);
      const key = name.endsWith('.cert') ? readIfThere(join(path, name.replace(/cert$/, 'key'))) : undefined;
      if (key !== undefined) Object.assign(own, { cert: text, key });
    }
  }
  if (authorities.length === 0 && !wide) return own;
  const { rootCertificates } = await import('node:tls');
  return { ...own, ca: [...rootCertificates, ...systemAuthorities(), ...authorities] };
}
