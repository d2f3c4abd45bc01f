import { createHash } from 'node:crypto';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { capabilityNames, defaultCapabilities } from '../../../../src/linux/capabilities.ts';
import { DEFAULT_FILTER_VERSION, defaultFilter } from '../../../../src/runtime/seccomp/default-filter.ts';
import { compileSeccomp, defaultSeccompProfile } from '../../../../src/runtime/seccomp/index.ts';

let directory = '';
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'tsrun-filters-'));
});
afterEach(() => {
  rmSync(directory, { recursive: true });
});

test('the default filter is kept for each set of capabilities and architecture, in whatever order they are named', async () => {
  const expected = compileSeccomp(defaultSeccompProfile(defaultCapabilities, { architecture: 'x64' }), 'x64');
  const made = await defaultFilter(defaultCapabilities, 'x64', directory);
  expect(Buffer.from(made).equals(expected)).toBe(true);
  const found = await defaultFilter([...defaultCapabilities].reverse(), 'x64', directory);
  expect(Buffer.from(found).equals(expected)).toBe(true);
  expect(readdirSync(directory)).toHaveLength(1);
  const other = await defaultFilter([...defaultCapabilities, 'CAP_SYS_ADMIN'], 'x64', directory);
  expect(Buffer.from(other).equals(expected)).toBe(false);
  await defaultFilter(defaultCapabilities, 'arm64', directory);
  expect(readdirSync(directory)).toHaveLength(3);
});

test('a kept filter that is not whole is made again', async () => {
  const made = Buffer.from(await defaultFilter([], 'x64', directory));
  writeFileSync(join(directory, readdirSync(directory)[0] ?? ''), 'half of a filter');
  expect(Buffer.from(await defaultFilter([], 'x64', directory)).equals(made)).toBe(true);
});

test('a profile or compiler that makes other filters has another version: old files must not stand for it', () => {
  const hash = createHash('sha256');
  for (const architecture of ['x64', 'arm64'] as const) {
    for (const capabilities of [[], defaultCapabilities, capabilityNames]) {
      hash.update(compileSeccomp(defaultSeccompProfile(capabilities, { architecture }), architecture));
    }
  }
  const digest = hash.digest('hex').slice(0, 16);
  expect({ version: DEFAULT_FILTER_VERSION, digest }).toEqual({ version: 1, digest: '8703e87070d7662a' });
});
