/**
 * Leaving the cgroup of a service. systemd ends what is left in a service's cgroup when its main process has ended
 * (man 5 systemd.kill, KillMode=control-group): a monitor that was started there would go with it, and nobody would know how
 * its container ended.
 */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { codeOf } from '../error.ts';
import { step } from '../trace.ts';
import { PARENT } from './create.ts';
import { writeControl } from './files.ts';
import { findCgroup2 } from './mount.ts';

/** Beside the containers' cgroups; no id is called so. */
const MONITORS = 'monitors';

/** Whether a cgroup, as a path below the mount point, is a service's or below one: also of a user's systemd. */
export function belongsToService(path: string): boolean {
  return path.split('/').some((name) => name.endsWith('.service'));
}

/**
 * Moves a process that this one has just started out of the service that this one runs in; elsewhere it does nothing. Where it
 * is refused the process stays: what it does is not at stake, only how long it may live.
 */
export function leaveService(pid: number): void {
  const found = findCgroup2();
  if (found === undefined || !belongsToService(found.ownPath)) return;
  const directory = join(found.mountPoint, PARENT, MONITORS);
  const info = {
    phase: 'cgroup' as const,
    title: 'take the monitor out of the service',
    why: 'systemd kills what is left in the cgroup of a service that has ended; the container must not lose its monitor',
    shell: `mkdir -p ${directory} && echo ${pid} > ${join(directory, 'cgroup.procs')}`,
  };
  step(info, () => {
    try {
      mkdirSync(directory, { recursive: true });
      writeControl(join(directory, 'cgroup.procs'), String(pid));
    } catch (error) {
      if (codeOf(error) === undefined) throw error;
    }
  });
}
