import { expect, test } from 'vitest';
import { editDistance, nearest } from '../../../src/cli/suggest.ts';

test.each([
  ['', '', 0],
  ['run', 'run', 0],
  ['rnu', 'run', 1],
  ['', 'abc', 3],
  ['nme', 'name', 1],
  ['kitten', 'sitting', 3],
])('%j is %j but for %i changes', (a, b, distance) => {
  expect(editDistance(a, b)).toBe(distance);
  expect(editDistance(b, a)).toBe(distance);
});

test.each([
  ['rnu', 'run'],
  ['isnpect', 'inspect'],
  ['imags', 'images'],
  ['ins', 'inspect'],
  ['banana', undefined],
  ['x', undefined],
])('%j is taken for %j', (text, expected) => {
  expect(nearest(text, ['images', 'info', 'inspect', 'kill', 'ps', 'run'])).toBe(expected);
});
