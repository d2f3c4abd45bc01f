/** The cgroup that a further process of a container is born in. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { findCgroup2 } from './mount.ts';

/**
 * `path`, the container's, or that of its process `pid`: a container that has made cgroups of its own may hold processes in those
 * only (cgroup-v2.rst, "No Internal Process Constraint"). Throws node:fs's errors where either is gone.
 */
export function birthCgroup(path: string, pid: number): string {
  const handsDown = readFileSync(join(path, 'cgroup.subtree_control'), 'latin1').trim() !== '';
  return handsDown ? (cgroupOf(pid) ?? path) : path;
}

function cgroupOf(pid: number): string | undefined {
  const own = /^0::(.*)$/m.exec(readFileSync(`/proc/${pid}/cgroup`, 'utf8'))?.[1];
  const mount = findCgroup2();
  return own === undefined || mount === undefined ? undefined : join(mount.mountPoint, own);
}
