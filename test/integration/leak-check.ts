/** Around every integration test, and around every file: nothing may be left that was not there before. */
import { afterAll, afterEach, beforeAll, beforeEach } from 'vitest';
import { assertNothingLeft, type Snapshot, snapshot } from './leaks.ts';

let beforeFile: Snapshot;
let beforeTest: Snapshot;
/** What there was at the end of a test of this suite, if that was the last one. */
let after: { suite: unknown; snapshot: Snapshot } | undefined;

// Hooks of a set-up file run first before and last after those of the tests.
beforeAll(async () => {
  after = undefined;
  beforeFile = await snapshot();
});
// On an emulated processor a look takes a second: there only files are looked at.
if (process.env.TSRUN_LEAK_CHECK !== 'file') {
  beforeEach(async ({ task }) => {
    // Between two tests of one suite nothing runs that would have to be looked at again.
    beforeTest = after !== undefined && after.suite === task.suite ? after.snapshot : await snapshot();
    after = undefined;
  });
  afterEach(async ({ task }) => {
    after = { suite: task.suite, snapshot: await assertNothingLeft(beforeTest, 'networks') };
  });
}
afterAll(async () => {
  await assertNothingLeft(beforeFile, 'nothing');
});
