/** What `createCgroup` would do on this machine as it is now, step by step, without doing it. Needs no root. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { LinuxResources } from '../runtime/spec.ts';
import type { Step } from '../trace.ts';
import { accounting, ancestors } from './controllers.ts';
import { PARENT } from './create.ts';
import { devicePolicy } from './devices.ts';
import { settingsFor } from './limits.ts';
import { findCgroup2, readWords } from './mount.ts';
import * as steps from './steps.ts';

export interface CgroupPlan {
  /** The directory of the container's cgroup; undefined where this machine has no cgroup v2. */
  path: string | undefined;
  steps: Step[];
  /** Files and values of the limits, in the order of writing. */
  limits: { file: string; value: string }[];
  /** Controllers that are asked for and that this machine does not offer: the real call would refuse. */
  missing: string[];
}

/** Throws `USAGE` for limits that contradict each other, as the real call does. */
export function planCgroup(id: string, resources: LinuxResources): CgroupPlan {
  const mount = findCgroup2();
  const settings = settingsFor(resources).filter(({ isDefault }) => !isDefault);
  if (mount === undefined) return { path: undefined, steps: [], limits: [], missing: [] };
  const { mountPoint } = mount;
  const needed = new Set(settings.map(({ controller }) => controller).filter((name) => name !== ''));
  const planned: Step[] = [];
  const parent = join(mountPoint, PARENT);
  let offered = readWords(join(mountPoint, 'cgroup.controllers'));
  const missing = [...needed].filter((name) => !offered.includes(name));
  for (const directory of ancestors(mountPoint, parent)) {
    if (!existsSync(directory)) planned.push(steps.makeParent(directory));
    else offered = readWords(join(directory, 'cgroup.controllers'));
    const enabled = readWords(join(directory, 'cgroup.subtree_control'));
    const occupied = directory === parent && readWords(join(directory, 'cgroup.procs')).length > 0;
    const wanted = offered.filter((name) => needed.has(name) || (!occupied && accounting.includes(name)));
    for (const name of wanted) if (!enabled.includes(name)) planned.push(steps.enableController(name, directory));
    offered = [...new Set([...enabled, ...wanted])];
  }
  const path = join(parent, id);
  planned.push(steps.makeOwn(path));
  for (const setting of settings) planned.push(steps.writeLimit(path, setting, setting.why));
  const policy = resources.devices === undefined ? undefined : devicePolicy(resources.devices);
  if (policy !== undefined && !(policy.allowed && policy.exceptions.length === 0)) {
    planned.push(steps.deviceControl(policy.exceptions.length));
  }
  return { path, steps: planned, limits: settings.map(({ file, value }) => ({ file, value })), missing };
}

/** What is done with it at the end; `populated`: something of the container still runs in it. */
export function planRemoval(path: string, populated: boolean): Step[] {
  return [...(populated ? [steps.killAll(path)] : []), steps.removeOwn(path)];
}
