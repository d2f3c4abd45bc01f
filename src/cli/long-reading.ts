/** Commands that read what may be long before they show anything. */
import { statSync } from 'node:fs';
import { leaveToLargeEngine } from '../linux/small-engine.ts';

/** Bytes that the small engine reads before the large one would have started. */
const long = 128 * 1024;

/** Leaves the command to the large engine where these files are long together. To be called as `leaveToLargeEngine`. */
export function leaveLongReading(paths: readonly string[]): void {
  const size = paths.reduce((sum, path) => sum + (statSync(path, { throwIfNoEntry: false })?.size ?? 0), 0);
  if (size > long) leaveToLargeEngine();
}
