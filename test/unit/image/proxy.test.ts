import { describe, expect, test } from 'vitest';
import { proxyAuthorization, proxyFor } from '../../../src/image/proxy.ts';

const through = (url: string, environment: Record<string, string>) => proxyFor(new URL(url), environment)?.host;

test('by the scheme of the url, capitals or not', () => {
  const environment = { HTTPS_PROXY: 'http://secure:3128', http_proxy: 'plain:8080' };
  expect(through('https://ghcr.io/', environment)).toBe('secure:3128');
  expect(through('http://ghcr.io/', environment)).toBe('plain:8080');
  expect(through('https://ghcr.io/', {})).toBeUndefined();
  expect(through('https://ghcr.io/', { HTTPS_PROXY: '' })).toBeUndefined();
});

test("this machine's own addresses never go through a proxy", () => {
  for (const host of ['localhost', '127.0.0.1:5000', '[::1]:5000']) {
    expect(through(`http://${host}/`, { HTTP_PROXY: 'http://p' })).toBeUndefined();
  }
});

describe('NO_PROXY', () => {
  test.each([
    ['*', 'https://a.example/', false],
    ['a.example', 'https://a.example/', false],
    ['a.example', 'https://b.a.example/', false],
    ['.a.example', 'https://b.a.example/', false],
    ['*.a.example', 'https://b.a.example/', false],
    ['A.Example', 'https://a.example/', false],
    ['a.example', 'https://nota.example/', true],
    ['a.example:443', 'https://a.example/', false],
    ['a.example:80', 'https://a.example/', true],
    ['b.example, a.example', 'https://a.example/', false],
    ['10.0.0.0/8', 'https://10.1.2.3/', false],
    ['10.0.0.0/8', 'https://11.1.2.3/', true],
    ['10.0.0.0/8', 'https://a.example/', true],
    ['10.0.0.0/99', 'https://10.1.2.3/', true],
    ['10.1.2.3', 'https://10.1.2.3/', false],
    ['2001:db8::/32', 'https://[2001:db8::1]/', false],
    ['2001:db8::1', 'https://[2001:db8::1]/', false],
    ['2001:db8::1', 'https://[2001:db8::2]/', true],
  ])('%s and %s: proxied %s', (exempt, url, expected) => {
    expect(through(url, { HTTPS_PROXY: 'http://p:1', no_proxy: exempt }) === 'p:1').toBe(expected);
  });
});

test('a proxy of another kind is refused', () => {
  for (const proxy of ['socks5://x', 'https://x', 'http://[']) {
    expect(() => through('https://a.example/', { HTTPS_PROXY: proxy })).toThrow(
      /HTTPS_PROXY: .* is not the URL of an http proxy/,
    );
  }
});

test('who asks is told to the proxy', () => {
  expect(proxyAuthorization(new URL('http://u:p%40ss@p'))).toEqual({
    'proxy-authorization': `Basic ${btoa('u:p@ss')}`,
  });
  expect(proxyAuthorization(new URL('http://p'))).toEqual({});
});
