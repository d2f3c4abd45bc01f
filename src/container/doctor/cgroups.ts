/** Where cgroup v2 is, and which limits it can hold (man 7 cgroups). */
import { findCgroup2, missingController, offeredControllers } from '../../cgroup/index.ts';
import type { Check, Finding } from './finding.ts';

/** Controllers by what they are for. */
const controllers: readonly (readonly [name: string, purpose: string])[] = [
  ['cpu', '--cpus, --cpu-shares and --cpu-quota'],
  ['cpuset', '--cpuset-cpus and --cpuset-mems'],
  ['memory', '--memory and its like'],
  ['pids', '--pids-limit'],
  ['io', 'figures of block I/O'],
];

export const cgroupChecks: Check = {
  area: 'cgroups',
  run() {
    const found = findCgroup2();
    if (found === undefined) {
      return [
        {
          name: 'cgroup v2',
          verdict: 'warning',
          detail: 'not mounted',
          meaning: 'no limit can be held, and processes of a container cannot be frozen or killed as a group',
          remedy: 'mkdir -p /sys/fs/cgroup && mount -t cgroup2 none /sys/fs/cgroup',
        },
      ];
    }
    const { mountPoint } = found;
    const offered = offeredControllers(mountPoint);
    return [
      { name: 'cgroup v2', verdict: 'ok', detail: `mounted at ${mountPoint}` },
      ...controllers.map(([name, purpose]) => controllerFinding(name, purpose, mountPoint, offered)),
    ];
  },
};

function controllerFinding(
  name: string,
  purpose: string,
  mountPoint: string,
  offered: readonly string[],
): Omit<Finding, 'area'> {
  if (offered.includes(name)) return { name: `controller ${name}`, verdict: 'ok', detail: `for ${purpose}` };
  const { message, hint } = missingController(name, purpose, mountPoint);
  return {
    name: `controller ${name}`,
    verdict: 'warning',
    detail: message.slice(message.lastIndexOf('): ') + 3),
    meaning: name === 'io' ? `no ${purpose}` : `refused: ${purpose}`,
    ...(hint === undefined ? {} : { remedy: hint }),
  };
}
