import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { formatEvent, journalPath, monitorEvent, recordEvent } from '../../../src/container/events.ts';
import { containerRecord } from '../../fixtures/container-record.ts';

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'events.'));
});
afterEach(() => rmSync(root, { recursive: true }));

const event = {
  type: 'container',
  action: 'die',
  id: 'c0ffee',
  attributes: { image: 'busybox', name: 'web' },
} as const;

test('an event has the form of docker, with nanoseconds that are not rounded', () => {
  expect(formatEvent(event, 1_764_201_600_123_456_789n)).toBe(
    '{"status":"die","id":"c0ffee","from":"busybox","Type":"container","Action":"die",' +
      '"Actor":{"ID":"c0ffee","Attributes":{"image":"busybox","name":"web"}},"scope":"local",' +
      '"time":1764201600,"timeNano":1764201600123456789}\n',
  );
});

test('what is not a container has no fields of old versions', () => {
  const line = formatEvent({ type: 'volume', action: 'create', id: 'data', attributes: { driver: 'local' } }, 0n);
  expect(Object.keys(JSON.parse(line))).toEqual(['Type', 'Action', 'Actor', 'scope', 'time', 'timeNano']);
});

test('a line is never longer than one write keeps whole', () => {
  const labels = Object.fromEntries(Array.from({ length: 200 }, (_, i) => [`label-${i}`, 'x'.repeat(100)]));
  const line = formatEvent({ ...event, attributes: { ...labels, ...event.attributes, exitCode: '3' } }, 1n);
  expect(Buffer.byteLength(line)).toBeLessThanOrEqual(4096);
  expect(JSON.parse(line).Actor.Attributes).toEqual({ image: 'busybox', name: 'web', exitCode: '3' });
  const long = formatEvent({ ...event, attributes: { ...event.attributes, note: 'y'.repeat(5000) } }, 1n);
  expect(JSON.parse(long).Actor.Attributes.note).toBe('y'.repeat(64));
});

test('what the monitor writes is an event, whatever the labels of the image hold', () => {
  const record = { ...containerRecord('web'), labels: { odd: 'a\u0000b' } };
  const [first = '', second = ''] = monitorEvent(record).split('\n');
  const line = `{"status":"die${first}die${second},"exitCode":"0"}},"scope":"local","time":1,"timeNano":1}`;
  expect(JSON.parse(line)).toMatchObject({
    status: 'die',
    Action: 'die',
    Actor: { ID: record.id, Attributes: { odd: 'a\u0000b', name: 'web', exitCode: '0' } },
  });
});

test('events are appended, and a full journal is set aside', () => {
  recordEvent(root, event);
  recordEvent(root, { ...event, action: 'destroy' });
  const actions = () =>
    readFileSync(journalPath(root), 'utf8')
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line).Action);
  expect(actions()).toEqual(['die', 'destroy']);
  expect(statSync(journalPath(root)).mode & 0o777).toBe(0o600);
  writeFileSync(journalPath(root), 'x'.repeat(8 * 1024 * 1024));
  recordEvent(root, { ...event, action: 'start' });
  expect(actions()).toEqual(['start']);
  expect(statSync(`${journalPath(root)}.1`).size).toBe(8 * 1024 * 1024);
});
