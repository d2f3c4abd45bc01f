import { describe, expect, test } from 'vitest';
import {
  binarySize,
  comparableTime,
  humanDuration,
  humanSize,
  parseBytes,
  parseDuration,
  parseMoment,
  timeAgo,
} from '../../../src/cli/units.ts';

test.each([
  [0, '0B'],
  [999, '999B'],
  [1000, '1kB'],
  [1984233, '1.98MB'],
  [163_840_000, '164MB'],
  [1_500_000_000, '1.5GB'],
  [999_999, '1000kB'],
])('%i bytes are %s', (bytes, text) => {
  expect(humanSize(bytes)).toBe(text);
});

test('more digits, and powers of 1024', () => {
  expect(humanSize(1984233, 4)).toBe('1.984MB');
  expect(binarySize(25276510208)).toBe('23.54GiB');
  expect(binarySize(64 * 1024 * 1024)).toBe('64MiB');
});

test.each([
  ['0', 0],
  ['1024', 1024],
  ['64m', 64 * 1024 ** 2],
  ['64M', 64 * 1024 ** 2],
  ['64mb', 64 * 1024 ** 2],
  ['64MiB', 64 * 1024 ** 2],
  ['1.5g', 1.5 * 1024 ** 3],
  ['1k', 1024],
  ['2 GB', 2 * 1024 ** 3],
  ['1t', 1024 ** 4],
  ['10b', 10],
])('%j is %i bytes', (text, bytes) => {
  expect(parseBytes(text)).toBe(bytes);
});

test.each(['', 'foo', '64x', '-1', '1.m', 'm', '1e3', '9999999999p'])('%j is no size', (text) => {
  expect(() => parseBytes(text)).toThrow(`invalid size: '${text}'`);
});

const second = 1000;
const minute = 60 * second;
const hour = 60 * minute;
const day = 24 * hour;

test.each([
  [0, 'Less than a second'],
  [999, 'Less than a second'],
  [second, '1 second'],
  [59 * second, '59 seconds'],
  [minute, 'About a minute'],
  [119 * second, 'About a minute'],
  [2 * minute, '2 minutes'],
  [59 * minute, '59 minutes'],
  [hour, 'About an hour'],
  [89 * minute, 'About an hour'],
  [90 * minute, '2 hours'],
  [47 * hour, '47 hours'],
  [2 * day, '2 days'],
  [13 * day, '13 days'],
  [14 * day, '2 weeks'],
  [59 * day, '8 weeks'],
  [60 * day, '2 months'],
  [729 * day, '24 months'],
  [730 * day, '2 years'],
])('%i ms are %j', (milliseconds, text) => {
  expect(humanDuration(milliseconds)).toBe(text);
});

test('a time that is not known has no distance', () => {
  expect(timeAgo(new Date(''))).toBe('N/A');
  const now = new Date('2026-01-01T00:00:10Z');
  expect(timeAgo(new Date('2026-01-01T00:00:00Z'), now)).toBe('10 seconds ago');
  // The clock was set back.
  expect(timeAgo(new Date('2026-01-01T00:01:00Z'), now)).toBe('Less than a second ago');
});

test.each([
  ['1h30m', 90 * minute],
  ['1.5s', 1500],
  ['300ms', 300],
  ['42m', 42 * minute],
  ['-5s', -5000],
  ['0', 0],
  ['foo', undefined],
  ['5', undefined],
  ['', undefined],
])('the duration %j is %s ms', (text, milliseconds) => {
  expect(parseDuration(text)).toBe(milliseconds);
});

describe('moments', () => {
  const now = new Date('2026-05-06T07:08:09.010Z');

  test.each([
    ['2026-01-02T03:04:05Z', '2026-01-02T03:04:05.000000000Z'],
    ['2026-01-02T03:04:05.123456789Z', '2026-01-02T03:04:05.123456789Z'],
    ['2026-01-02T03:04:05.5+02:00', '2026-01-02T01:04:05.500000000Z'],
    ['2026-01-02T03:04Z', '2026-01-02T03:04:00.000000000Z'],
    ['1767322800', '2026-01-02T03:00:00.000000000Z'],
    ['1767322800.000000001', '2026-01-02T03:00:00.000000001Z'],
    ['10s', '2026-05-06T07:07:59.010000000Z'],
    ['1h', '2026-05-06T06:08:09.010000000Z'],
  ])('%j', (text, expected) => {
    expect(parseMoment(text, now)).toBe(expected);
  });

  test('text that is no moment', () => {
    expect(parseMoment('yesterday', now)).toBeUndefined();
    for (const day of ['2026-13-40', '2026-00-01', '2026-01-00', '2026-01-32']) {
      expect(parseMoment(`${day}T00:00:00Z`, now)).toBeUndefined();
    }
    for (const time of ['24:00:00Z', '25:00Z', '03:60Z', '03:04:61Z', '03:04:05+24:00', '03:04:05-02:60']) {
      expect(parseMoment(`2026-01-02T${time}`, now)).toBeUndefined();
    }
  });

  test('times of different precision compare as text', () => {
    expect(comparableTime('2026-01-02T03:04:05.9Z') > comparableTime('2026-01-02T03:04:05.123456789Z')).toBe(true);
    expect(comparableTime('2026-01-02T03:04:05Z') < comparableTime('2026-01-02T03:04:05.000000001Z')).toBe(true);
  });
});
