/** --security-opt: which seccomp filter a container gets (OCI runtime-spec config-linux.md, "Seccomp"). */
import { TsrunError } from '../error.ts';
import { architecture } from '../linux/syscalls.ts';
import { defaultFilter } from '../runtime/seccomp/default-filter.ts';
import type { RunOptions } from './run-options.ts';

/** The options that are understood; others are refused, since a wall that was asked for must not be missing silently. */
export function validateSecurityOptions(list: readonly string[]): void {
  for (const option of list) {
    const [name = '', value = ''] = option.split(/[=:](.*)/s);
    if (name === 'no-new-privileges' && ['', 'true', 'false'].includes(value)) continue;
    if (name === 'seccomp' && value !== '') continue;
    if (name === 'systempaths' && value === 'unconfined') continue;
    if ((name === 'apparmor' && value === 'unconfined') || (name === 'label' && value === 'disable')) continue;
    if (name === 'apparmor' || name === 'label') {
      throw new TsrunError(
        'UNSUPPORTED',
        `--security-opt ${option}: labels of AppArmor and SELinux are not there yet`,
        {
          hint: `leave it out, or say ${name}=${name === 'label' ? 'disable' : 'unconfined'}`,
        },
      );
    }
    throw new TsrunError('USAGE', `invalid --security-opt: ${JSON.stringify(option)}`, {
      hint: 'known are no-new-privileges, seccomp=unconfined, seccomp=FILE and systempaths=unconfined',
    });
  }
}

/** Whether nothing of /proc and /sys is hidden or read-only: --privileged, and docker's `systempaths=unconfined`. */
export function showsSystemPaths({ privileged, securityOpt }: RunOptions): boolean {
  return privileged || securityOpt.some((option) => /^systempaths[=:]unconfined$/.test(option));
}

/**
 * The filter as classic BPF; undefined for none. Compiled filters are kept in `cacheDirectory`.
 * Throws `USAGE` for a profile that cannot be read.
 */
export async function loadSeccomp(
  options: RunOptions,
  capabilities: readonly string[],
  cacheDirectory: string,
): Promise<Uint8Array | undefined> {
  const chosen = options.securityOpt.findLast((option) => /^seccomp[=:]/.test(option))?.slice('seccomp='.length);
  if (chosen === undefined && options.privileged) return undefined;
  if (chosen === undefined || chosen === 'default' || chosen === 'builtin') {
    return defaultFilter(capabilities, architecture, cacheDirectory);
  }
  const { compileSeccompCached, seccompProfile } = await import('../runtime/seccomp/index.ts');
  const profile = seccompProfile(chosen, capabilities);
  return profile === undefined ? undefined : compileSeccompCached(profile, architecture, cacheDirectory);
}
