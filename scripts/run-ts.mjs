/**
 * `node scripts/run-ts.mjs FILE.ts [argument…]` runs a TypeScript program of this repository: Node 20 cannot strip types.
 * It is bundled into dist/scripts/, from where `import.meta.dirname` is two levels below the checkout.
 */
import { rmSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { build } from 'esbuild';

const checkout = dirname(dirname(fileURLToPath(import.meta.url)));
const [source, ...args] = process.argv.slice(2);
if (source === undefined) {
  console.error('usage: node scripts/run-ts.mjs FILE.ts [argument…]');
  process.exit(2);
}
const name = `${basename(dirname(source))}-${basename(source, '.ts')}`;
const outfile = join(checkout, 'dist/scripts', `${name}.${process.pid}.mjs`);
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
process.setSourceMapsEnabled(true);
process.argv = [process.argv[0] ?? 'node', source, ...args];
try {
  await import(pathToFileURL(outfile).href);
} finally {
  rmSync(outfile, { force: true });
}
