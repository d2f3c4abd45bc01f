// tsrun under Node: the bundle that `npm ci` built.
'use strict';
const { readFileSync, realpathSync } = require('node:fs');
const { createRequire } = require('node:module');
const { dirname, join } = require('node:path');
const { Script } = require('node:vm');

const checkout = dirname(dirname(realpathSync(__filename)));
const bundle = join(checkout, 'dist', 'tsrun.cjs');

if (Number(process.versions.node.split('.')[0]) < 20) {
  console.error(`tsrun: Node ${process.versions.node} is too old: tsrun needs Node 20 or later`);
  process.exit(125);
}
let source;
try {
  source = readFileSync(bundle, 'latin1');
} catch {
  console.error(`tsrun: "${bundle}" has not been built\n  run \`npm ci\` in ${checkout}`);
  process.exit(125);
}

// `require(bundle)`, with V8's code cache of this very text, which scripts/build.mjs made; without it V8 compiles it now.
let cachedData;
try {
  cachedData = readFileSync(`${bundle}.cache`);
} catch {}
const text = `(function (exports, require, module, __filename, __dirname) {${source}\n})`;
const script = new Script(text, { filename: bundle, cachedData });
script.runInThisContext()({}, createRequire(bundle), { exports: {} }, bundle, dirname(bundle));
