import { expect, test } from 'vitest';
import { kernelAtLeast, parseRelease } from '../../../src/linux/release.ts';

test.each([
  ['6.1.0-49-cloud-amd64', [6, 1]],
  ['10.12', [10, 12]],
  ['', undefined],
  ['linux', undefined],
])('the release %j', (text, expected) => {
  expect(parseRelease(text)).toEqual(expected);
});

test.each([
  [6, 8, '6.1.0-49-cloud-amd64', false],
  [6, 8, '6.8.0', true],
  [6, 8, '6.18.44', true],
  [6, 8, '7.0.0-rc1', true],
  [6, 8, '5.19.2', false],
  [6, 8, 'unknown', false],
])('at least %i.%i: %s is %s', (major, minor, kernel, expected) => {
  expect(kernelAtLeast(major, minor, kernel)).toBe(expected);
});
