import { appendFileSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { followLog, logFiles, parseLogLine, readLogFile } from '../../../src/container/logs.ts';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'tsrun-logs-'));
});
afterEach(() => rmSync(directory, { recursive: true }));

const time = '2026-01-02T03:04:05.123456789Z';

test('records are whole lines, or the beginning of one', () => {
  const before = 'the line before, 1 2 3 4\n';
  const parse = (line: string) => {
    const bytes = Buffer.from(`${before}${line}\n${time} stdout F next\n`);
    return parseLogLine(bytes, before.length, before.length + line.length);
  };
  expect(parse(`${time} stdout F a b`)).toEqual({ time, stream: 'stdout', data: Buffer.from('a b\n') });
  expect(parse(`${time} stderr P a`)?.data.toString()).toBe('a');
  expect(parse(`${time} stdout F `)?.data.toString()).toBe('\n');
  for (const bad of ['', 'x', time, `${time} stdin F x`, `${time} stdout`, `${time} stdout F`]) {
    expect(parse(bad)).toBeUndefined();
    expect(parseLogLine(Buffer.from(bad))).toBeUndefined();
  }
});

test('reading stops behind the last whole record', async () => {
  const path = join(directory, 'container.log');
  writeFileSync(path, `${time} stdout F one\n${time} stdout F two\n${time} stdo`);
  const seen: string[] = [];
  const offset = await readLogFile(path, 0, (record) => seen.push(record.data.toString()));
  expect(seen).toEqual(['one\n', 'two\n']);
  appendFileSync(path, 'ut F three\n');
  await readLogFile(path, offset, (record) => seen.push(record.data.toString()));
  expect(seen).toEqual(['one\n', 'two\n', 'three\n']);
});

test('rotated files come oldest first, and following survives a rotation', async () => {
  const path = join(directory, 'container.log');
  writeFileSync(path, `${time} stdout F one\n`);
  const seen: string[] = [];
  let alive = true;
  const following = followLog(
    directory,
    0,
    () => alive,
    (record) => seen.push(record.data.toString()),
    5,
  );
  await expect.poll(() => seen).toEqual(['one\n']);
  appendFileSync(path, `${time} stdout F two\n`);
  renameSync(path, join(directory, 'container.log.1'));
  writeFileSync(path, `${time} stderr F three\n`);
  await expect.poll(() => seen).toEqual(['one\n', 'two\n', 'three\n']);
  alive = false;
  await following;
  expect(logFiles(directory).map((file) => file.slice(directory.length + 1))).toEqual([
    'container.log.1',
    'container.log',
  ]);
});
