/** cgroup v2: limits, statistics, devices; ending, freezing and removing groups of processes (man 7 cgroups). */
export { freezeCgroup, isFrozen, isPopulated, killCgroup, processesBelow, removeCgroup } from './control.ts';
export { type Cgroup, cgroupPath, createCgroup, createCgroupAt, updateCgroup } from './create.ts';
export { allDevices, defaultDeviceRules } from './devices.ts';
export { type Limit, limits, type Setting, settingsFor } from './limits.ts';
export { type Cgroup2Mount, findCgroup2, missingController, offeredControllers } from './mount.ts';
export { type CgroupStats, oomKilled, readStats } from './stats.ts';
