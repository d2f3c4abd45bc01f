import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { credentialsFor, dockerConfigPath } from '../../../src/image/credentials.ts';

let directory: string;
const path = process.env.PATH;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'tsrun-credentials-'));
  process.env.PATH = `${directory}:${path}`;
});
afterEach(() => {
  process.env.PATH = path;
  delete process.env.DOCKER_CONFIG;
  rmSync(directory, { recursive: true });
});

function config(content: unknown): string {
  const file = join(directory, 'config.json');
  writeFileSync(file, typeof content === 'string' ? content : JSON.stringify(content));
  return file;
}

/** A helper as docker has them: a program in PATH that gets the server's name on stdin. */
function helper(name: string, script: string): void {
  const file = join(directory, `docker-credential-${name}`);
  writeFileSync(file, `#!/bin/sh\n${script}\n`);
  chmodSync(file, 0o755);
}

const pair = (text: string) => ({ auth: Buffer.from(text).toString('base64') });

test('$DOCKER_CONFIG says where the file is', () => {
  process.env.DOCKER_CONFIG = '/x/y';
  expect(dockerConfigPath()).toBe('/x/y/config.json');
});

describe('auths', () => {
  test.each([
    ['localhost:5000', 'localhost:5000'],
    ['https://localhost:5000', 'localhost:5000'],
    ['https://localhost:5000/v1/', 'localhost:5000'],
    ['https://index.docker.io/v1/', 'docker.io'],
    ['docker.io', 'docker.io'],
    ['registry-1.docker.io', 'docker.io'],
  ])('%s serves %s', async (key, host) => {
    expect(await credentialsFor(host, config({ auths: { [key]: pair('user:pa:ss') } }))).toEqual({
      username: 'user',
      password: 'pa:ss',
    });
  });

  test('another host, another port, nothing: none', async () => {
    const file = config({ auths: { 'localhost:5000': pair('u:p'), 'ghcr.io': {} } });
    expect(await credentialsFor('localhost:5001', file)).toBeUndefined();
    expect(await credentialsFor('docker.io', file)).toBeUndefined();
    expect(await credentialsFor('ghcr.io', file)).toBeUndefined();
    expect(await credentialsFor('docker.io', join(directory, 'none.json'))).toBeUndefined();
  });

  test('name and password apart, and a refresh token', async () => {
    const file = config({
      auths: { a: { username: 'u', password: 'p' }, b: { ...pair('u:p'), identitytoken: 'refresh' } },
    });
    expect(await credentialsFor('a', file)).toEqual({ username: 'u', password: 'p' });
    expect(await credentialsFor('b', file)).toEqual({ username: 'u', password: 'p', identityToken: 'refresh' });
  });

  test('a file that does not read is named', async () => {
    await expect(credentialsFor('a', config('{'))).rejects.toThrow(`${directory}/config.json: is not valid JSON`);
    await expect(credentialsFor('a', config({ auths: { a: { auth: 'bm9jb2xvbg==' } } }))).rejects.toThrow(
      /is not the base64 of user:password/,
    );
  });
});

describe('credential helpers', () => {
  const echo = 'read -r server; printf \'{"ServerURL":"%s","Username":"%s","Secret":"s"}\' "$server" "$1 $server"';

  test('are asked for the server on their stdin', async () => {
    helper('echo', echo.replace('read -r server', 'read -r server || true'));
    expect(await credentialsFor('ghcr.io', config({ credsStore: 'echo' }))).toEqual({
      username: 'get ghcr.io',
      password: 's',
    });
    expect(await credentialsFor('docker.io', config({ credsStore: 'echo' }))).toEqual({
      username: 'get https://index.docker.io/v1/',
      password: 's',
    });
  });

  test("a host's own helper comes before the store", async () => {
    helper('one', `printf '{"Username":"one","Secret":"1"}'`);
    helper('two', `printf '{"Username":"two","Secret":"2"}'`);
    const file = config({ credHelpers: { 'ghcr.io': 'one' }, credsStore: 'two' });
    expect((await credentialsFor('ghcr.io', file))?.username).toBe('one');
    expect((await credentialsFor('quay.io', file))?.username).toBe('two');
  });

  test('the user <token> marks an identity token', async () => {
    helper('token', `printf '{"Username":"<token>","Secret":"refresh"}'`);
    expect(await credentialsFor('x', config({ credsStore: 'token' }))).toEqual({
      username: '',
      password: '',
      identityToken: 'refresh',
    });
  });

  test('no credentials is an answer: the file is looked at next', async () => {
    helper('none', 'echo "credentials not found in native keychain"; exit 1');
    expect(await credentialsFor('x', config({ credsStore: 'none' }))).toBeUndefined();
    expect((await credentialsFor('x', config({ credsStore: 'none', auths: { x: pair('u:p') } })))?.username).toBe('u');
  });

  test.each([
    ['missing', undefined, /docker-credential-missing failed for x: it is not in PATH/],
    ['locked', 'echo "keychain is locked"; exit 1', /docker-credential-locked failed for x: keychain is locked/],
    ['garbage', 'echo hello', /docker-credential-garbage: is not valid JSON/],
    ['../../bin/sh', undefined, /that is no name of a helper/],
  ])('%s', async (name, script, message) => {
    if (script !== undefined) helper(name, script);
    await expect(credentialsFor('x', config({ credsStore: name }))).rejects.toThrow(message);
  });
});
