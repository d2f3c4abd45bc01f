/** The end of a container's cgroup. What a killed command has made is found by its name, whatever the records say. */
import { existsSync } from 'node:fs';
import { cgroupPath, findCgroup2, killCgroup, removeCgroup } from '../cgroup/index.ts';
import { step } from '../trace.ts';
import * as steps from './steps.ts';

/**
 * Kills what is left in the cgroup of a container and removes it: the `recorded` one, or where no record names one (the start
 * failed, and so did what was to be undone) the one that it would have. Throws `IN_USE` where its processes do not die in time.
 */
export function takeCgroupAway(id: string, recorded = ''): void {
  const path = recorded === '' ? madeBefore(id) : recorded;
  if (path === undefined) return;
  step(steps.removeCgroup(), () => {
    killCgroup(path);
    removeCgroup(path);
  });
}

/** The cgroup that goes by the name of the container, if it is there. */
function madeBefore(id: string): string | undefined {
  const mount = findCgroup2();
  if (mount === undefined) return undefined;
  const path = cgroupPath(id, mount);
  return existsSync(path) ? path : undefined;
}
