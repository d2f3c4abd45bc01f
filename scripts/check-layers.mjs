/**
 * Holds the rule of docs/architecture.md, "Layers": imports go downward only,
 *   cli -> {build -> container, oci} -> {runtime, image, network, cgroup} -> {program, node} -> linux
 * src/error.ts and src/trace.ts are below everything and import nothing of src. Those of one level do not import
 * each other, with one exception: the types of src/runtime/spec.ts (the OCI runtime configuration), by `import type`.
 * Lessons import linux and program, as `tsrun/linux/…` and `tsrun/program/…`.
 * Only node:* modules and the dependencies listed here may come from outside.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

const checkout = dirname(dirname(fileURLToPath(import.meta.url)));
const source = join(checkout, 'src');

const levels = {
  linux: 0,
  program: 1,
  node: 1,
  runtime: 2,
  image: 2,
  network: 2,
  cgroup: 2,
  container: 3,
  oci: 3,
  build: 4,
  cli: 5,
};
const common = ['error.ts', 'trace.ts'];
const sharedTypes = 'runtime/spec.ts';
/** Package -> the directory of src that may import it. */
const packages = { koffi: 'linux', fzstd: 'image' };

/** Every specifier of a static or dynamic import or a re-export, with whether only types are meant. */
function importsOf(text) {
  const found = [];
  // Comments may show imports; strings never do in this code.
  const code = text
    .replace(/\/\*[\s\S]*?\*\//g, (comment) => comment.replace(/[^\n]/g, ' '))
    .replace(/^\s*\/\/.*$/gm, '');
  const patterns = [
    /\b(?:import|export)\s+(type\s+)?(?:[\w*\s{},$]+?\sfrom\s+)?'([^']+)'/g,
    /\b()(?:import|require)\(\s*'([^']+)'\s*\)/g,
  ];
  for (const pattern of patterns) {
    for (const match of code.matchAll(pattern)) {
      const isTypeQuery = /typeof\s+$/.test(code.slice(0, match.index));
      const line = code.slice(0, match.index).split('\n').length;
      found.push({
        specifier: match[2],
        typeOnly: match[1] !== undefined && match[1] !== '' ? true : isTypeQuery,
        line,
      });
    }
  }
  return found;
}

/** Why `from` may not import `specifier`, or undefined. */
export function violation(from, specifier, typeOnly) {
  const layer = from.split('/')[0];
  if (specifier.startsWith('node:')) return undefined;
  if (!specifier.startsWith('.')) {
    const owner = packages[specifier.split('/')[0]];
    if (owner === undefined) return `"${specifier}" is not a dependency that src may use`;
    return owner === layer ? undefined : `only src/${owner} imports "${specifier}"`;
  }
  const to = join(dirname(from), specifier);
  if (to.startsWith('..')) return `"${specifier}" leaves src`;
  if (common.includes(to)) return undefined;
  if (common.includes(from)) return `src/${from} is below everything and imports nothing of src`;
  const target = to.split('/')[0];
  if (target === layer) return undefined;
  if (levels[target] === undefined || levels[layer] === undefined) return `"${to}" is in no layer`;
  if (levels[target] < levels[layer]) return undefined;
  if (levels[target] > levels[layer]) return `${layer} is below ${target}`;
  if (to === sharedTypes && typeOnly) return undefined;
  return `${layer} and ${target} stand side by side`;
}

let files = 0;
const violations = [];
for (const entry of readdirSync(source, { recursive: true, withFileTypes: true })) {
  if (!entry.isFile() || !entry.name.endsWith('.ts')) continue;
  files++;
  const path = join(entry.parentPath, entry.name);
  const from = relative(source, path);
  for (const { specifier, typeOnly, line } of importsOf(readFileSync(path, 'utf8'))) {
    const why = violation(from, specifier, typeOnly);
    if (why !== undefined) violations.push(`src/${from}:${line}: '${specifier}': ${why}`);
  }
}
// Lessons stand on the two lowest layers, which they import by name, and on nothing else.
for (const entry of readdirSync(join(checkout, 'lessons'), { recursive: true, withFileTypes: true })) {
  if (!entry.isFile() || !entry.name.endsWith('.ts')) continue;
  files++;
  const path = join(entry.parentPath, entry.name);
  for (const { specifier, line } of importsOf(readFileSync(path, 'utf8'))) {
    if (/^(node:|tsrun\/(linux|program|lessons)\/|\.\.?\/(kit|examiner)\.ts$)/.test(specifier)) continue;
    violations.push(
      `${relative(checkout, path)}:${line}: '${specifier}': lessons import linux, program and each other`,
    );
  }
}
for (const line of violations) console.error(line);
console.log(`layers: ${files} files, ${violations.length} violations`);
process.exitCode = violations.length > 0 || files === 0 ? 1 : 0;
