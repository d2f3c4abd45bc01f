import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { liveIds, mayLive } from '../../../src/container/live.ts';
import { ContainerStore } from '../../../src/container/store.ts';
import { containerRecord } from '../../fixtures/container-record.ts';

test('a container lives while its lock is held, and where its record does not tell', () => {
  const directory = mkdtempSync(join(tmpdir(), 'live.'));
  try {
    const store = new ContainerStore(join(directory, 'root'), join(directory, 'state'));
    const [idle, locked, damaged] = ['a1', 'b1', 'c1'].map((name) => store.create(containerRecord(name)));
    const lock = store.lock(locked?.record.id ?? '', false);
    writeFileSync(join(damaged?.directory ?? '', 'start.json'), '{');
    expect(liveIds(store)).toEqual(new Set([locked?.record.id, damaged?.record.id]));
    lock?.release();
    expect(mayLive(store, locked?.record.id ?? '')).toBe(false);
    expect(mayLive(store, idle?.record.id ?? '')).toBe(false);
  } finally {
    rmSync(directory, { recursive: true });
  }
});
