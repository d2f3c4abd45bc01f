import { chmodSync, mkdtempSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { eraseCredentials, storeCredentials } from '../../../src/image/credential-store.ts';
import { credentialsFor } from '../../../src/image/credentials.ts';

let directory: string;
let file: string;
const path = process.env.PATH;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'tsrun-credentials-'));
  file = join(directory, 'docker', 'config.json');
  process.env.PATH = `${directory}:${path}`;
});
afterEach(() => {
  process.env.PATH = path;
  rmSync(directory, { recursive: true });
});

const alice = { username: 'alice', password: 's:ecret' };
const content = (): unknown => JSON.parse(readFileSync(file, 'utf8'));

/** A helper that keeps what it is told in a file. */
function helper(name: string, script: string): void {
  const program = join(directory, `docker-credential-${name}`);
  writeFileSync(program, `#!/bin/sh\ncd '${directory}'\n${script}\n`);
  chmodSync(program, 0o755);
}

describe('in the file', () => {
  test('which is made, for its owner alone', async () => {
    expect(await storeCredentials('localhost:5000', alice, file)).toBe(file);
    expect(content()).toEqual({ auths: { 'localhost:5000': { auth: 'YWxpY2U6czplY3JldA==' } } });
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(await credentialsFor('localhost:5000', file)).toEqual(alice);
  });

  test('what else is there stays, and a link is followed', async () => {
    const real = join(directory, 'real.json');
    const before = { HttpHeaders: { a: 'b' }, auths: { other: { auth: 'eDp5' } }, psFormat: 'x' };
    writeFileSync(real, JSON.stringify(before), { mode: 0o640 });
    file = join(directory, 'config.json');
    symlinkSync(real, file);
    await storeCredentials('https://index.docker.io/v1/', alice, file);
    expect(Object.keys(content() as object)).toEqual(['HttpHeaders', 'auths', 'psFormat']);
    expect(statSync(real).mode & 0o777).toBe(0o640);
    expect(await credentialsFor('docker.io', file)).toEqual(alice);
    expect((await credentialsFor('other', file))?.username).toBe('x');
    expect(await eraseCredentials(['https://index.docker.io/v1/'], file)).toEqual([]);
    expect(content()).toEqual(before);
  });

  test('a token in place of the password', async () => {
    expect(await storeCredentials('x', { ...alice, identityToken: 'refresh' }, file)).toBeUndefined();
    expect(readFileSync(file, 'utf8')).not.toContain(Buffer.from('alice:s:ecret').toString('base64'));
    expect(await credentialsFor('x', file)).toEqual({ username: 'alice', password: '', identityToken: 'refresh' });
  });

  test('one that does not read is left alone', async () => {
    file = join(directory, 'config.json');
    for (const text of ['{', '[]']) {
      writeFileSync(file, text);
      await expect(storeCredentials('x', alice, file)).rejects.toThrow(`${file}: `);
      expect(readFileSync(file, 'utf8')).toBe(text);
    }
  });
});

describe('with a helper', () => {
  beforeEach(() => {
    file = join(directory, 'config.json');
  });

  test('of the host, before the one for all', async () => {
    helper('own', 'cat >"own.$1"');
    helper('all', 'cat >"all.$1"');
    writeFileSync(file, JSON.stringify({ credHelpers: { 'ghcr.io': 'own' }, credsStore: 'all' }));
    expect(await storeCredentials('ghcr.io', alice, file)).toBeUndefined();
    expect(await storeCredentials('quay.io', { ...alice, identityToken: 'refresh' }, file)).toBeUndefined();
    const stored = (name: string): unknown => JSON.parse(readFileSync(join(directory, name), 'utf8'));
    expect(stored('own.store')).toEqual({ ServerURL: 'ghcr.io', Username: 'alice', Secret: 's:ecret' });
    expect(stored('all.store')).toEqual({ ServerURL: 'quay.io', Username: '<token>', Secret: 'refresh' });
    expect(content()).toMatchObject({ auths: { 'ghcr.io': {}, 'quay.io': {} } });
    await eraseCredentials(['ghcr.io'], file);
    expect(readFileSync(join(directory, 'own.erase'), 'utf8')).toBe('ghcr.io');
    expect(content()).toMatchObject({ auths: { 'quay.io': {} } });
  });

  test('that fails', async () => {
    helper('broken', 'echo the ring is locked; exit 1');
    writeFileSync(file, JSON.stringify({ credsStore: 'broken', auths: { x: {} } }));
    await expect(storeCredentials('x', alice, file)).rejects.toThrow(
      'the credential helper docker-credential-broken failed for x: the ring is locked',
    );
    expect(await eraseCredentials(['x', 'https://x'], file)).toHaveLength(2);
    expect(content()).toEqual({ credsStore: 'broken', auths: {} });
  });
});
