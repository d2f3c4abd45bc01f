/**
 * Credentials as docker keeps them: `$DOCKER_CONFIG/config.json` (by default ~/.docker), in the file itself (`auths`) or
 * with a helper program (`credHelpers` by host, `credsStore` for the rest; protocol of docker-credential-helpers: the
 * server's name on stdin, `{"Username": …, "Secret": …}` on stdout).
 */
import { readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { messageOf, TsrunError } from '../error.ts';
import { errorCode } from './errors.ts';
import { type Json, parseJson } from './json.ts';

export interface Credentials {
  username: string;
  password: string;
  /** A refresh token that stands for both (OAuth 2). */
  identityToken?: string;
}

const maxEntries = 10_000;
/** The key under which docker keeps what belongs to docker.io. */
const dockerHubKey = 'https://index.docker.io/v1/';
const dockerHubHosts = new Set(['docker.io', 'index.docker.io', 'registry-1.docker.io']);
/** What a helper says in place of a name when its secret is an identity token. */
const tokenUser = '<token>';
const helperTimeout = 60_000;

/** The file that docker login writes. */
export function dockerConfigPath(): string {
  return join(process.env.DOCKER_CONFIG || join(homedir(), '.docker'), 'config.json');
}

/** `https://host:5000/v1/` -> `host:5000`: old versions wrote URLs as keys. */
function hostOfKey(key: string): string {
  return key.replace(/^https?:\/\//, '').replace(/\/.*$/, '');
}

function matchesHost(key: string, host: string): boolean {
  const keyHost = hostOfKey(key);
  return keyHost === host || (dockerHubHosts.has(keyHost) && dockerHubHosts.has(host));
}

function parseAuth(entry: Json): Credentials | undefined {
  const identityToken = entry.get('identitytoken').optionalString();
  let username = entry.get('username').optionalString() ?? '';
  let password = entry.get('password').optionalString() ?? '';
  const encoded = entry.get('auth').optionalString();
  if (encoded) {
    const pair = Buffer.from(encoded, 'base64').toString('utf8');
    const colon = pair.indexOf(':');
    if (colon === -1) throw entry.get('auth').fail('is not the base64 of user:password');
    username = pair.slice(0, colon);
    // docker trims the padding that old versions wrote
    password = pair.slice(colon + 1).replace(/\0+$/, '');
  }
  if (identityToken) return { username, password, identityToken };
  return username === '' ? undefined : { username, password };
}

/** Runs `docker-credential-<name> get`. No credentials is an answer, not an error. Throws `UNAUTHORIZED` when it fails. */
async function askHelper(name: string, server: string): Promise<Credentials | undefined> {
  const program = `docker-credential-${name}`;
  const failed = (why: string, cause?: unknown): TsrunError =>
    new TsrunError('UNAUTHORIZED', `the credential helper ${program} failed for ${server}: ${why}`, {
      cause,
      hint: `see credsStore and credHelpers in ${dockerConfigPath()}`,
    });
  if (!/^[\w.-]+$/.test(name)) throw failed('that is no name of a helper');
  const { execFile } = await import('node:child_process');
  const answer = await new Promise<{ error: unknown; stdout: string }>((resolve) => {
    const child = execFile(program, ['get'], { timeout: helperTimeout, maxBuffer: 1024 * 1024 }, (error, stdout) =>
      resolve({ error, stdout }),
    );
    // A helper that never reads its input must not end this process.
    child.stdin?.on('error', () => {});
    child.stdin?.end(server);
  });
  if (answer.error !== null) {
    if (errorCode(answer.error) === 'ENOENT') throw failed('it is not in PATH', answer.error);
    if (/not found|no credentials/i.test(answer.stdout)) return undefined;
    throw failed(answer.stdout.trim().slice(0, 500) || messageOf(answer.error), answer.error);
  }
  const json = parseJson(answer.stdout, { name: program, code: 'UNAUTHORIZED' });
  const username = json.get('Username').string();
  const secret = json.get('Secret').string();
  if (username === tokenUser) return { username: '', password: '', identityToken: secret };
  return username === '' ? undefined : { username, password: secret };
}

/**
 * What docker's configuration has for a registry's host; undefined: nothing, ask anonymously.
 * Throws `USAGE` where the file does not read, `UNAUTHORIZED` where its helper fails.
 */
export async function credentialsFor(
  host: string,
  path: string = dockerConfigPath(),
): Promise<Credentials | undefined> {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    if (['ENOENT', 'ENOTDIR', 'EACCES'].includes(errorCode(error) ?? '')) return undefined;
    throw error;
  }
  const json = parseJson(text, { name: path, code: 'USAGE', hint: 'correct or remove the file' });
  for (const [key, helper] of json.get('credHelpers').entries(maxEntries)) {
    if (matchesHost(key, host)) return await askHelper(helper.string(), serverName(host));
  }
  const store = json.get('credsStore').optionalString();
  if (store) {
    const found = await askHelper(store, serverName(host));
    if (found !== undefined) return found;
  }
  const auths = json.get('auths').entries(maxEntries);
  const exact = auths.find(([key]) => key === host) ?? auths.find(([key]) => matchesHost(key, host));
  return exact === undefined ? undefined : parseAuth(exact[1]);
}

function serverName(host: string): string {
  return dockerHubHosts.has(host) ? dockerHubKey : host;
}
