/**
 * Builds dist/: the C in native/ with make, the command line and the unpack worker with esbuild.
 * `npm ci` runs it (lifecycle script `prepare`); `--if-stale` does nothing when dist/ is newer than every source.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { setFlagsFromString } from 'node:v8';
import { Script } from 'node:vm';

const checkout = dirname(dirname(fileURLToPath(import.meta.url)));
const dist = join(checkout, 'dist');

/**
 * What is bundled: output name -> source. Each bundle is one file without `node_modules`, koffi apart. `tsrun-often.cjs` has
 * but the commands that bin/tsrun calls it for.
 */
const bundles = {
  'tsrun.cjs': 'src/cli/main.ts',
  'tsrun-often.cjs': 'src/cli/main.ts',
  'tsrun-oci.cjs': 'src/cli/oci/entry.ts',
  'unpack-worker.cjs': 'src/image/unpack/worker.ts',
};
/** Those that get a code cache. */
const commandLines = ['tsrun.cjs', 'tsrun-often.cjs', 'tsrun-oci.cjs'];

function fail(message, hint) {
  console.error(`build: ${message}`);
  if (hint) console.error(`  ${hint}`);
  process.exit(1);
}

/** Newest modification time below a directory, in milliseconds. */
function newest(path) {
  const stat = statSync(path);
  if (!stat.isDirectory()) return stat.mtimeMs;
  return readdirSync(path).reduce((latest, name) => Math.max(latest, newest(join(path, name))), 0);
}

function isStale() {
  const caches = commandLines.map((name) => `${name}.cache`);
  const outputs = ['tsrun-syscall.so', 'tsrun-monitor', ...caches, ...Object.keys(bundles)].map((name) =>
    join(dist, name),
  );
  if (!outputs.every((path) => existsSync(path))) return true;
  const sources = ['bin', 'src', 'native', 'package.json', 'package-lock.json', 'scripts/build.mjs'];
  const latest = Math.max(...sources.map((path) => newest(join(checkout, path))));
  return outputs.some((path) => statSync(path).mtimeMs < latest);
}

function buildNative() {
  try {
    execFileSync('make', ['--silent', '-C', join(checkout, 'native')], { stdio: ['ignore', 'inherit', 'inherit'] });
  } catch (error) {
    if (error.code === 'ENOENT') fail('make was not found', 'apt install gcc make libc6-dev linux-libc-dev');
    fail(
      'native/ does not compile',
      'needed are a C compiler and the kernel headers: apt install gcc libc6-dev linux-libc-dev',
    );
  }
}

/** Leaves the modules of all other commands out: commands.ts loads a command's module only when it is called. */
function onlyOften() {
  const list = /^const often = (\[.*\]);$/m.exec(readFileSync(join(checkout, 'bin', 'tsrun'), 'utf8'))?.[1];
  if (list === undefined) fail('bin/tsrun does not say which commands are called often');
  const often = JSON.parse(list.replaceAll("'", '"'));
  return {
    name: 'only-often',
    setup(build) {
      build.onResolve({ filter: /^\.\/commands\/[a-z-]+\.ts$/ }, ({ path, importer, kind }) => {
        const name = /([a-z-]+)\.ts$/.exec(path)?.[1] ?? '';
        const isTable = kind === 'dynamic-import' && importer === join(checkout, 'src', 'cli', 'commands.ts');
        return isTable && !often.includes(name) ? { path: name, namespace: 'left-out' } : undefined;
      });
      build.onLoad({ filter: /.*/, namespace: 'left-out' }, ({ path }) => ({
        contents: `throw new Error("the command ${path} is not in this bundle")`,
      }));
    },
  };
}

async function buildBundles() {
  let esbuild;
  try {
    esbuild = await import('esbuild');
  } catch {
    fail('esbuild is not installed', 'run `npm ci` without --omit=dev: tsrun is built from its sources');
  }
  const failed = [];
  const { version } = JSON.parse(readFileSync(join(checkout, 'package.json'), 'utf8'));
  for (const [name, source] of Object.entries(bundles)) {
    const entry = join(checkout, source);
    if (!existsSync(entry)) fail(`"${source}" does not exist`);
    const outfile = join(dist, name);
    const options = {
      entryPoints: [entry],
      outfile: `${outfile}.tmp`,
      bundle: true,
      platform: 'node',
      format: 'cjs',
      target: 'node20',
      // import() of what stays outside becomes require(): a script with a code cache has no loader of modules.
      supported: { 'dynamic-import': false },
      // bin/tsrun reads the bundle as it is, without decoding it.
      charset: 'ascii',
      // Names stay readable in stack traces; what is taken out is only what costs time to parse.
      minifyWhitespace: true,
      minifySyntax: true,
      keepNames: false,
      legalComments: 'none',
      external: ['koffi'],
      define: { 'import.meta.dirname': '__dirname', TSRUN_VERSION: JSON.stringify(version) },
      logLevel: 'warning',
      plugins: name === 'tsrun-often.cjs' ? [onlyOften()] : [],
    };
    try {
      await esbuild.build(options);
      renameSync(`${outfile}.tmp`, outfile);
    } catch {
      failed.push(source);
    }
  }
  if (failed.length > 0) fail(`cannot bundle ${failed.join(', ')}`);
}

/**
 * Compiles every function of the command line into V8's code cache: bin/tsrun then starts with a sixth less of CPU time.
 * Another version of Node refuses the cache and compiles by itself.
 */
function buildCodeCache(name) {
  const bundle = join(dist, name);
  const source = `(function (exports, require, module, __filename, __dirname) {${readFileSync(bundle, 'latin1')}\n})`;
  // Functions are compiled at their first call unless V8 is told otherwise; the flag must be gone when the cache is
  // written, since it is part of what the reader compares.
  setFlagsFromString('--no-lazy');
  const script = new Script(source, { filename: bundle });
  setFlagsFromString('--lazy');
  writeFileSync(`${bundle}.cache.tmp`, script.createCachedData());
  renameSync(`${bundle}.cache.tmp`, `${bundle}.cache`);
}

if (process.argv.includes('--if-stale') && !isStale()) process.exit(0);
mkdirSync(dist, { recursive: true });
// What commands have learnt of an older bundle (bin/tsrun).
for (const name of readdirSync(dist)) {
  if (/\.cjs\.[a-z]+-.*\.cache/.test(name)) rmSync(join(dist, name), { force: true });
}
buildNative();
await buildBundles();
commandLines.forEach(buildCodeCache);
