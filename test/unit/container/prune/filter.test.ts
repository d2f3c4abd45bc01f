import { expect, test } from 'vitest';
import { parsePruneFilter } from '../../../../src/cli/options/prune-filter.ts';
import { mayPrune } from '../../../../src/container/prune/filter.ts';

const now = new Date('2026-11-27T12:00:00Z');
const thing = { created: '2026-11-27T10:00:00Z', labels: { a: '1', keep: '' } };

test.each([
  [[], true],
  [['until=1h'], true],
  [['until=3h'], false],
  [['until=2026-11-27T10:00:00Z'], false],
  [['until=2026-11-27T10:00:01Z'], true],
  [['label=a'], true],
  [['label=a=1', 'label=keep'], true],
  [['label=a=1', 'label=b'], false],
  [['label!=keep'], false],
  [['label!=b', 'label!=a=2'], true],
])('%j', (texts, expected) => {
  expect(mayPrune(parsePruneFilter(texts, now), thing)).toBe(expected);
});

test('what was made at an unknown time is old', () => {
  expect(mayPrune(parsePruneFilter(['until=1h'], now), { created: '', labels: {} })).toBe(true);
});

test.each([
  ['until=soon', 'failed to parse value as time or duration: "soon"'],
  ['dangling=true', "Invalid filter 'dangling'"],
])('%s', (text, message) => {
  expect(() => parsePruneFilter([text], now)).toThrow(message);
});

test('one until is enough', () => {
  expect(() => parsePruneFilter(['until=1h', 'until=2h'], now)).toThrow('more than one until filter specified');
});
