import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { compileSeccomp, compileSeccompCached, defaultSeccompProfile } from '../../../../src/runtime/seccomp/index.ts';

let directory = '';
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'tsrun-filters-'));
});
afterEach(() => {
  rmSync(directory, { recursive: true });
});

const profile = defaultSeccompProfile(['CAP_CHOWN']);
const fresh = Buffer.from(compileSeccomp(profile, 'x64'));

test('a filter is kept once for each profile and architecture, and read back', () => {
  const cache = join(directory, 'seccomp');
  expect(Buffer.from(compileSeccompCached(profile, 'x64', cache)).equals(fresh)).toBe(true);
  expect(readdirSync(cache)).toHaveLength(1);
  expect(Buffer.from(compileSeccompCached(profile, 'x64', cache)).equals(fresh)).toBe(true);
  compileSeccompCached(profile, 'arm64', cache);
  compileSeccompCached(defaultSeccompProfile(['CAP_SYS_ADMIN']), 'x64', cache);
  expect(readdirSync(cache)).toHaveLength(3);
});

test('a file that was damaged is made again', () => {
  compileSeccompCached(profile, 'x64', directory);
  const path = join(directory, readdirSync(directory)[0] ?? '');
  const whole = readFileSync(path);
  for (const damaged of [
    whole.subarray(0, 100),
    Buffer.alloc(0),
    Buffer.concat([whole.subarray(0, 40), Buffer.from([1]), whole.subarray(41)]),
  ]) {
    writeFileSync(path, damaged);
    expect(Buffer.from(compileSeccompCached(profile, 'x64', directory)).equals(fresh)).toBe(true);
    expect(readFileSync(path).equals(whole)).toBe(true);
  }
});

test('a directory that cannot be made changes nothing but the speed', () => {
  writeFileSync(join(directory, 'file'), '');
  expect(Buffer.from(compileSeccompCached(profile, 'x64', join(directory, 'file/below'))).equals(fresh)).toBe(true);
});
