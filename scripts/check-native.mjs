/** Holds the size of native/: C that a person reads in one sitting, comments included. */
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const native = join(dirname(dirname(fileURLToPath(import.meta.url))), 'native');
const limits = { machine: 300, total: 2800 };

const linesOf = (name) => readFileSync(join(native, name), 'utf8').trimEnd().split('\n').length;

const files = readdirSync(native).filter((name) => /\.[ch]$/.test(name));
const machine = linesOf('machine.c');
const total = files.reduce((sum, name) => sum + linesOf(name), 0);
console.log(
  `native: machine.c ${machine} lines (under ${limits.machine}), all ${files.length} files ${total} (under ${limits.total})`,
);
if (machine >= limits.machine || total >= limits.total) {
  console.error('native/ has grown beyond its limit: policy belongs into TypeScript');
  process.exitCode = 1;
}
