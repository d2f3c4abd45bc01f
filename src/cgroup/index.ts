/** cgroup v2: limits, statistics, devices; ending, freezing and removing groups of processes (man 7 cgroups). */
export { birthCgroup } from './birth.ts';
export { freezeCgroup, isPopulated, killCgroup, processesBelow, removeCgroup } from './control.ts';
export { type Cgroup, cgroupPath, createCgroup, createCgroupAt, updateCgroup } from './create.ts';
export { allDevices, defaultDeviceRules } from './devices.ts';
export { isFrozen } from './files.ts';
export { type Limit, limits, type Setting, settingsFor } from './limits.ts';
export { type Cgroup2Mount, findCgroup2, missingController, offeredControllers } from './mount.ts';
export { type CgroupStats, oomKilled, readStats } from './stats.ts';
export {
  addV1Stats,
  boundControllers,
  findHierarchies,
  makeV1,
  oomKilledV1,
  thawV1,
  updateV1,
  type V1Directory,
  v1Directories,
} from './v1.ts';
export { withoutV1 } from './v1-limits.ts';
