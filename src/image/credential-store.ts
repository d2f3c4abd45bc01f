/**
 * Keeping credentials where docker keeps them: with the helper that `credHelpers` or `credsStore` of its configuration names, else
 * in the file itself. What else is in the file stays as it is.
 */

import { chownSync, mkdirSync, realpathSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { messageOf, TsrunError } from '../error.ts';
import { readOwnText } from '../linux/own-file.ts';
import { randomHex } from '../linux/random.ts';
import { callHelper } from './credential-helper.ts';
import { type Credentials, dockerConfigPath, hostOfKey, tokenUser } from './credentials.ts';
import { errorCode } from './errors.ts';
import { type Json, parseJson } from './json.ts';

const maxEntries = 10_000;

type Document = Record<string, unknown>;

const isDocument = (value: unknown): value is Document =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

class ConfigFile {
  readonly #path: string;
  readonly #document: Document;
  readonly #json: Json;

  constructor(readonly path: string) {
    this.#path = resolveLinks(path);
    const text = readIfThere(this.#path) ?? '';
    // docker takes an empty file for an empty configuration.
    const content = text.trim() === '' ? '{}' : text;
    this.#json = parseJson(content, { name: path, code: 'USAGE', hint: 'correct or remove the file' });
    const document: unknown = JSON.parse(content);
    if (!isDocument(document)) throw this.#json.fail('must be an object');
    this.#document = document;
  }

  /** The helper for a server, if there is one. */
  helperFor(server: string): string | undefined {
    const own = this.#json
      .get('credHelpers')
      .entries(maxEntries)
      .find(([key]) => key === server || hostOfKey(key) === hostOfKey(server));
    return own?.[1].string() || this.#json.get('credsStore').optionalString() || undefined;
  }

  /** Servers with an entry. */
  get servers(): string[] {
    return this.#json.get('auths').keys(maxEntries);
  }

  set(server: string, entry: Document): void {
    const auths = isDocument(this.#document.auths) ? this.#document.auths : {};
    this.#document.auths = { ...auths, [server]: entry };
    this.#write();
  }

  delete(servers: readonly string[]): void {
    if (!isDocument(this.#document.auths)) return;
    const left = Object.entries(this.#document.auths).filter(([server]) => !servers.includes(server));
    this.#document.auths = Object.fromEntries(left);
    this.#write();
  }

  /** Whole or not at all: somebody may be reading it. */
  #write(): void {
    const temporary = `${this.#path}.${randomHex(6)}`;
    try {
      mkdirSync(dirname(this.#path), { recursive: true, mode: 0o700 });
      const before = statSync(this.#path, { throwIfNoEntry: false });
      const text = `${JSON.stringify(this.#document, undefined, '\t')}`;
      writeFileSync(temporary, text, { mode: before === undefined ? 0o600 : before.mode & 0o777 });
      // With sudo it is the user's file and stays so.
      if (before !== undefined) chownSync(temporary, before.uid, before.gid);
      renameSync(temporary, this.#path);
    } catch (cause) {
      rmSync(temporary, { force: true });
      throw new TsrunError('PERMISSION', `cannot write "${this.path}": ${errorCode(cause)}`, {
        cause,
        hint: 'set DOCKER_CONFIG to a directory that can be written',
      });
    }
  }
}

function readIfThere(path: string): string | undefined {
  try {
    return readOwnText(path);
  } catch (cause) {
    if (cause instanceof TsrunError) throw cause;
    if (errorCode(cause) === 'ENOENT') return undefined;
    throw new TsrunError('PERMISSION', `cannot read "${path}": ${errorCode(cause)}`, { cause });
  }
}

/** People keep the file elsewhere and link to it. */
function resolveLinks(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return path;
  }
}

/**
 * Keeps credentials for `server` (as docker calls it: `https://index.docker.io/v1/`, `localhost:5000`). Returns the file when they
 * stand in it readable; undefined when a helper has them. Throws `USAGE`, `UNAUTHORIZED` where the helper fails, `PERMISSION`.
 */
export async function storeCredentials(
  server: string,
  credentials: Credentials,
  path: string = dockerConfigPath(),
): Promise<string | undefined> {
  const config = new ConfigFile(path);
  const { username, password, identityToken } = credentials;
  const name = config.helperFor(server);
  if (name !== undefined) {
    const secret =
      identityToken === undefined
        ? { Username: username, Secret: password }
        : { Username: tokenUser, Secret: identityToken };
    const stdin = JSON.stringify({ ServerURL: server, ...secret });
    const stored = await callHelper({ name, action: 'store', server, stdin, config: path });
    if (stored === undefined) {
      throw new TsrunError('UNAUTHORIZED', `the credential helper docker-credential-${name} keeps nothing`);
    }
    // That there is something, without what it is.
    config.set(server, {});
    return undefined;
  }
  // With a refresh token the password is not kept.
  const pair = `${username}:${identityToken === undefined ? password : ''}`;
  const auth = Buffer.from(pair).toString('base64');
  config.set(server, { auth, ...(identityToken === undefined ? {} : { identitytoken: identityToken }) });
  return identityToken === undefined ? path : undefined;
}

/**
 * Forgets the credentials of any of `servers`, which are names of one registry. Returns what went wrong where helpers erased none
 * of them: that they know nothing of the older names is no failure. Throws `USAGE`, `PERMISSION`.
 */
export async function eraseCredentials(
  servers: readonly string[],
  path: string = dockerConfigPath(),
): Promise<string[]> {
  const config = new ConfigFile(path);
  const failures: string[] = [];
  for (const server of servers) {
    const name = config.helperFor(server);
    if (name === undefined) continue;
    try {
      await callHelper({ name, action: 'erase', server, stdin: server, config: path });
    } catch (error) {
      failures.push(messageOf(error));
    }
  }
  if (config.servers.some((server) => servers.includes(server))) config.delete(servers);
  return failures.length === servers.length ? failures : [];
}
