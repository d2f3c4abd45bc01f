/** Labels of AppArmor and SELinux for a process: which file of /proc/self/attr gets them (Documentation/admin-guide/LSM). */
import { existsSync, readFileSync } from 'node:fs';
import { TsrunError } from '../error.ts';
import type { Process } from '../runtime/spec.ts';

function isAppArmorEnabled(): boolean {
  try {
    return readFileSync('/sys/module/apparmor/parameters/enabled', 'latin1').startsWith('Y');
  } catch {
    return false;
  }
}

/** By file. Throws `UNSUPPORTED` where the host lacks the module: a wall that was asked for must not be missing silently. */
export function labelsOf({ apparmorProfile, selinuxLabel }: Process): Record<string, string> {
  const labels: Record<string, string> = {};
  if (apparmorProfile) {
    if (isAppArmorEnabled()) {
      const own = existsSync('/proc/self/attr/apparmor/exec');
      labels[own ? 'apparmor/exec' : 'exec'] = `exec ${apparmorProfile}`;
    } else if (apparmorProfile !== 'unconfined') {
      throw new TsrunError('UNSUPPORTED', `process.apparmorProfile "${apparmorProfile}": apparmor is not enabled`, {
        hint: 'enable AppArmor on the host (aa-status), or leave the profile out',
      });
    }
  }
  if (selinuxLabel) {
    if (!existsSync('/sys/fs/selinux/enforce')) {
      throw new TsrunError('UNSUPPORTED', `process.selinuxLabel "${selinuxLabel}": selinux is not enabled`, {
        hint: 'enable SELinux on the host, or leave the label out',
      });
    }
    labels.exec = selinuxLabel;
  }
  return labels;
}
