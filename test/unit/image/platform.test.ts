import { describe, expect, test } from 'vitest';
import {
  formatPlatform,
  hostPlatform,
  normalizePlatform,
  parsePlatform,
  platformMatches,
} from '../../../src/image/platform.ts';

test.each([
  ['linux/amd64', 'linux/amd64'],
  ['linux/x86_64', 'linux/amd64'],
  ['amd64', 'linux/amd64'],
  ['aarch64', 'linux/arm64'],
  ['linux/arm64/v8', 'linux/arm64'],
  ['linux/arm64/8', 'linux/arm64'],
  ['linux/arm64/v9', 'linux/arm64/v9'],
  ['linux/arm', 'linux/arm/v7'],
  ['linux/arm/v6', 'linux/arm/v6'],
  ['armhf', 'linux/arm/v7'],
  ['armel', 'linux/arm/v6'],
  ['Linux/AMD64', 'linux/amd64'],
  ['linux/amd64/v1', 'linux/amd64'],
  ['linux/amd64/v3', 'linux/amd64/v3'],
  ['i386', 'linux/386'],
  ['linux/s390x', 'linux/s390x'],
  ['windows/amd64', 'windows/amd64'],
])('%s is %s', (text, expected) => {
  expect(formatPlatform(parsePlatform(text))).toBe(expected);
});

test.each(['', '/', 'linux/', '/amd64', 'linux/amd64/v1/x', 'vax', 'linux amd64', 'linux/../x', 'constructor'])(
  '%j is refused',
  (text) => {
    expect(() => parsePlatform(text)).toThrow(expect.objectContaining({ code: 'USAGE' }));
  },
);

test('this machine runs linux, and `linux` alone means it', () => {
  expect(hostPlatform().os).toBe('linux');
  expect(['amd64', 'arm64']).toContain(hostPlatform().architecture);
  expect(parsePlatform('linux')).toEqual(hostPlatform());
});

describe('an image for a lower level of the architecture runs, for a higher one it does not', () => {
  test.each([
    ['linux/amd64', 'linux/amd64', true],
    ['linux/amd64', 'linux/amd64/v2', false],
    ['linux/amd64/v3', 'linux/amd64/v2', true],
    ['linux/arm/v7', 'linux/arm/v6', true],
    ['linux/arm/v6', 'linux/arm/v7', false],
    ['linux/arm/v7', 'linux/arm', true],
    ['linux/arm64', 'linux/arm64/v8', true],
    ['linux/amd64', 'linux/arm64', false],
    ['linux/amd64', 'linux/386', false],
    ['linux/amd64', 'windows/amd64', false],
  ])('%s and an image for %s: %s', (machine, image, expected) => {
    const [os = '', architecture = '', variant = ''] = image.split('/');
    expect(platformMatches(parsePlatform(machine), normalizePlatform(os, architecture, variant))).toBe(expected);
  });
});
