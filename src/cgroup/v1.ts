/**
 * Directories in hierarchies of cgroup v1 (man 7 cgroups): hybrid hosts have these beside cgroup v2, and their controllers hold
 * limits only there. Killing, freezing and device rules stay with cgroup v2, which each container is in too.
 */
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { codeOf, messageOf, TsrunError } from '../error.ts';
import { type MountinfoEntry, parseMountinfo } from '../linux/mountinfo.ts';
import type { LinuxDeviceCgroup, LinuxResources } from '../runtime/spec.ts';
import { step } from '../trace.ts';
import { removeCgroup } from './control.ts';
import { ancestors, isRefusal } from './controllers.ts';
import { parseKeyed, readControl, writeControl } from './files.ts';
import type { CgroupStats } from './stats.ts';
import { makeOwn, writeLimit } from './steps.ts';
import { type V1Setting, v1Settings } from './v1-limits.ts';

export interface Hierarchy {
  mountPoint: string;
  /** `memory`, `cpu`, …; `name=systemd` for one without a controller. */
  controllers: readonly string[];
}

/** What may stand beside controllers in the options of a mount. */
const noController = /^(rw|ro|xattr|noprefix|clone_children|cpuset_v2_mode|favordynmods|release_agent=.*)$/;

/** The hierarchies of v1, each at one of its mount points; none on a host with cgroup v2 alone. */
export function findHierarchies(proc = '/proc/self'): Hierarchy[] {
  const found = new Map<string, Hierarchy>();
  const mounts = parseMountinfo(readFileSync(join(proc, 'mountinfo'), 'utf8')).filter(({ type }) => type === 'cgroup');
  const usual = ({ mountPoint }: MountinfoEntry): boolean => mountPoint.startsWith('/sys/fs/cgroup/');
  for (const { mountPoint, superOptions } of mounts.sort((a, b) => Number(usual(b)) - Number(usual(a)))) {
    const controllers = superOptions.filter((word) => !noController.test(word));
    const key = controllers.join(',');
    if (!found.has(key)) found.set(key, { mountPoint, controllers });
  }
  return [...found.values()];
}

export function boundControllers(hierarchies: readonly Pick<Hierarchy, 'controllers'>[]): Set<string> {
  return new Set(hierarchies.flatMap(({ controllers }) => controllers));
}

/** A container's directory in a hierarchy. */
export interface V1Directory {
  path: string;
  /** Its place below the directory of all hierarchies: `memory`, `cpu,cpuacct`. */
  name: string;
  controllers: readonly string[];
}

/** Where `relative` is in each hierarchy, of those where it is there. */
export function v1Directories(relative: string, hierarchies = findHierarchies()): V1Directory[] {
  return hierarchies
    .map(({ mountPoint, controllers }) => ({
      path: join(mountPoint, relative),
      name: basename(mountPoint),
      controllers,
    }))
    .filter(({ path }) => existsSync(path));
}

/**
 * Makes `relative` in each hierarchy, with limits and device rules. A hierarchy that cannot be written is passed over where
 * nothing is asked of it. Nothing is left behind where it fails. Throws `UNSUPPORTED`, `USAGE`.
 */
export function makeV1(relative: string, resources: LinuxResources, hierarchies: readonly Hierarchy[]): void {
  const settings = v1Settings(resources, boundControllers(hierarchies));
  const made: string[] = [];
  try {
    for (const { mountPoint, controllers } of hierarchies) {
      const path = join(mountPoint, relative);
      const asked = settings.filter(({ controller }) => controllers.includes(controller));
      try {
        for (const directory of ancestors(mountPoint, path).slice(1)) {
          if (makeDirectory(directory)) made.unshift(directory);
          if (controllers.includes('cpuset')) inheritCpuset(directory);
        }
      } catch (cause) {
        if (asked.length === 0 && (isRefusal(cause) || codeOf(cause) === 'ENOENT')) continue;
        throw new TsrunError('UNSUPPORTED', `cannot make cgroup "${path}": ${messageOf(cause)}`, { cause });
      }
      for (const setting of asked) write(path, setting);
      if (controllers.includes('devices')) writeDevices(path, resources.devices);
    }
  } catch (error) {
    for (const path of made) removeCgroup(path);
    throw error;
  }
}

/** Changes limits of a container that is there. */
export function updateV1(directories: readonly V1Directory[], resources: LinuxResources): void {
  const settings = v1Settings(resources, new Set(directories.flatMap(({ controllers }) => controllers)));
  let late: V1Setting | undefined;
  const set = (setting: V1Setting): void => {
    const directory = directories.find(({ controllers }) => controllers.includes(setting.controller));
    if (directory !== undefined) write(directory.path, setting);
  };
  for (const setting of settings) {
    const [file] = setting.files;
    try {
      set(setting);
    } catch (error) {
      // With the present quota the new period may be more than the parent has: then the new quota comes first.
      if (file !== 'cpu.cfs_period_us' || !settings.some(({ files }) => files[0] === 'cpu.cfs_quota_us')) throw error;
      late = setting;
    }
    if (late === undefined || file !== 'cpu.cfs_quota_us') continue;
    set(late);
  }
}

function makeDirectory(path: string): boolean {
  try {
    step(makeOwn(path), () => mkdirSync(path, { mode: 0o755 }));
    return true;
  } catch (error) {
    if (codeOf(error) === 'EEXIST') return false;
    throw error;
  }
}

/** A new directory of cpuset has no processors and takes no process until it has what its parent has. */
function inheritCpuset(path: string): void {
  for (const file of ['cpuset.cpus', 'cpuset.mems']) {
    if (readControl(join(path, file)) !== '') continue;
    writeControl(join(path, file), readControl(join(dirname(path), file)) ?? '');
  }
}

function write(path: string, setting: V1Setting): void {
  const { files, value, wantedBy } = setting;
  const file = files.find((name) => existsSync(join(path, name)));
  if (file === undefined) {
    throw new TsrunError('UNSUPPORTED', `${wantedBy}: this kernel has no file ${files[0]} in "${path}"`);
  }
  const target = join(path, file);
  step(writeLimit(path, { file, value }, `asked for by ${wantedBy}`), () => {
    try {
      // Memory alone is never above memory and swap: of two limits that rise the other comes first.
      if (file === 'memory.limit_in_bytes') raiseSwap(path, value);
      writeControl(target, value);
    } catch (cause) {
      throw new TsrunError(
        'USAGE',
        `${wantedBy}: cannot write ${JSON.stringify(value)} to "${target}": ${messageOf(cause)}`,
        {
          cause,
        },
      );
    }
  });
}

/** Makes room above a limit of memory. What was asked for swap is written after it. */
function raiseSwap(path: string, limit: string): void {
  const file = join(path, 'memory.memsw.limit_in_bytes');
  const now = readControl(file);
  if (now !== undefined && (limit === '-1' || Number(limit) > Number(now))) writeControl(file, limit);
}

/** Rules in their order; later ones win. */
export function writeDevices(path: string, rules: readonly LinuxDeviceCgroup[] | undefined): void {
  for (const { allow, type = 'a', major, minor, access = 'rwm' } of rules ?? []) {
    const number = (value: number | undefined): string => (value === undefined || value < 0 ? '*' : String(value));
    // All devices are all of them, whatever numbers stand beside it.
    const isAll = type === 'a' && major === undefined && minor === undefined;
    const text = isAll ? 'a' : `${type} ${number(major)}:${number(minor)} ${access}`;
    const file = allow ? 'devices.allow' : 'devices.deny';
    step(writeLimit(path, { file, value: text }, 'a rule of linux.resources.devices'), () =>
      writeControl(join(path, file), text),
    );
  }
}

/** Lets a process go on that sits in a frozen directory of the v1 freezer: as long as it does, it cannot even be killed. */
export function thawV1(pid: number): void {
  const freezer = findHierarchies().find(({ controllers }) => controllers.includes('freezer'));
  if (freezer === undefined) return;
  const own = /^\d+:(?:[^:]*,)?freezer(?:,[^:]*)?:(.*)$/m.exec(readControl(`/proc/${pid}/cgroup`) ?? '')?.[1];
  const file = join(freezer.mountPoint, own ?? '', 'freezer.state');
  if (own !== undefined && readControl(file) !== undefined && readControl(file) !== 'THAWED')
    writeControl(file, 'THAWED');
}

/** What the hierarchies tell, where cgroup v2 has no controller to tell it. */
export function addV1Stats(stats: CgroupStats, directories: readonly V1Directory[]): CgroupStats {
  const read = (controller: string, file: string): string | undefined => {
    const directory = directories.find(({ controllers }) => controllers.includes(controller));
    return directory === undefined ? undefined : readControl(join(directory.path, file));
  };
  const number = (controller: string, file: string): number | undefined => {
    const text = read(controller, file);
    return text === undefined || !/^\d+$/.test(text) ? undefined : Number(text);
  };
  // No limit is the largest number that pages can be counted to.
  const limit = (file: string): number | undefined => {
    const value = number('memory', file);
    return value === undefined || value >= 2 ** 62 ? undefined : value;
  };
  const current = number('memory', 'memory.usage_in_bytes');
  const added: CgroupStats = { ...stats };
  if (current !== undefined && stats.memory === undefined) {
    const stat = parseKeyed(read('memory', 'memory.stat'));
    added.memory = {
      current,
      peak: number('memory', 'memory.max_usage_in_bytes'),
      limit: limit('memory.limit_in_bytes'),
      swap: stat.swap,
      swapLimit: limit('memory.memsw.limit_in_bytes'),
      stat: { ...stat, file: stat.cache ?? 0 },
      events: { max: number('memory', 'memory.failcnt') ?? 0 },
    };
  }
  const tasks = number('pids', 'pids.current');
  if (tasks !== undefined) added.pids ??= { current: tasks, limit: number('pids', 'pids.max') };
  return added;
}

/** Whether a process of it was killed for want of memory. */
export function oomKilledV1(directories: readonly V1Directory[]): boolean {
  const directory = directories.find(({ controllers }) => controllers.includes('memory'));
  if (directory === undefined) return false;
  return (parseKeyed(readControl(join(directory.path, 'memory.oom_control'))).oom_kill ?? 0) > 0;
}
