/** Holds the size of native/: C that a person reads in one sitting, comments included; and that of the small engine's host. */
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const native = join(dirname(dirname(fileURLToPath(import.meta.url))), 'native');
const limits = { machine: 300, total: 2800, host: 1500 };

const linesOf = (name) => readFileSync(join(native, name), 'utf8').trimEnd().split('\n').length;
const filesIn = (directory) =>
  readdirSync(join(native, directory))
    .filter((name) => /\.[ch]$/.test(name))
    .map((name) => join(directory, name));
const sumOf = (files) => files.reduce((sum, name) => sum + linesOf(name), 0);

const files = filesIn('.');
const machine = linesOf('machine.c');
const total = sumOf(files);
const host = sumOf(filesIn('small-engine'));
console.log(
  `native: machine.c ${machine} lines (under ${limits.machine}), all ${files.length} files ${total} (under ${limits.total}), small-engine ${host} (under ${limits.host})`,
);
if (machine >= limits.machine || total >= limits.total || host >= limits.host) {
  console.error('native/ has grown beyond its limit: policy belongs into TypeScript');
  process.exitCode = 1;
}
