/** --security-opt: which seccomp filter a container gets (OCI runtime-spec config-linux.md, "Seccomp"). */
import { readFileSync } from 'node:fs';
import { messageOf, TsrunError } from '../error.ts';
import { architecture } from '../linux/syscalls.ts';
import { compileSeccomp, defaultSeccompProfile, parseSeccompProfile } from '../runtime/seccomp/index.ts';
import type { RunOptions } from './run-options.ts';

/** The options that are understood; others are refused, since a wall that was asked for must not be missing silently. */
export function validateSecurityOptions(list: readonly string[]): void {
  for (const option of list) {
    const [name = '', value = ''] = option.split(/[=:](.*)/s);
    if (name === 'no-new-privileges' && ['', 'true', 'false'].includes(value)) continue;
    if (name === 'seccomp' && value !== '') continue;
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
    throw new TsrunError('USAGE', `invalid --security-opt 2: ${JSON.stringify(option)}`, {
      hint: 'known are no-new-privileges, seccomp=unconfined and seccomp=FILE',
    });
  }
}

/** The filter as classic BPF; undefined for none. */
export function loadSeccomp(options: RunOptions, capabilities: string[]): Uint8Array | undefined {
  const chosen = options.securityOpt.findLast((option) => /^seccomp[=:]/.test(option))?.slice('seccomp='.length);
  if (chosen === 'unconfined' || (chosen === undefined && options.privileged)) return undefined;
  if (chosen === undefined || chosen === 'default') {
    return compileSeccomp(defaultSeccompProfile(capabilities), architecture);
  }
  let text: string;
  try {
    text = readFileSync(chosen, 'utf8');
  } catch (cause) {
    throw new TsrunError('USAGE', `opening seccomp profile (${chosen}) failed: ${messageOf(cause)}`, { cause });
  }
  const profile = parseSeccompProfile(text, { capabilities, architecture });
  return profile === undefined ? undefined : compileSeccomp(profile, architecture);
}
