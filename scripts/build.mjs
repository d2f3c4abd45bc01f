/**
 * Builds dist/: the C in native/ with make, the command line and the workers with esbuild, and from all of these the
 * executable dist/tsrun with Bun.
 * `npm ci` runs it (lifecycle script `prepare`); `--if-stale` does nothing when dist/ is newer than every source.
 */
import { execFileSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { basename, dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { setFlagsFromString } from 'node:v8';
import { Script } from 'node:vm';
import { setAllocator } from './allocator.mjs';
import { planChunks } from './chunks.mjs';
import { alignSegments, widenCode, writeExecutable } from './elf.mjs';
import { buildSmallEngine, joinEngines, modulesOfLargeEngine, quickjs, readSmallProgram } from './small-engine.mjs';

const checkout = dirname(dirname(fileURLToPath(import.meta.url)));
const dist = join(checkout, 'dist');

/** What is bundled for Node: output name -> source. Each bundle is one file without `node_modules`, koffi apart. */
const bundles = {
  'tsrun.cjs': 'src/cli/main.ts',
  'unpack-worker.cjs': 'src/image/unpack/worker.ts',
  'compress-worker.cjs': 'src/image/push/compress-worker.ts',
};
const natives = ['tsrun-syscall.so', 'tsrun-syscall.bin', 'tsrun-monitor'];
/** What the executable has in it instead of beside it. */
const embedded = ['tsrun-syscall.bin', 'tsrun-monitor'];
/** How much the start of a command matters; of all others a tenth. */
const weights = {
  ...{ run: 5, exec: 5 },
  ...{ create: 1, start: 1, stop: 1, kill: 1, rm: 1, wait: 1, ps: 1, logs: 1, inspect: 1 },
  ...{ images: 1, pull: 1, rmi: 1, version: 1, info: 1 },
};

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

/** The compiler of the executable, which is also its runtime; undefined where npm has none for this machine. */
function findBun() {
  const path = join(
    checkout,
    'node_modules',
    '@oven',
    `bun-linux-${process.arch === 'arm64' ? 'aarch64' : 'x64'}`,
    'bin',
    'bun',
  );
  return existsSync(path) ? path : undefined;
}

function isStale() {
  const outputs = [
    ...natives,
    ...Object.keys(bundles),
    'tsrun.cjs.cache',
    ...(findBun() === undefined ? [] : ['tsrun']),
  ];
  const paths = outputs.map((name) => join(dist, name));
  if (!paths.every((path) => existsSync(path))) return true;
  const own = ['build', 'allocator', 'chunks', 'elf', 'small-engine'].map((name) => `scripts/${name}.mjs`);
  const sources = ['bin', 'src', 'lessons', 'native', 'NOTICE', 'package.json', 'package-lock.json', ...own];
  const latest = Math.max(...sources.map((path) => newest(join(checkout, path))));
  return paths.some((path) => statSync(path).mtimeMs < latest);
}

function buildNative() {
  try {
    execFileSync('make', ['--silent', '-C', join(checkout, 'native'), `TMP=${process.pid}`], {
      stdio: ['ignore', 'inherit', 'inherit'],
    });
  } catch (error) {
    if (error.code === 'ENOENT') fail('make was not found', 'apt install gcc make libc6-dev linux-libc-dev');
    fail(
      'native/ does not compile',
      'needed are a C compiler and the kernel headers: apt install gcc libc6-dev linux-libc-dev',
    );
  }
}

async function loadEsbuild() {
  try {
    return await import('esbuild');
  } catch {
    fail('esbuild is not installed', 'run `npm ci` without --omit=dev: tsrun is built from its sources');
  }
}

const { version } = JSON.parse(readFileSync(join(checkout, 'package.json'), 'utf8'));

/** One file of JavaScript from `source` and all that it imports. */
async function bundle(source, outfile, options) {
  const entry = join(checkout, source);
  if (!existsSync(entry)) fail(`"${source}" does not exist`);
  const esbuild = await loadEsbuild();
  try {
    await esbuild.build({
      entryPoints: [entry],
      outfile,
      bundle: true,
      platform: 'node',
      format: 'cjs',
      target: 'node20',
      // import() of what stays outside becomes require(): a script with a code cache has no loader of modules.
      supported: { 'dynamic-import': false },
      // bin/tsrun.cjs reads the bundle as it is, without decoding it.
      charset: 'ascii',
      // Names stay readable in stack traces; what is taken out is only what costs time to parse.
      minifyWhitespace: true,
      minifySyntax: true,
      keepNames: false,
      legalComments: 'none',
      external: ['koffi'],
      logLevel: 'warning',
      ...options,
      define: { 'import.meta.dirname': '__dirname', TSRUN_VERSION: JSON.stringify(version), ...options.define },
    });
  } catch {
    fail(`cannot bundle ${source}`);
  }
}

async function buildBundles() {
  for (const [name, source] of Object.entries(bundles)) {
    const temporary = join(dist, `${name}.${process.pid}`);
    await bundle(source, temporary, {});
    renameSync(temporary, join(dist, name));
  }
}

/** The lessons and the sources that they import, by path: `tsrun learn` needs them where there is no checkout. */
function courseFiles() {
  const files = {};
  const take = (path) => {
    if (statSync(join(checkout, path)).isDirectory()) {
      for (const name of readdirSync(join(checkout, path))) take(`${path}/${name}`);
    } else files[path] = readFileSync(join(checkout, path), 'utf8');
  };
  for (const path of ['lessons', 'src/linux', 'src/program', 'src/error.ts', 'src/trace.ts']) take(path);
  return files;
}

/** A program as rolldown reads it. */
async function readProgram(source) {
  const { rolldown } = await import('rolldown');
  return rolldown({
    input: { [basename(source, '.ts')]: join(checkout, source) },
    platform: 'node',
    external: [/^node:/, 'koffi'],
    preserveEntrySignatures: 'allow-extension',
    transform: { define: { 'process.arch': JSON.stringify(process.arch) } },
    // Constants of the kernel: a number is read faster than a variable of another file.
    optimization: { inlineConst: { mode: 'all', pass: 2 } },
    checks: { pluginTimings: false, ineffectiveDynamicImport: false },
  });
}

/** The files of a program as a bundler makes them: one for each import(), and for what several share. */
async function chunksOf(program) {
  const { output } = await program.generate({ format: 'es' });
  return output.filter(({ type }) => type === 'chunk');
}

/** Where each module of the command line goes: the name of a file of the executable; none where it has one by itself. */
function planProgram(chunks) {
  const place = new Map(chunks.map(({ fileName }, index) => [fileName, index]));
  // What every command reads is never put together with what some do.
  const allCommands = Object.values(weights).reduce((sum, weight) => sum + weight) * 2;
  const groups = planChunks(
    chunks.map(({ modules, imports }) => ({
      size: Object.values(modules).reduce((sum, { renderedLength }) => sum + renderedLength, 0),
      imports: imports.flatMap((fileName) => place.get(fileName) ?? []),
    })),
    chunks.flatMap(({ isEntry, isDynamicEntry, facadeModuleId }, chunk) => {
      if (!isEntry && !isDynamicEntry) return [];
      const command = relative(join(checkout, 'src/cli/commands'), facadeModuleId ?? '').replace(/\.ts$/, '');
      return { chunk, weight: isEntry ? allCommands : (weights[command] ?? 0.1) };
    }),
  );
  const names = new Map();
  for (const [index, group] of groups.entries()) {
    if (groups.indexOf(group) === groups.lastIndexOf(group)) continue;
    for (const module of Object.keys(chunks[index].modules)) names.set(module, `part-${group}`);
  }
  return names;
}

/**
 * The program as the files that the executable reads: each worker is one, and of the command line each import() has its own,
 * with what they share in as few as is good for the start of the usual commands (chunks.mjs). Returns the entries' paths, and
 * what of it the small engine cannot run.
 */
async function splitProgram(directory) {
  const { 'tsrun.cjs': commandLine, ...workers } = bundles;
  const program = await readProgram(commandLine);
  const chunks = await chunksOf(program);
  const names = planProgram(chunks);
  await program.write({
    dir: directory,
    entryFileNames: '[name].js',
    chunkFileNames: '[name]-[hash].js',
    codeSplitting: {
      includeDependenciesRecursively: false,
      groups: [{ name: (module) => names.get(module) ?? null, debugName: 'parts' }],
    },
  });
  await program.close();
  for (const source of Object.values(workers)) {
    const worker = await readProgram(source);
    await worker.write({ dir: directory, entryFileNames: '[name].js', codeSplitting: false });
    await worker.close();
  }
  return {
    entries: Object.values(bundles).map((source) => join(directory, `${basename(source, '.ts')}.js`)),
    large: modulesOfLargeEngine(chunks),
  };
}

/** The executable's first part: the engine that starts at once, with what of the program it can run. Returns its bytes. */
async function firstPart(objects, directory, large) {
  const { version: bunVersion } = JSON.parse(readFileSync(join(dirname(dirname(findBun())), 'package.json'), 'utf8'));
  const program = await readSmallProgram(
    checkout,
    {
      TSRUN_VERSION: JSON.stringify(version),
      TSRUN_ARCHITECTURE: JSON.stringify(process.arch),
      TSRUN_BUN_VERSION: JSON.stringify(bunVersion),
    },
    large,
  );
  const files = join(directory, 'small');
  const { output } = await program.write({
    dir: files,
    format: 'es',
    entryFileNames: '[name].js',
    chunkFileNames: '[name].js',
  });
  await program.close();
  return buildSmallEngine({
    checkout,
    objects,
    directory: files,
    chunks: output.filter(({ type }) => type === 'chunk'),
    monitor: join(dist, 'tsrun-monitor'),
  });
}

/**
 * dist/tsrun: the command line, the workers, the C and two JavaScript engines in one file that needs no other. Bun compiles
 * most of it: its engine starts in a fifth of Node's time, and takes the program as bytecode. Before it lies the small engine, which
 * starts at once and goes over to Bun's for what it cannot do (small-engine.mjs).
 */
async function buildExecutable() {
  const bun = findBun();
  if (bun === undefined) {
    console.error('build: no executable: npm has installed no Bun for this machine; bin/tsrun uses Node');
    rmSync(join(dist, 'tsrun'), { force: true });
    return;
  }
  const directory = mkdtempSync(join(dist, 'executable.'));
  const contents = Object.fromEntries(embedded.map((name) => [name, readFileSync(join(dist, name), 'base64')]));
  const define = { TSRUN_VERSION: JSON.stringify(version), TSRUN_EMBEDDED: JSON.stringify(contents) };
  try {
    const output = join(directory, 'tsrun');
    const { entries, large } = await splitProgram(directory);
    // One more file of the executable, which nothing else reads: src/cli/learn/course.ts.
    const course = join(directory, 'course.js');
    writeFileSync(course, `export default ${JSON.stringify(courseFiles())};\n`);
    execFileSync(
      bun,
      [
        // Files stay what they are: a command reads but its own part of the program.
        ...[
          'build',
          '--compile',
          '--bytecode',
          '--format=esm',
          '--splitting',
          '--minify-whitespace',
          '--minify-syntax',
        ],
        // What a command does is done before compiling it to machine code, in threads of their own, could pay.
        '--compile-jit-policy=100',
        ...['--no-compile-autoload-dotenv', '--no-compile-autoload-bunfig', '--compile-executable-path', bun],
        ...Object.entries(define).flatMap(([name, value]) => ['--define', `${name}=${value}`]),
        ...['--external', 'koffi', '--entry-naming', '[name].[ext]', '--outfile', output],
        ...entries,
        course,
      ],
      { cwd: directory, stdio: ['ignore', 'ignore', 'pipe'] },
    );
    const bytes = readFileSync(output);
    for (const name of setAllocator(bytes)) {
      console.error(`build: the executable will start slower than it could: its allocator has no option ${name}`);
    }
    const aligned = alignSegments(bytes);
    widenCode(aligned);
    const objects = await quickjs(checkout);
    if (objects === undefined) {
      console.error(
        'build: the executable will start slower than it could: npm cannot fetch the sources of its small engine',
      );
      writeExecutable(output, aligned);
    } else writeExecutable(output, joinEngines(await firstPart(objects, directory, large), aligned));
    renameSync(output, join(dist, 'tsrun'));
  } catch (error) {
    fail(`cannot compile the executable: ${error.stderr?.toString().trim() || error.message}`);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

/**
 * Compiles every function of the command line into V8's code cache: Node then starts with a sixth less of CPU time.
 * Another version of Node refuses the cache and compiles by itself.
 */
function buildCodeCache(name) {
  const path = join(dist, name);
  const source = `(function (exports, require, module, __filename, __dirname) {${readFileSync(path, 'latin1')}\n})`;
  // Functions are compiled at their first call unless V8 is told otherwise; the flag must be gone when the cache is
  // written, since it is part of what the reader compares.
  setFlagsFromString('--no-lazy');
  const script = new Script(source, { filename: path });
  setFlagsFromString('--lazy');
  const temporary = `${path}.cache.${process.pid}`;
  writeFileSync(temporary, script.createCachedData());
  renameSync(temporary, `${path}.cache`);
}

if (process.argv.includes('--if-stale') && !isStale()) process.exit(0);
mkdirSync(dist, { recursive: true });
buildNative();
await buildBundles();
buildCodeCache('tsrun.cjs');
await buildExecutable();
// make leaves alone what is newer than its own sources: all outputs shall be newer than all sources.
for (const name of natives) utimesSync(join(dist, name), new Date(), new Date());
