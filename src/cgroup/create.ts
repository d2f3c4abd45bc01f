/**
 * Makes a cgroup with its limits before anything runs in it (cgroup-v2.rst).
 *
 * Containers live in <mount>/tsrun/<id>. systemd leaves a directory alone that is not named like one of its units, and
 * a container is not ended with the session or service that started it. Since each limit is enabled in `tsrun` for its
 * children, the kernel refuses (EBUSY) to let anyone switch the controller off above.
 */
import { existsSync, mkdirSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { codeOf, messageOf, TsrunError } from '../error.ts';
import { O_DIRECTORY, O_RDONLY } from '../linux/constants.ts';
import { AT_FDCWD, close, openat } from '../linux/fs.ts';
import type { LinuxResources } from '../runtime/spec.ts';
import { step } from '../trace.ts';
import { isPopulated, removeCgroup } from './control.ts';
import { ancestors, enable, isRefusal, readOnlyHint, requireControllers } from './controllers.ts';
import { checkCpuset } from './cpu-list.ts';
import { controlDevices } from './devices.ts';
import { readControl, writeControl } from './files.ts';
import { type Setting, settingsFor } from './limits.ts';
import { type Cgroup2Mount, requireCgroup2 } from './mount.ts';
import * as steps from './steps.ts';

/** The directory of all containers' cgroups, below the mount point. */
export const PARENT = 'tsrun';

export interface Cgroup {
  /** Absolute path of its directory. */
  path: string;
  /** Open on the directory, close-on-exec: for clone3 with CLONE_INTO_CGROUP. The caller closes it. */
  fd: number;
}

/** The cgroup of a container, below the mount point. Throws `USAGE` for an id that cannot name one. */
function below(id: string): string {
  if (basename(id) !== id || id.startsWith('.') || id === '') {
    throw new TsrunError('USAGE', `${JSON.stringify(id)} cannot name a cgroup`);
  }
  return join(PARENT, id);
}

/** Where the cgroup of a container is. Throws `USAGE` for an id that cannot name one, `UNSUPPORTED` without cgroup2. */
export function cgroupPath(id: string, { mountPoint }: Pick<Cgroup2Mount, 'mountPoint'> = requireCgroup2()): string {
  return join(mountPoint, below(id));
}

/**
 * Makes the cgroup of a container, with all limits and device rules in force. Nothing is left behind where it fails:
 * `UNSUPPORTED` when a limit cannot be held (naming the controller and how to get it), `USAGE` for values that contradict
 * each other or the machine, `CONFLICT` when the cgroup exists and is in use.
 */
export function createCgroup(id: string, resources: LinuxResources): Cgroup {
  return createCgroupAt(below(id), resources);
}

/** `createCgroup` at a path below the mount point (`cgroupsPath` of OCI configurations). */
export function createCgroupAt(relative: string, resources: LinuxResources): Cgroup {
  const { mountPoint } = requireCgroup2();
  const path = join(mountPoint, relative);
  const settings = settingsFor(resources).filter((setting) => !setting.isDefault);
  const needed = requireControllers(mountPoint, settings);
  checkCpuset(mountPoint, resources);
  makeParents(mountPoint, dirname(relative), needed);
  makeLeaf(path);
  let fd = -1;
  try {
    for (const setting of settings) applySetting(path, setting);
    fd = openat(AT_FDCWD, path, O_RDONLY | O_DIRECTORY);
    if (resources.devices !== undefined) controlDevices(fd, resources.devices);
    return { path, fd };
  } catch (error) {
    close(fd);
    removeCgroup(path);
    throw error;
  }
}

/**
 * Changes the limits of a cgroup that exists; fields that are absent stay as they are. Device rules cannot be changed.
 * Errors as in `createCgroup`.
 */
export function updateCgroup(path: string, resources: LinuxResources): void {
  const { mountPoint } = requireCgroup2();
  const settings = settingsFor(resources);
  const needed = requireControllers(mountPoint, settings);
  checkCpuset(mountPoint, resources);
  const limit = resources.memory?.limit;
  const used = Number(readControl(join(path, 'memory.current')) ?? 0);
  if (resources.memory?.checkBeforeUpdate === true && limit !== undefined && limit > 0 && used > limit) {
    throw new TsrunError('USAGE', `cannot set the memory limit to ${limit} bytes: ${used} are in use`);
  }
  for (const directory of ancestors(mountPoint, dirname(path))) enable(directory, mountPoint, needed);
  for (const setting of settings) applySetting(path, setting);
}

/** Makes the directories above the container's and enables controllers on the way from the mount point down. */
function makeParents(mountPoint: string, relative: string, needed: ReadonlyMap<string, string>): void {
  const parent = join(mountPoint, relative);
  for (const directory of ancestors(mountPoint, parent)) {
    if (directory !== mountPoint && !existsSync(directory)) {
      step(steps.makeParent(directory), () => makeDirectory(directory));
    }
    enable(directory, mountPoint, needed);
  }
}

/** The container's own directory. What a crash left of an earlier one is removed when nothing lives in it. */
function makeLeaf(path: string): void {
  const info = steps.makeOwn(path);
  step(info, () => {
    if (makeDirectory(path)) return;
    if (isPopulated(path)) {
      throw new TsrunError('CONFLICT', `cgroup "${path}" exists and has processes in it`, {
        hint: `they are listed in ${join(path, 'cgroup.procs')}`,
      });
    }
    removeCgroup(path);
    makeDirectory(path);
  });
}

/** Returns false where the directory is there already. */
function makeDirectory(path: string): boolean {
  try {
    mkdirSync(path, { mode: 0o755 });
    return true;
  } catch (cause) {
    if (codeOf(cause) === 'EEXIST') return false;
    throw new TsrunError(
      isRefusal(cause) ? 'UNSUPPORTED' : 'SYSCALL',
      `cannot make cgroup "${path}": ${messageOf(cause)}`,
      { cause, hint: isRefusal(cause) ? readOnlyHint : undefined },
    );
  }
}

/** Writes one limit. */
function applySetting(path: string, setting: Setting): void {
  const { file, value } =
    setting.preferred !== undefined && existsSync(join(path, setting.preferred.file)) ? setting.preferred : setting;
  const target = join(path, file);
  const info = steps.writeLimit(path, { file, value }, setting.why);
  step(info, () => {
    try {
      writeControl(target, value);
    } catch (cause) {
      const missing = codeOf(cause) === 'ENOENT';
      if (missing && (setting.optional || (file === 'memory.swap.max' && !hasSwap()))) return;
      throw new TsrunError(
        missing ? 'UNSUPPORTED' : 'USAGE',
        missing
          ? `${setting.wantedBy}: this kernel has no file ${file} in its cgroups`
          : `${setting.wantedBy}: cannot write ${JSON.stringify(value)} to "${target}": ${messageOf(cause)}`,
        {
          cause,
          hint: missing && file === 'memory.swap.max' ? 'boot with the kernel parameter swapaccount=1' : setting.hint,
        },
      );
    }
  });
}

/** Whether the machine swaps at all: without, a limit of swap is held by itself. */
function hasSwap(): boolean {
  return (readControl('/proc/swaps') ?? '').split('\n').length > 1;
}
