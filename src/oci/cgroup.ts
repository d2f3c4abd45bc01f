/**
 * The cgroup of an OCI container: where it is (config-linux.md, "Cgroups Path"), and what of the resources that callers
 * send by habit asks for nothing.
 */
import { existsSync, readFileSync } from 'node:fs';
import { join, normalize } from 'node:path';
import {
  boundControllers,
  createCgroupAt,
  findCgroup2,
  findHierarchies,
  isFrozen,
  isPopulated,
  killCgroup,
  makeV1,
  removeCgroup,
  updateCgroup,
  updateV1,
  type V1Directory,
  v1Directories,
  withoutV1,
} from '../cgroup/index.ts';
import { TsrunError } from '../error.ts';
import { close } from '../linux/fs.ts';
import type { LinuxDeviceCgroup, LinuxResources, Mount, Spec } from '../runtime/spec.ts';
import type { CgroupPlace } from './store.ts';

export type CgroupManager = 'cgroupfs' | 'systemd' | 'disabled';

/** What each container may use, whatever the rules say before: the devices that each container has. */
const always: readonly LinuxDeviceCgroup[] = [
  ...(['c', 'b'] as const).map((type) => ({ allow: true, type, access: 'm' })),
  ...[
    [1, 3],
    [1, 8],
    [1, 7],
    [5, 0],
    [1, 5],
    [1, 9],
    [5, 2],
  ].map(([major = 0, minor = 0]) => ({ allow: true, type: 'c' as const, major, minor, access: 'rwm' })),
  { allow: true, type: 'c', major: 136, access: 'rwm' },
];

/** The path below the mount point. `slice:prefix:name` is systemd's way to write it. */
export function cgroupPath(id: string, path: string | undefined, manager: CgroupManager): string {
  if (manager !== 'systemd') return normalize(`/${path === undefined || path === '' ? id : path}`);
  const [slice = '', prefix = '', name = ''] =
    path === undefined || path === '' ? ['system.slice', 'tsrun', id] : path.split(':');
  if (name === '') {
    throw new TsrunError('USAGE', `expected cgroupsPath to be of format "slice:prefix:name" for systemd cgroups`, {
      hint: `it is ${JSON.stringify(path)}: leave --systemd-cgroup out, or configure the caller for systemd's cgroups`,
    });
  }
  const unit = name.endsWith('.slice') ? name : `${prefix === '' ? '' : `${prefix}-`}${name}.scope`;
  return join('/', expandSlice(slice === '' ? 'system.slice' : slice), unit);
}

/** `a-b.slice` lies in `a.slice` (man 5 systemd.slice). */
export function expandSlice(slice: string): string {
  if (slice === '-.slice') return '';
  const parts = slice.replace(/\.slice$/, '').split('-');
  if (!slice.endsWith('.slice') || slice.includes('/') || parts.includes('')) {
    throw new TsrunError('USAGE', `invalid slice name: ${JSON.stringify(slice)}`);
  }
  return parts.map((_, index) => `${parts.slice(0, index + 1).join('-')}.slice`).join('/');
}

/** Without what means nothing: zeros, and values of cgroup v1 that are the usual ones there. */
export function meaningful(resources: LinuxResources): LinuxResources {
  const { memory, network, cpu, pids, blockIO, ...rest } = resources;
  const kept: LinuxResources = { ...rest };
  if (memory !== undefined) {
    const { swappiness, disableOOMKiller, kernel: _1, kernelTCP: _2, ...limits } = memory;
    kept.memory = {
      ...limits,
      // 60 is what the kernel has, -1 and 2^64-1 are docker's way to write none.
      ...(swappiness === undefined || swappiness < 0 || swappiness > 100 || swappiness === 60 ? {} : { swappiness }),
      ...(disableOOMKiller === true ? { disableOOMKiller } : {}),
    };
  }
  if (network?.classID || network?.priorities?.length) kept.network = network;
  if (cpu !== undefined) {
    const { burst, idle, ...limits } = cpu;
    kept.cpu = { ...limits, ...(burst ? { burst } : {}), ...(idle ? { idle } : {}) };
  }
  if (pids !== undefined && pids.limit !== 0) kept.pids = pids;
  if (blockIO !== undefined) kept.blockIO = blockIO;
  return kept;
}

/** What a new cgroup has anyway needs no controller: ctr and others send the usual share. */
function withoutUsual(limits: LinuxResources): LinuxResources {
  if (limits.cpu?.shares !== usualShares) return limits;
  const { shares: _, ...cpu } = limits.cpu;
  return { ...limits, cpu };
}
const usualShares = 1024;

export interface MadeCgroup {
  /** Absolute; empty: none. */
  path: string;
  fd: number;
  /** Its place in the hierarchies of cgroup v1 on a hybrid host; empty: none. */
  v1: string;
}

const none: MadeCgroup = { path: '', fd: -1, v1: '' };

/** Makes the container's cgroup with its limits and device rules; `intend` is told before where that will be. */
export function makeCgroup(
  id: string,
  spec: Spec,
  manager: CgroupManager,
  intend: (place: CgroupPlace) => void,
): MadeCgroup {
  const resources = meaningful(spec.linux?.resources ?? {});
  const { devices = [{ allow: false, access: 'rwm' }], ...limits } = resources;
  if (manager === 'disabled') return none;
  const found = findCgroup2();
  const path = cgroupPath(id, spec.linux?.cgroupsPath, manager);
  if (found !== undefined) checkUnused(join(found.mountPoint, path));
  else {
    const asked = Object.values(limits).some((value) => value !== undefined && Object.keys(value).length > 0);
    if (!asked) return none;
  }
  const hierarchies = path === '/' ? [] : findHierarchies();
  for (const { path: directory } of v1Directories(path, hierarchies)) checkThawed(directory);
  const rules = [...devices, ...always];
  const v2 = withoutV1(withoutUsual(limits), boundControllers(hierarchies));
  if (path !== '/' && found !== undefined) {
    intend({ cgroup: join(found.mountPoint, path), v1: hierarchies.length === 0 ? '' : path });
  }
  const made = createCgroupAt(path.slice(1), { ...v2, devices: rules });
  if (hierarchies.length === 0) return { ...made, v1: '' };
  try {
    makeV1(path, { ...limits, devices: rules }, hierarchies);
  } catch (error) {
    close(made.fd);
    removeCgroup(made.path);
    throw error;
  }
  return { ...made, v1: path };
}

/** Changes limits of a container that is there. */
export function updateLimits(path: string, v1: string | undefined, limits: LinuxResources): void {
  const directories = directoriesOf(v1);
  const rest = withoutV1(limits, boundControllers(directories));
  if (Object.values(rest).some((part) => part !== undefined && Object.keys(part).length > 0)) updateCgroup(path, rest);
  updateV1(directories, limits);
}

/** The files that a process writes itself to, to be in the directories of cgroup v1. */
export function v1Procs(v1: string): string[] {
  return directoriesOf(v1).map(({ path }) => join(path, 'cgroup.procs'));
}

/** A container's directories in cgroup v1. */
export function directoriesOf(v1: string | undefined): V1Directory[] {
  return v1 === undefined || v1 === '' ? [] : v1Directories(v1);
}

/** Ends what is in a container's cgroup and takes it away. */
export function endCgroup({ cgroup, v1 }: { cgroup: string; v1?: string }): void {
  if (cgroup === '') return;
  killCgroup(cgroup);
  removeCgroup(cgroup);
  for (const { path } of directoriesOf(v1)) removeCgroup(path);
}

/** A cgroup that is there is taken when nothing is in it: whoever deletes the container ends all that is. */
function checkUnused(path: string): void {
  if (isPopulated(path)) {
    throw new TsrunError('CONFLICT', "container's cgroup is not empty", {
      hint: `its processes are listed in ${join(path, 'cgroup.procs')}: end them, or choose another cgroupsPath`,
    });
  }
  if (isFrozen(path)) {
    throw new TsrunError('CONFLICT', "container's cgroup unexpectedly frozen", {
      hint: `echo 0 >${join(path, 'cgroup.freeze')}`,
    });
  }
}

/** Who enters a frozen directory of the v1 freezer stays there. */
function checkThawed(directory: string): void {
  const file = join(directory, 'freezer.state');
  if (!existsSync(file) || readFileSync(file, 'latin1').trim() === 'THAWED') return;
  throw new TsrunError('CONFLICT', "container's cgroup unexpectedly frozen", { hint: `echo THAWED >${file}` });
}

/**
 * Mounts of type cgroup. In a container without a cgroup namespace they show its own cgroup: a new mount would show those of
 * the whole host. On a hybrid host they show its directories in all hierarchies, side by side as on the host.
 */
export function ownCgroupMounts(spec: Spec, made: Pick<MadeCgroup, 'path' | 'v1'>): Mount[] {
  const mounts = spec.mounts ?? [];
  const isPrivate = (spec.linux?.namespaces ?? []).some(({ type }) => type === 'cgroup');
  // Without one of its own it is the caller's.
  const found = findCgroup2();
  const path = made.path || (found === undefined ? '' : join(found.mountPoint, found.ownPath));
  const directories = directoriesOf(made.v1);
  return mounts.flatMap((mount) => {
    if (mount.type === 'cgroup' && directories.length > 0) return hybridMounts(mount, path, directories);
    if (isPrivate || path === '' || (mount.type !== 'cgroup' && mount.type !== 'cgroup2')) return [mount];
    return [bindOf(mount, path, mount.destination)];
  });
}

function bindOf({ options = [] }: Mount, source: string, destination: string): Mount {
  return { type: 'bind', source, destination, options: ['bind', ...options] };
}

function hybridMounts(mount: Mount, path: string, directories: readonly V1Directory[]): Mount[] {
  const { destination, options = [] } = mount;
  const below = (name: string): string => join(destination, name);
  const flags = options.filter((word) => !word.startsWith('mode=') && !word.startsWith('size='));
  const bound = { ...mount, options: flags };
  return [
    { destination, type: 'tmpfs', source: 'tmpfs', options: [...flags, 'mode=755'] },
    ...directories.flatMap(({ path: source, name, controllers }) =>
      // Controllers that share a hierarchy are found by the name of each, as on the host.
      [...new Set([name, ...(controllers.length > 1 ? controllers : [])])].map((each) =>
        bindOf(bound, source, below(each)),
      ),
    ),
    ...(path === '' ? [] : [bindOf(bound, path, below('unified'))]),
  ];
}

export function closeCgroup({ fd }: MadeCgroup): void {
  close(fd);
}
