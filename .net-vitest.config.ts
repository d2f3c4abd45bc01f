import { defineConfig } from 'vitest/config';
export default defineConfig({ root: '/work/main', test: { include: ['test/integration/network*.test.ts'], testTimeout: 60000, fileParallelism: false, cacheDir:'/var/tmp/net/cache' } });
