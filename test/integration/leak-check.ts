/** Around every integration test, and around every file: nothing may be left that was not there before. */
import { afterAll, afterEach, beforeAll, beforeEach } from 'vitest';
import { assertNothingLeft, type Snapshot, snapshot } from './leaks.ts';

let beforeFile: Snapshot;
let beforeTest: Snapshot;

// Hooks of a set-up file run first before and last after those of the tests.
beforeAll(() => {
  beforeFile = snapshot();
});
// On an emulated processor a look takes a second: there only files are looked at.
if (process.env.TSRUN_LEAK_CHECK !== 'file') {
  beforeEach(() => {
    beforeTest = snapshot();
  });
  afterEach(() => assertNothingLeft(beforeTest, 'networks'));
}
afterAll(() => assertNothingLeft(beforeFile, 'nothing'));
