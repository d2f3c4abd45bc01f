/**
 * Sums the files of vitest's JSON reporter into one closing line, `N passed, N failed[, N skipped]`. A test file that
 * could not be loaded counts as one failure, and so do the checks (first argument: `passed` or `failed`) as a whole.
 * A run without any test is a failure too. `NAME.again.json` has the second attempt of some files of `NAME.json`.
 *
 * With `--failed-files REPORT` it prints the test files of a report in which something failed, a line each.
 */
import { readFileSync } from 'node:fs';
import { basename } from 'node:path';

/** The messages of a file's failures. */
function failuresOf(file) {
  const failed = file.assertionResults.filter((test) => test.status === 'failed');
  if (failed.length > 0) return failed.map((test) => `${file.name}: ${test.fullName}`);
  return file.status === 'failed' ? [`${file.name}: ${file.message.split('\n')[0]}`] : [];
}

const read = (path) => JSON.parse(readFileSync(path, 'utf8')).testResults;
const count = (file, ...states) => file.assertionResults.filter((test) => states.includes(test.status)).length;

const [first, ...paths] = process.argv.slice(2);
if (first === '--failed-files') {
  for (const file of read(paths[0])) if (failuresOf(file).length > 0) console.log(file.name);
  process.exit();
}

const isAgain = (path) => path.endsWith('.again.json');
/** Report and file -> its results; a second attempt takes the place of the first. */
const files = new Map();
const late = [];
for (const path of [...paths.filter((path) => !isAgain(path)), ...paths.filter(isAgain)]) {
  const report = basename(path).replace('.again', '');
  for (const file of read(path)) {
    if (isAgain(path)) late.push(...failuresOf(files.get(`${report} ${file.name}`)));
    files.set(`${report} ${file.name}`, file);
  }
}

const all = [...files.values()];
const failures = all.flatMap(failuresOf);
let passed = all.reduce((sum, file) => sum + count(file, 'passed'), 0);
let failed = failures.length;
const skipped = all.reduce((sum, file) => sum + count(file, 'pending', 'skipped', 'todo', 'disabled'), 0);
if (passed === 0) failures.push('no test ran');
if (first === 'passed') passed++;
else {
  failed++;
  failures.push('npm run check');
}
for (const line of late.filter((line) => !failures.includes(line)))
  console.log(`passed at the second attempt: ${line}`);
for (const failure of failures) console.log(`failed: ${failure}`);
console.log(`${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`);
process.exitCode = failures.length > 0 ? 1 : 0;
