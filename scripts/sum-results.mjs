/**
 * Sums the files of vitest's JSON reporter into one closing line, `N passed, N failed[, N skipped]`. A test file that
 * could not be loaded counts as one failure, and so do the checks (first argument: `passed` or `failed`) as a whole.
 * A run without any test is a failure too.
 */
import { readFileSync } from 'node:fs';

let passed = 0;
let failed = 0;
let skipped = 0;
const failures = [];
const [checks, ...paths] = process.argv.slice(2);
for (const path of paths) {
  const report = JSON.parse(readFileSync(path, 'utf8'));
  for (const file of report.testResults) {
    if (file.status === 'failed' && !file.assertionResults.some((test) => test.status === 'failed')) {
      failed++;
      failures.push(`${file.name}: ${file.message.split('\n')[0]}`);
    }
    for (const test of file.assertionResults) {
      if (test.status === 'passed') passed++;
      else if (test.status === 'failed') {
        failed++;
        failures.push(`${file.name}: ${test.fullName}`);
      } else skipped++;
    }
  }
}
if (paths.length === 0 || passed === 0) failures.push('no test ran');
if (checks === 'passed') passed++;
else {
  failed++;
  failures.push('npm run check');
}
for (const failure of failures) console.log(`failed: ${failure}`);
console.log(`${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`);
process.exitCode = failures.length > 0 ? 1 : 0;
