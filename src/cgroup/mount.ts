/**
 * Where cgroup v2 is on this host, which controllers it offers, and why one is missing (man 7 cgroups; the kernel's
 * Documentation/admin-guide/cgroup-v2.rst). Hybrid hosts have a v2 hierarchy too, at a mount point of its own and with
 * the controllers that v1 left over: often none.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { TsrunError } from '../error.ts';
import { type MountinfoEntry, parseMountinfo } from '../linux/mountinfo.ts';

export interface Cgroup2Mount {
  /** `/sys/fs/cgroup`, on hybrid hosts `/sys/fs/cgroup/unified`. */
  mountPoint: string;
  /** This process's cgroup, below the mount point: `/user.slice/…`; `/` is the mount point itself. */
  ownPath: string;
}

/** The places where cgroup2 is looked for first: a unified host's, a hybrid one's. */
const usualPlaces = ['/sys/fs/cgroup', '/sys/fs/cgroup/unified'];

/** The cgroup v2 hierarchy as this process sees it; undefined where none is mounted. */
export function findCgroup2(proc = '/proc/self'): Cgroup2Mount | undefined {
  const mounts = parseMountinfo(readFileSync(join(proc, 'mountinfo'), 'utf8')).filter(({ type }) => type === 'cgroup2');
  const rank = ({ mountPoint }: MountinfoEntry): number => {
    const place = usualPlaces.indexOf(mountPoint);
    return place < 0 ? usualPlaces.length : place;
  };
  const mount = mounts.sort((a, b) => rank(a) - rank(b))[0];
  if (mount === undefined) return undefined;
  const own = /^0::(.*)$/m.exec(readFileSync(join(proc, 'cgroup'), 'utf8'))?.[1] ?? '/';
  // A container without a cgroup namespace mounts its own part only: the paths of the host begin above it.
  const ownPath = mount.root !== '/' && own.startsWith(mount.root) ? own.slice(mount.root.length) || '/' : own;
  return { mountPoint: mount.mountPoint, ownPath };
}

/** `findCgroup2`, or the error that says what to do. */
export function requireCgroup2(): Cgroup2Mount {
  const found = findCgroup2();
  if (found !== undefined) return found;
  throw new TsrunError('UNSUPPORTED', 'no cgroup v2 hierarchy is mounted (looked in /proc/self/mountinfo)', {
    hint: 'mount one: mkdir -p /sys/fs/cgroup && mount -t cgroup2 none /sys/fs/cgroup',
  });
}

/** The words of a file of cgroupfs; none where the file is not there. */
export function readWords(path: string): string[] {
  try {
    return readFileSync(path, 'utf8')
      .split(/\s+/)
      .filter((word) => word !== '');
  } catch {
    return [];
  }
}

/** What the hierarchy offers at its mount point, e.g. cpu, io, memory, pids. */
export function offeredControllers(mountPoint: string): string[] {
  return readWords(join(mountPoint, 'cgroup.controllers'));
}

/** In cgroup v1 two of the controllers had other names. */
const v1Names: Readonly<Record<string, string>> = { io: 'blkio' };

const kernelOptions: Readonly<Record<string, string>> = {
  cpu: 'CONFIG_CGROUP_SCHED',
  cpuset: 'CONFIG_CPUSETS',
  hugetlb: 'CONFIG_CGROUP_HUGETLB',
  io: 'CONFIG_BLK_CGROUP',
  memory: 'CONFIG_MEMCG',
  misc: 'CONFIG_CGROUP_MISC',
  pids: 'CONFIG_CGROUP_PIDS',
  rdma: 'CONFIG_CGROUP_RDMA',
};

/** Why a controller is not offered, as `UNSUPPORTED`: who asked for it, where it was looked for, how to get it. */
export function missingController(
  controller: string,
  wantedBy: string,
  mountPoint: string,
  proc = '/proc',
): TsrunError {
  const offered = offeredControllers(mountPoint);
  const { reason, hint } = explainMissing(v1Names[controller] ?? controller, controller, proc);
  return new TsrunError(
    'UNSUPPORTED',
    `${wantedBy} needs the controller "${controller}" of cgroup v2, which is not offered at "${mountPoint}" ` +
      `(cgroup.controllers there: ${offered.length === 0 ? 'empty' : offered.join(' ')}): ${reason}`,
    { hint },
  );
}

function explainMissing(v1Name: string, controller: string, proc: string): { reason: string; hint: string } {
  const line = readLines(join(proc, 'cgroups')).find((fields) => fields[0] === v1Name);
  if (line === undefined) {
    const option = kernelOptions[controller];
    return {
      reason: 'this kernel does not have it',
      hint: `use a kernel with ${option ?? 'that controller'}, or leave the limit out`,
    };
  }
  const [, hierarchy, , enabled] = line;
  if (enabled === '0') {
    return {
      reason: 'it was disabled when the kernel was booted (/proc/cgroups)',
      hint: `boot without cgroup_disable=${v1Name} (on a Raspberry Pi: with cgroup_enable=${v1Name}), or leave the limit out`,
    };
  }
  if (hierarchy !== '0') {
    const mounts = parseMountinfo(readFileSync(join(proc, 'self/mountinfo'), 'utf8'));
    const mount = mounts.find(({ type, superOptions }) => type === 'cgroup' && superOptions.includes(v1Name));
    return {
      reason: `it is bound to cgroup v1${mount === undefined ? '' : `, mounted at "${mount.mountPoint}"`}`,
      hint: 'boot with the kernel parameters systemd.unified_cgroup_hierarchy=1 or, without systemd, cgroup_no_v1=all; or leave the limit out',
    };
  }
  return {
    reason: 'it was not handed down to this part of the hierarchy',
    hint: 'tsrun runs in a container or a delegated cgroup: whoever made it must enable the controller in cgroup.subtree_control above',
  };
}

function readLines(path: string): string[][] {
  try {
    return readFileSync(path, 'utf8')
      .split('\n')
      .map((line) => line.split(/\s+/));
  } catch {
    return [];
  }
}
