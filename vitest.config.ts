import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    projects: [
      // Each file boots a guest while it is loaded, and tells its results as tests. A guest keeps little more than one
      // processor busy: both run at the same time.
      { test: { name: 'vm', include: ['test/vm/*.test.ts'], maxWorkers: 2 } },
      // A worker for all its files: a new one for each takes two thirds of the time. So no test may leave the process, its
      // environment or a module other than it found them.
      { test: { name: 'unit', include: ['test/unit/**/*.test.ts'], testTimeout: 20_000, isolate: false } },
      {
        test: {
          name: 'integration',
          include: ['test/integration/**/*.test.ts'],
          testTimeout: 120_000,
          hookTimeout: 120_000,
          // One machine, one bridge, one nft table: a test that looks for what is left must be alone.
          fileParallelism: false,
          globalSetup: ['test/integration/setup.ts'],
          setupFiles: ['test/integration/leak-check.ts'],
        },
      },
    ],
  },
});
