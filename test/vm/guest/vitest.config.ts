/** Tests that run inside the guest only. The emulated processor is ten times slower than the real one: so are the limits of time. */
import { existsSync } from 'node:fs';
import { defineConfig } from 'vitest/config';

if (!existsSync('/tsrun/guest-script'))
  throw new Error('these tests change the machine: npm run test:vm runs them in a guest');

export default defineConfig({
  root: '/tsrun',
  cacheDir: '/var/tmp/vite',
  test: {
    include: ['test/vm/guest/*.test.ts', 'test/integration/*.test.ts'],
    testTimeout: 300_000,
    hookTimeout: 300_000,
    teardownTimeout: 60_000,
    fileParallelism: false,
    globalSetup: ['test/integration/setup.ts'],
    setupFiles: ['test/integration/leak-check.ts'],
  },
});
