/** The cgroup that a further process of a container is born in. */
import { join } from 'node:path';
import { readKernelText } from '../linux/kernel-file.ts';
import { findCgroup2 } from './mount.ts';

/**
 * `path`, the container's, or that of its process `pid`: a container that has made cgroups of its own may hold processes in those
 * only (cgroup-v2.rst, "No Internal Process Constraint"). Throws node:fs's errors where either is gone.
 */
export function birthCgroup(path: string, pid: number): string {
  const handsDown = readKernelText(join(path, 'cgroup.subtree_control')).trim() !== '';
  return handsDown ? (cgroupOf(pid) ?? path) : path;
}

function cgroupOf(pid: number): string | undefined {
  const own = /^0::(.*)$/m.exec(readKernelText(`/proc/${pid}/cgroup`))?.[1];
  const mount = findCgroup2();
  return own === undefined || mount === undefined ? undefined : join(mount.mountPoint, own);
}
