/** All checks of `tsrun doctor`, in the order in which they are shown. */
import { rootDirectory, stateDirectory } from '../../linux/paths.ts';
import { cgroupChecks } from './cgroups.ts';
import { clockChecks } from './clock.ts';
import { type Check, type Finding, findings } from './finding.ts';
import { kernelChecks } from './kernel.ts';
import { leftoverChecks } from './leftovers.ts';
import { limitChecks } from './limits.ts';
import { networkChecks } from './network.ts';
import { storageChecks } from './storage.ts';

export type { Finding, Verdict } from './finding.ts';

/** Looks at everything and changes nothing. */
export function examine(root = rootDirectory(), state = stateDirectory()): Finding[] {
  const checks: Check[] = [
    kernelChecks,
    cgroupChecks,
    networkChecks,
    storageChecks(root, state),
    limitChecks,
    leftoverChecks(root, state),
    clockChecks,
  ];
  return checks.flatMap(findings);
}
