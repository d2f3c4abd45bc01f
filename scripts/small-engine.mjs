/**
 * The small engine of the executable: QuickJS (https://bellard.org/quickjs/, version 2021-03-27, MIT) with the host of
 * native/small-engine and the program as bytecode. docs/decisions/0086 says why there are two.
 */
import { execFile, execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { promisify } from 'node:util';
import { fillHugePage, hugePage } from './elf.mjs';

const run = promisify(execFile);

/** The package whose sources are compiled; nothing of it is run, and of what it depends on nothing is needed. */
const source = {
  name: 'qjsc@0.3.0',
  integrity: 'sha512-a7+cU6/IVcZbIejffdt/wZVMX6LL2MDL3HQ9Zb5Gm23G9DvBMS/z9GHFxz39bAvp2PvMOM+ypSOAyokt2DdZ2w==',
  directory: 'package/deps/quickjs_2021_03_27',
  version: '2021-03-27',
};
const parts = ['quickjs', 'libregexp', 'libunicode', 'cutils', 'libbf'];
/** Which blocks of memory the usual commands touch: scripts/profile.mjs writes it. */
export const profilePath = 'native/small-engine/profile.txt';
/** The regions of native/small-engine/host.h, for blocks that commands touch: written by all, by some; read by all, by some; others. */
export const regions = { allWrite: 0, someWrite: 1, allRead: 2, someRead: 3, cold: 4 };
const host = ['host', 'arena', 'text', 'sha256', 'hand-over'];
/** ARENA_IN_FILE of native/small-engine/host.h: where the loaded program lies in the executable. */
const arenaAt = 4 * 1024 * 1024;
/** The place of `large_at` in struct arena_head. */
const largePlace = 8;
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
    let name;
    try {
      name = execFileSync('npm', ['pack', '--silent', source.name], {
        cwd: temporary,
        encoding: 'utf8',
        stdio: ['ignore', 'pipe', 'inherit'],
      }).trim();
    } catch {
      return undefined;
    }
    const archive = join(temporary, name);
    const hash = createHash('sha512').update(readFileSync(archive)).digest('base64');
    if (`sha512-${hash}` !== source.integrity) throw new Error(`${source.name} is not the file that it was`);
    execFileSync('tar', ['xzf', archive, '--strip-components=3', source.directory], { cwd: temporary });
    const compile = (part) =>
      run(
        process.env.CC ?? 'cc',
        [
          '-O2',
          '-w',
          '-fwrapv',
          '-fno-pie',
          '-D_GNU_SOURCE',
          '-DCONFIG_BIGNUM',
          `-DCONFIG_VERSION="${source.version}"`,
          '-c',
          `${part}.c`,
        ],
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
export async function readSmallProgram(checkout, define, large, main = 'src/cli/small.ts') {
  const { rolldown } = await import('rolldown');
  return rolldown({
    // In this order: a class that extends Error is to extend that of the first one, and most files take the globals for granted.
    input: {
      language: join(checkout, 'src/node/language.ts'),
      globals: join(checkout, 'src/node/globals.ts'),
      main: join(checkout, main),
    },
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

/** The first script, which is empty: what belongs to the engine itself is noted under its name. */
const first = 'engine.js';
/** The last one: where the parts of the program are that it imports when it needs them. */
const last = 'parts.js';

function tableOf(parts) {
  const imports = parts.map((name, index) => `import * as part${index} from "./${name}";\n`);
  const table = parts.map((name, index) => `${JSON.stringify(name)}: part${index}`);
  return `${imports.join('')}const parts = {${table.join(', ')}};
tsrunEngine.module = async (name) => parts[name] ?? tsrunEngine.handOver();\n`;
}

/** The files, each behind those that it imports. */
function inOrder(chunks) {
  const files = byName(chunks);
  const ordered = new Set();
  const seen = new Set();
  const visit = (name) => {
    const chunk = files.get(name);
    if (chunk === undefined || seen.has(name)) return;
    seen.add(name);
    for (const imported of chunk.imports) visit(imported);
    ordered.add(name);
  };
  for (const name of ['language.js', 'globals.js', 'main.js']) visit(name);
  for (const { fileName } of chunks) visit(fileName);
  return [...ordered];
}

/** A line for each file: its name, then for each of its first blocks the region, with a number of repetitions where there are many. */
function readProfile(text) {
  return text
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map((line) => {
      const [name, ...runs] = line.split(' ');
      const numbers = runs.flatMap((run) => {
        const [region, count = '1'] = run.split('*');
        return Array(Number(count)).fill(Number(region));
      });
      return [name, Uint8Array.from(numbers)];
    });
}

/** The opposite: `profile` has for each file the regions of its blocks. */
export function writeProfile(profile) {
  const lines = [...profile].map(([name, numbers]) => {
    const end = numbers.findLastIndex((region) => region !== regions.cold) + 1;
    const runs = [];
    for (const region of numbers.slice(0, end)) {
      if (runs.at(-1)?.region === region) runs.at(-1).count++;
      else runs.push({ region, count: 1 });
    }
    return [name, ...runs.map(({ region, count }) => (count === 1 ? `${region}` : `${region}*${count}`))].join(' ');
  });
  return `# Which blocks of the small engine's memory the usual commands touch: made by scripts/profile.mjs, read by scripts/small-engine.mjs.\n${lines.join('\n')}\n`;
}

/**
 * The small engine with the program loaded into its memory, `chunks` as rolldown has written them to `directory`: the first part of
 * an executable, which `joinEngines` completes.
 */
export async function buildSmallEngine({ checkout, objects, directory, chunks, monitor }) {
  const profile = existsSync(join(checkout, profilePath)) ? readFileSync(join(checkout, profilePath), 'utf8') : '';
  const path = (name) => join(directory, name);
  const { transform } = await import('esbuild');
  const all = byName(chunks);
  const scripts = inOrder(chunks.filter((chunk) => !isLarge(chunk, all, new Set())));
  for (const name of scripts) {
    const { code } = await transform(readFileSync(path(name), 'utf8'), {
      format: 'esm',
      target: 'es2020',
      supported,
      minifyWhitespace: true,
      minifySyntax: true,
      legalComments: 'none',
    });
    // What is loaded already is found in a table, which is less than what the engine does to look for it.
    writeFileSync(path(name), code.replace(/\bimport\("\.\/([^"]+)"\)/g, 'tsrunEngine.module("$1")'));
  }
  const imported = new Set(chunks.flatMap(({ dynamicImports }) => dynamicImports));
  writeFileSync(path(first), '');
  writeFileSync(path(last), tableOf(scripts.filter((name) => imported.has(name))));
  const files = [first, ...scripts, last];
  for (const [name, bytes] of readProfile(profile))
    if (files.includes(name)) writeFileSync(path(`${name}.profile`), bytes);
  const cc = process.env.CC ?? 'cc';
  const flags = [
    '-O2',
    '-Wall',
    '-Wextra',
    '-Wno-unused-parameter',
    '-Wno-cast-function-type',
    '-D_GNU_SOURCE',
    '-fno-pie',
    `-I${objects}`,
  ];
  const own = join(checkout, 'native', 'small-engine');
  const libraries = [...parts.map((part) => join(objects, `${part}.o`)), '-lm', '-lpthread'];
  execFileSync(cc, [...flags, '-no-pie', '-o', path('compile'), join(own, 'compile.c'), ...libraries]);
  execFileSync(path('compile'), [path('program'), ...files.map(path)]);
  const layout = `-Wl,-Ttext-segment=${textAddress},-z,noseparate-code,-z,max-page-size=${hugePage},--build-id=none`;
  execFileSync(cc, [
    ...flags,
    ...[
      '-static',
      '-no-pie',
      layout,
      ...(process.env.TSRUN_SYMBOLS === undefined ? ['-s'] : []),
      `-DMONITOR="${monitor}"`,
      `-DNOTICE="${join(checkout, 'NOTICE')}"`,
    ],
    ...['-o', path('engine'), ...host.map((name) => join(own, `${name}.c`)), join(checkout, 'native', 'syscall.c')],
    ...libraries,
  ]);
  // scripts/profile.mjs asks where each block is.
  if (process.env.TSRUN_BLOCKS) writeFileSync(`${process.env.TSRUN_BLOCKS}.files`, `${files.join('\n')}\n`);
  execFileSync(path('engine'), [path('program'), path('arena')], { stdio: ['ignore', 'inherit', 'inherit'] });
  const engine = readFileSync(path('engine'));
  if (engine.length > arenaAt) throw new Error(`the small engine has ${engine.length} bytes, more than ${arenaAt}`);
  return Buffer.concat([engine, Buffer.alloc(arenaAt - engine.length), readFileSync(path('arena'))]);
}

/** One file of both engines, each at a border of huge pages. */
export function joinEngines(small, large) {
  fillHugePage(small);
  const largeAt = Math.ceil(small.length / hugePage) * hugePage;
  small.writeBigUInt64LE(BigInt(largeAt), arenaAt + largePlace);
  return Buffer.concat([small, Buffer.alloc(largeAt - small.length), large]);
}
