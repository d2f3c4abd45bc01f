import { expect, test } from 'vitest';
import { type Update, updateConflict } from '../../../src/container/update.ts';
import { runOptions } from '../../fixtures/run-options.ts';

const mega = 1024 * 1024;

test.each<[Parameters<typeof runOptions>[0], Update, string | undefined]>([
  [{}, { cpuShares: 100 }, undefined],
  [{ cpuPeriod: 10_000 }, { nanoCpus: 1e9 }, 'Nano CPUs cannot be updated as CPU Period has already been set'],
  [{ cpuQuota: 10_000 }, { nanoCpus: 1e9 }, 'Nano CPUs cannot be updated as CPU Quota has already been set'],
  [{ nanoCpus: 1e9 }, { cpuPeriod: 10_000 }, 'CPU Period cannot be updated as NanoCPUs has already been set'],
  [{ nanoCpus: 1e9 }, { cpuQuota: 10_000 }, 'CPU Quota cannot be updated as NanoCPUs has already been set'],
  [{}, { memory: 20 * mega }, 'Memory limit should be smaller than already set memoryswap limit'],
  [{ memory: 20 * mega }, { memory: 40 * mega }, undefined],
  [{ memory: 20 * mega }, { memory: 41 * mega }, 'Memory limit should be smaller than already set memoryswap limit'],
  [{ memory: 20 * mega }, { memory: 80 * mega, memorySwap: -1 }, undefined],
  [{ remove: true }, { restart: { name: 'always', maximumRetryCount: 0 } }, 'AutoRemove is enabled'],
  [{ remove: true }, { restart: { name: 'no', maximumRetryCount: 0 } }, undefined],
])('%o changed by %o', (options, wanted, message) => {
  const conflict = updateConflict(runOptions(options), wanted);
  if (message === undefined) expect(conflict).toBeUndefined();
  else expect(conflict).toContain(message);
});
