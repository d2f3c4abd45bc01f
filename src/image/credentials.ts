/**
 * Credentials as docker keeps them: `$DOCKER_CONFIG/config.json` (by default ~/.docker), in the file itself (`auths`) or
 * with a helper program (`credHelpers` by host, `credsStore` for the rest; credential-helper.ts).
 */
import { realpathSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { readOwnText } from '../linux/own-file.ts';
import { callHelper } from './credential-helper.ts';
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
export const dockerHubKey = 'https://index.docker.io/v1/';
const dockerHubHosts = new Set(['docker.io', 'index.docker.io', 'registry-1.docker.io']);
/** What a helper says in place of a name when its secret is an identity token. */
export const tokenUser = '<token>';

/** The file that docker login writes. */
export function dockerConfigPath(): string {
  return join(process.env.DOCKER_CONFIG || join(homedir(), '.docker'), 'config.json');
}

/** `https://host:5000/v1/` -> `host:5000`: old versions wrote URLs as keys, and people write them. */
export function hostOfKey(key: string): string {
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

/** No credentials is an answer, not an error. Throws `UNAUTHORIZED` when the helper fails. */
async function askHelper(name: string, server: string, config: string): Promise<Credentials | undefined> {
  const answer = await callHelper({ name, action: 'get', server, stdin: server, config });
  if (answer === undefined) return undefined;
  const json = parseJson(answer, { name: `docker-credential-${name}`, code: 'UNAUTHORIZED' });
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
    // People link to the file from elsewhere.
    text = readOwnText(realpathSync(path));
  } catch (error) {
    if (['ENOENT', 'ENOTDIR', 'EACCES'].includes(errorCode(error) ?? '')) return undefined;
    throw error;
  }
  const json = parseJson(text, { name: path, code: 'USAGE', hint: 'correct or remove the file' });
  for (const [key, helper] of json.get('credHelpers').entries(maxEntries)) {
    if (matchesHost(key, host)) return await askHelper(helper.string(), serverName(host), path);
  }
  const store = json.get('credsStore').optionalString();
  if (store) {
    const found = await askHelper(store, serverName(host), path);
    if (found !== undefined) return found;
  }
  const auths = json.get('auths').entries(maxEntries);
  const exact = auths.find(([key]) => key === host) ?? auths.find(([key]) => matchesHost(key, host));
  return exact === undefined ? undefined : parseAuth(exact[1]);
}

/** How docker calls a registry's host where it keeps credentials. */
export function serverName(host: string): string {
  return dockerHubHosts.has(host) ? dockerHubKey : host;
}
