/**
 * `node scripts/run-ts.mjs FILE.ts [argument…]` runs a TypeScript program of this repository: Node 20 cannot strip types.
 * It is bundled into dist/scripts/, from where `import.meta.dirname` is two levels below the checkout.
 */
import { spawnSync } from 'node:child_process';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const checkout = dirname(dirname(fileURLToPath(import.meta.url)));
const [source, ...args] = process.argv.slice(2);
if (source === undefined) {
  console.error('usage: node scripts/run-ts.mjs FILE.ts [argument…]');
  process.exit(2);
}
const outfile = join(checkout, 'dist/scripts', `${basename(dirname(source))}-${basename(source, '.ts')}.mjs`);
await build({
  entryPoints: [source],
  outfile,
  bundle: true,
  platform: 'node',
  format: 'esm',
  target: 'node20',
  packages: 'external',
  sourcemap: 'inline',
  logLevel: 'warning',
});
const child = spawnSync(process.execPath, ['--enable-source-maps', outfile, ...args], { stdio: 'inherit' });
if (child.signal) process.kill(process.pid, child.signal);
process.exit(child.status ?? 1);
