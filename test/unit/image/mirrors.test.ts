import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { allowsPlainHttp, endpointsFor, isLoopback, loadRegistrySettings } from '../../../src/image/mirrors.ts';

let directory: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'tsrun-mirrors-'));
});
afterEach(() => rmSync(directory, { recursive: true }));

function file(name: string, content: unknown): string {
  const path = join(directory, name);
  writeFileSync(path, typeof content === 'string' ? content : JSON.stringify(content));
  return path;
}

const addresses = (domain: string, paths: string[] = [], environment = '') =>
  endpointsFor(domain, loadRegistrySettings(paths, environment)).map(({ base, isMirror }) => [base.href, isMirror]);

test('without settings a registry serves itself; this machine speaks http, others https', () => {
  expect(addresses('docker.io')).toEqual([['https://registry-1.docker.io/', false]]);
  expect(addresses('ghcr.io')).toEqual([['https://ghcr.io/', false]]);
  expect(addresses('localhost:5000')).toEqual([['http://localhost:5000/', false]]);
  expect(addresses('127.0.0.1:5000')).toEqual([['http://127.0.0.1:5000/', false]]);
  expect(addresses('[::1]:5000')).toEqual([['http://[::1]:5000/', false]]);
  expect(addresses('constructor:80')).toEqual([['https://constructor:80/', false]]);
});

test('mirrors come first, in their order', () => {
  const environment =
    'docker.io=http://127.0.0.1:5000, docker.io=https://mirror.example/base ,ghcr.io=http://localhost:1';
  expect(addresses('docker.io', [], environment)).toEqual([
    ['http://127.0.0.1:5000/', true],
    ['https://mirror.example/base/', true],
    ['https://registry-1.docker.io/', false],
  ]);
  expect(addresses('ghcr.io', [], environment)).toHaveLength(2);
  expect(addresses('quay.io', [], environment)).toHaveLength(1);
});

test("the environment replaces the user's file, which replaces the system's, host by host", () => {
  const system = file('system', {
    mirrors: { 'docker.io': ['https://s1/'], 'ghcr.io': ['https://s2/'], 'quay.io': ['https://s3/'] },
  });
  const user = file('user', {
    mirrors: { 'docker.io': ['https://u1/'], 'ghcr.io': ['https://u2/'] },
    theme: 'unknown keys are for others',
  });
  const first = (domain: string) => addresses(domain, [system, user], 'index.docker.io=https://e1')[0]?.[0];
  expect(first('docker.io')).toBe('https://e1/');
  expect(first('ghcr.io')).toBe('https://u2/');
  expect(first('quay.io')).toBe('https://s3/');
});

describe('plain http', () => {
  test('to another machine is refused with an explanation', () => {
    expect(() => addresses('docker.io', [], 'docker.io=http://mirror.example:5000')).toThrow(
      expect.objectContaining({
        code: 'USAGE',
        message: 'the mirror http://mirror.example:5000/ of docker.io is plain http on another machine',
        hint: expect.stringContaining('{"insecure": ["mirror.example:5000"]}'),
      }),
    );
  });

  test('is allowed where the settings name the host, with its port or for all ports', () => {
    for (const insecure of ['mirror.example:5000', 'mirror.example', 'MIRROR.example']) {
      const path = file('config', { insecure: [insecure] });
      expect(addresses('docker.io', [path], 'docker.io=http://mirror.example:5000')[0]).toEqual([
        'http://mirror.example:5000/',
        true,
      ]);
    }
    const other = file('config', { insecure: ['mirror.example:80'] });
    expect(() => addresses('docker.io', [other], 'docker.io=http://mirror.example:5000')).toThrow(/plain http/);
    expect(addresses('docker.io', [other], 'docker.io=http://mirror.example')).toHaveLength(2);
  });

  test.each([
    ['localhost', true],
    ['127.0.0.1', true],
    ['127.9.9.9', true],
    ['[::1]', true],
    ['127.0.0.1.evil.example', false],
    ['localhost.evil.example', false],
    ['0.0.0.0', false],
    ['10.0.0.1', false],
  ])('%s is this machine: %s', (host, expected) => {
    expect(isLoopback(host)).toBe(expected);
    expect(allowsPlainHttp({ mirrors: new Map(), insecure: new Set() }, new URL(`http://${host}:5000/`))).toBe(
      expected,
    );
  });
});

describe('settings that do not read are named', () => {
  test.each([
    ['docker.io', 'TSRUN_MIRRORS: "docker.io" has no "="'],
    ['=http://x', 'TSRUN_MIRRORS: "=http://x" has no "="'],
    ['docker.io=', 'TSRUN_MIRRORS: "" is no http(s) URL'],
    ['docker.io=mirror.example', 'TSRUN_MIRRORS: "mirror.example" is no http(s) URL'],
    ['docker.io=ftp://x', 'TSRUN_MIRRORS: "ftp://x" is no http(s) URL'],
    ['docker.io=https://u:p@x', 'TSRUN_MIRRORS: "https://u:p@x" must not hold a password: use tsrun login'],
    ['docker.io=https://x?y', 'TSRUN_MIRRORS: "https://x?y" must not have a query or fragment'],
  ])('%s', (environment, message) => {
    expect(() => loadRegistrySettings([], environment)).toThrow(expect.objectContaining({ code: 'USAGE', message }));
  });

  test.each<[unknown, RegExp]>([
    ['{', /config: is not valid JSON/],
    [[], /config: must be an object/],
    [{ mirrors: [] }, /config: mirrors must be an object/],
    [{ mirrors: { 'docker.io': 'https://x' } }, /config: mirrors\["docker\.io"\] must be an array/],
    [{ insecure: 'x' }, /config: insecure must be an array/],
  ])('%j', (content, message) => {
    const path = file('config', content);
    expect(() => loadRegistrySettings([path], '')).toThrow(message);
    expect(() => loadRegistrySettings([path], '')).toThrow(directory);
  });

  test('a file that is not there is no settings', () => {
    expect(loadRegistrySettings([join(directory, 'none')], '')).toEqual({ mirrors: new Map(), insecure: new Set() });
  });
});
