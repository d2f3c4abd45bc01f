/**
 * The small engine of the executable: QuickJS (https://bellard.org/quickjs/, version 2021-03-27, MIT) with the host of
 * native/small-engine and the program as bytecode. docs/decisions/0086 says why there are two.
 */
import { execFile, execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** The package whose sources are compiled; nothing of it is run, and of what it depends on nothing is needed. */
const source = {
  name: 'qjsc@0.3.0',
  integrity: 'sha512-a7+cU6/IVcZbIejffdt/wZVMX6LL2MDL3HQ9Zb5Gm23G9DvBMS/z9GHFxz39bAvp2PvMOM+ypSOAyokt2DdZ2w==',
  directory: 'package/deps/quickjs_2021_03_27',
  version: '2021-03-27',
};
const parts = ['quickjs', 'libregexp', 'libunicode', 'cutils', 'libbf'];
const host = ['host', 'text', 'sha256', 'hand-over'];
/** Where the large engine begins in the executable: LARGE_ENGINE_AT of native/small-engine/host.h, at a border of huge pages. */
const largeEngineAt = 4 * 1024 * 1024;
/** Where the small engine lies in memory: not where the large one will, which is linked to begin at 2 MiB and ends before 128. */
const textAddress = '0x10000000';

/** Modules of Node that src/node stands in for. */
const ownModules = {
  'node:fs': 'src/node/fs.ts',
  'node:path': 'src/node/path.ts',
  'node:os': 'src/node/os.ts',
  'node:buffer': 'src/node/buffer.ts',
  'node:timers/promises': 'src/node/timers-promises.ts',
  'node:module': 'src/node/module.ts',
};

/** The objects of QuickJS in a directory of their own, compiled where they are not yet; undefined where their sources cannot be had. */
export async function quickjs(checkout) {
  const directory = join(checkout, 'node_modules', '.cache', `quickjs-${source.version}-${process.arch}`);
  if (existsSync(directory)) return directory;
  const temporary = `${directory}.${process.pid}`;
  mkdirSync(temporary, { recursive: true });
  try {
    const archive = join(temporary, execFileSync('npm', ['pack', '--silent', source.name], { cwd: temporary, encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] }).trim());
    const hash = createHash('sha512').update(readFileSync(archive)).digest('base64');
    if (`sha512-${hash}` !== source.integrity) throw new Error(`${source.name} is not the file that it was`);
    execFileSync('tar', ['xzf', archive, '--strip-components=3', source.directory], { cwd: temporary });
    const compile = (part) =>
      run(
        process.env.CC ?? 'cc',
        ['-O2', '-w', '-fwrapv', '-fno-pie', '-D_GNU_SOURCE', '-DCONFIG_BIGNUM', `-DCONFIG_VERSION="${source.version}"`, '-c', `${part}.c`],
        { cwd: temporary },
      );
    await Promise.all(parts.map(compile));
    rmSync(archive);
    renameSync(temporary, directory);
    return directory;
  } finally {
    rmSync(temporary, { recursive: true, force: true });
  }
}

/**
 * The modules that the program imports dynamically and that need, with what they import, a module of Node that nobody stands in for.
 * `chunks` is the program as a bundler splits it, with Node's modules outside of it.
 */
export function modulesOfLargeEngine(chunks) {
  const files = byName(chunks);
  const entries = chunks.filter((chunk) => chunk.isDynamicEntry && isLarge(chunk, files, new Set()));
  return new Set(entries.map(({ facadeModuleId }) => facadeModuleId));
}

const byName = (chunks) => new Map(chunks.map((chunk) => [chunk.fileName, chunk]));

/** Whether a file imports, itself or by others, a module that nobody stands in for. */
function isLarge({ imports }, files, seen) {
  return imports.some((name) => {
    if (seen.has(name)) return false;
    seen.add(name);
    const chunk = files.get(name);
    return chunk === undefined ? !Object.hasOwn(ownModules, name) : isLarge(chunk, files, seen);
  });
}

/** The program as rolldown reads it for the small engine: `large` are modules at whose import the host hands over. */
export async function readSmallProgram(checkout, define, large) {
  const { rolldown } = await import('rolldown');
  return rolldown({
    input: { main: join(checkout, 'src/cli/small.ts') },
    platform: 'node',
    external: ['koffi'],
    plugins: [
      {
        name: 'own-modules',
        async resolveId(id, importer, { kind }) {
          if (Object.hasOwn(ownModules, id)) return join(checkout, ownModules[id]);
          if (kind !== 'dynamic-import') return null;
          if (id.startsWith('node:')) return { id, external: true };
          const found = await this.resolve(id, importer, { skipSelf: true });
          return found !== null && large.has(found.id) ? { id: `large:${basename(id)}`, external: true } : null;
        },
      },
    ],
    preserveEntrySignatures: 'allow-extension',
    transform: { define: { 'process.arch': JSON.stringify(process.arch), 'import.meta.dirname': '"/"', ...define } },
    optimization: { inlineConst: { mode: 'all', pass: 2 } },
    checks: { pluginTimings: false, ineffectiveDynamicImport: false },
  });
}

/** Syntax that QuickJS has beyond ES2020. */
const supported = {
  'class-field': true,
  'class-private-accessor': true,
  'class-private-field': true,
  'class-private-method': true,
  'class-private-static-accessor': true,
  'class-private-static-field': true,
  'class-private-static-method': true,
  'class-static-field': true,
  'logical-assignment': true,
};

/**
 * Compiles the program, `chunks` as rolldown has written them to `directory`, and what else is put in, to `output`: an executable that
 * ends before `largeEngineAt`.
 */
export async function linkSmallEngine({ checkout, directory, chunks, artifacts, output }) {
  const objects = await quickjs(checkout);
  const { transform } = await import('esbuild');
  const scripts = chunks.filter((chunk) => !isLarge(chunk, byName(chunks), new Set())).map(({ fileName }) => fileName);
  for (const name of scripts) {
    const path = join(directory, name);
    const { code } = await transform(readFileSync(path, 'utf8'), {
      format: 'esm',
      target: 'es2020',
      supported,
      minifyWhitespace: true,
      minifySyntax: true,
      legalComments: 'none',
    });
    writeFileSync(path, code);
  }
  const cc = process.env.CC ?? 'cc';
  const flags = ['-O2', '-Wall', '-Wextra', '-Wno-unused-parameter', '-Wno-cast-function-type', '-D_GNU_SOURCE', `-I${objects}`];
  const own = join(checkout, 'native', 'small-engine');
  const libraries = [...parts.map((part) => join(objects, `${part}.o`)), '-lm', '-lpthread'];
  const compiler = join(directory, 'compile');
  const program = join(directory, 'program.bin');
  execFileSync(cc, [...flags, '-fno-pie', '-no-pie', '-o', compiler, join(own, 'compile.c'), ...libraries]);
  execFileSync(compiler, [program, ...scripts.map((name) => join(directory, name)), ...artifacts]);
  execFileSync(cc, [
    ...flags,
    ...['-static', '-fno-pie', '-no-pie', `-Wl,-Ttext-segment=${textAddress},-z,noseparate-code,--build-id=none`, '-s', `-DPROGRAM="${program}"`, `-DLARGE_ENGINE_AT=${largeEngineAt}UL`, '-o', output],
    ...host.map((name) => join(own, `${name}.c`)),
    join(checkout, 'native', 'syscall.c'),
    ...libraries,
  ]);
}

/** One file of both engines. Throws where the small one has grown beyond its place. */
export function joinEngines(small, large) {
  if (small.length > largeEngineAt) throw new Error(`the small engine has ${small.length} bytes, more than ${largeEngineAt}`);
  return Buffer.concat([small, Buffer.alloc(largeEngineAt - small.length), large]);
}
