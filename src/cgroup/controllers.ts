/**
 * Controllers of cgroup v2: a cgroup has those that its parent hands down through cgroup.subtree_control
 * (cgroup-v2.rst, "Enabling and Disabling").
 */
import { dirname, join } from 'node:path';
import { codeOf, messageOf, TsrunError } from '../error.ts';
import { step } from '../trace.ts';
import { readControl, writeControl } from './files.ts';
import type { Setting } from './limits.ts';
import { missingController, offeredControllers, readWords } from './mount.ts';
import { enableController } from './steps.ts';

/** Switched on where they are offered, so that `stats` has numbers without any limit. */
export const accounting = ['cpu', 'memory', 'io', 'pids'];

/** The controllers that `settings` need, by name with who wants them. Throws where one is not offered. */
export function requireControllers(mountPoint: string, settings: readonly Setting[]): Map<string, string> {
  const offered = offeredControllers(mountPoint);
  const needed = new Map<string, string>();
  for (const { controller, wantedBy } of settings) {
    if (controller === '' || needed.has(controller)) continue;
    if (!offered.includes(controller)) throw missingController(controller, wantedBy, mountPoint);
    needed.set(controller, wantedBy);
  }
  return needed;
}

/** The mount point and every directory from there down to `path`. */
export function ancestors(mountPoint: string, path: string): string[] {
  const list: string[] = [];
  for (let at = path; at.length > mountPoint.length; at = dirname(at)) list.unshift(at);
  return [mountPoint, ...list];
}

/**
 * Hands controllers down to the children of `directory`: those that are needed, and those for statistics where that goes
 * without anybody noticing. A cgroup with processes in it hands nothing down (cgroup-v2.rst, "No Internal Process
 * Constraint"): trying anyway would make it threaded, and its children of no use.
 */
export function enable(directory: string, mountPoint: string, needed: ReadonlyMap<string, string>): void {
  const file = join(directory, 'cgroup.subtree_control');
  const enabled = readWords(file);
  const occupied = holdsProcesses(directory);
  for (const controller of readWords(join(directory, 'cgroup.controllers'))) {
    if (enabled.includes(controller)) continue;
    const wantedBy = needed.get(controller);
    if (wantedBy === undefined && (occupied || !accounting.includes(controller))) continue;
    if (wantedBy !== undefined && occupied) throw occupiedParent(controller, wantedBy, directory, mountPoint);
    const info = enableController(controller, directory);
    step(info, () => {
      try {
        writeControl(file, `+${controller}`);
      } catch (cause) {
        if (wantedBy === undefined) return;
        throw new TsrunError('UNSUPPORTED', `${cannotEnable(controller, wantedBy, directory)}: ${messageOf(cause)}`, {
          cause,
          hint: isRefusal(cause) ? readOnlyHint : 'another manager of cgroups may have claimed it',
        });
      }
    });
  }
}

/** Whether processes, or threads of such a cgroup, are in it; the root of all is exempt and has no cgroup.type. */
function holdsProcesses(directory: string): boolean {
  const type = readControl(join(directory, 'cgroup.type'));
  if (type === undefined) return false;
  return type !== 'domain' || readWords(join(directory, 'cgroup.procs')).length > 0;
}

function cannotEnable(controller: string, wantedBy: string, directory: string): string {
  return `${wantedBy} needs the controller "${controller}", which cannot be enabled in "${directory}"`;
}

function occupiedParent(controller: string, wantedBy: string, directory: string, mountPoint: string): TsrunError {
  const processes = join(directory, 'cgroup.procs');
  const nested = directory === mountPoint ? 'tsrun runs in a container or in a part of the hierarchy; ' : '';
  return new TsrunError(
    'UNSUPPORTED',
    `${cannotEnable(controller, wantedBy, directory)}: processes are in it, and a cgroup with processes hands no controller down`,
    {
      hint: `${nested}move them first: mkdir ${directory}/init && for p in $(cat ${processes}); do echo $p > ${directory}/init/cgroup.procs; done`,
    },
  );
}

/** What to do where cgroupfs cannot be written. */
export const readOnlyHint =
  'cgroups can be made by root and where they are mounted read-write; a container needs --privileged for that';

/** Whether an error of node:fs is a refusal to write there at all. */
export function isRefusal(error: unknown): boolean {
  return ['EROFS', 'EACCES', 'EPERM'].includes(codeOf(error) ?? '');
}
