/** Labels of AppArmor and SELinux: for a process in a file of /proc/self/attr, for mounts in an option (Documentation/admin-guide/LSM). */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { TsrunError } from '../error.ts';
import type { Linux, Process } from '../runtime/spec.ts';

function isAppArmorEnabled(host: string): boolean {
  try {
    return readFileSync(join(host, 'sys/module/apparmor/parameters/enabled'), 'latin1').startsWith('Y');
  } catch {
    return false;
  }
}

function isSelinuxEnabled(host: string): boolean {
  return existsSync(join(host, 'sys/fs/selinux/enforce'));
}

/**
 * By file. `host` is the directory that has the machine's /proc and /sys. Throws `UNSUPPORTED` where the host lacks the
 * module: a wall that was asked for must not be missing silently.
 */
export function labelsOf({ apparmorProfile, selinuxLabel }: Process, host = '/'): Record<string, string> {
  const labels: Record<string, string> = {};
  if (apparmorProfile) {
    if (isAppArmorEnabled(host)) {
      const own = existsSync(join(host, 'proc/self/attr/apparmor/exec'));
      labels[own ? 'apparmor/exec' : 'exec'] = `exec ${apparmorProfile}`;
    } else if (apparmorProfile !== 'unconfined') {
      throw new TsrunError('UNSUPPORTED', `process.apparmorProfile "${apparmorProfile}": apparmor is not enabled`, {
        hint: 'enable AppArmor on the host (aa-status), or leave the profile out',
      });
    }
  }
  if (selinuxLabel) {
    if (!isSelinuxEnabled(host)) {
      throw new TsrunError('UNSUPPORTED', `process.selinuxLabel "${selinuxLabel}": selinux is not enabled`, {
        hint: 'enable SELinux on the host, or leave the label out',
      });
    }
    labels.exec = selinuxLabel;
  }
  return labels;
}

/**
 * The label of files in filesystems that are made for the container. Where the host has no SELinux nobody asks for it, and it
 * is left out, as crun does: it lets the process in, and keeps nothing out.
 */
export function mountLabelOf({ mountLabel }: Pick<Linux, 'mountLabel'>, host = '/'): string | undefined {
  return mountLabel && isSelinuxEnabled(host) ? mountLabel : undefined;
}
