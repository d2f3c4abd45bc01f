/** System call filters: the default one, profiles of users, and their compilation to BPF (man 2 seccomp). */
import { readFileSync } from 'node:fs';
import { messageOf, TsrunError } from '../../error.ts';
import type { LinuxSeccomp } from '../spec.ts';
import { type DefaultProfileOptions, defaultSeccompProfile } from './default-profile.ts';
import { parseSeccompProfile } from './profile.ts';

export { compileSeccompCached } from './cache.ts';
export { compileSeccomp } from './compile.ts';
export { defaultSeccompProfile } from './default-profile.ts';
export { parseLinuxSeccomp, parseSeccompProfile } from './profile.ts';

/**
 * The profile for `--security-opt seccomp=OPTION`: `unconfined` is none, undefined and `builtin` the default one,
 * anything else the path of a JSON file. `capabilities` is the container's bounding set.
 * Throws `USAGE` where the file cannot be read or is no profile.
 */
export function seccompProfile(
  option: string | undefined,
  capabilities: readonly string[],
  options: DefaultProfileOptions = {},
): LinuxSeccomp | undefined {
  if (option === 'unconfined') return undefined;
  if (option === undefined || option === 'builtin') return defaultSeccompProfile(capabilities, options);
  let text: string;
  try {
    text = readFileSync(option, 'utf8');
  } catch (cause) {
    throw new TsrunError('USAGE', `opening seccomp profile (${option}) failed: ${messageOf(cause)}`, {
      cause,
      hint: 'the value is the path of a JSON file, "unconfined" or "builtin"',
    });
  }
  return parseSeccompProfile(text, {
    capabilities,
    ...(options.architecture && { architecture: options.architecture }),
  });
}

// linux/seccomp.h
const flagBits: Readonly<Record<string, number>> = {
  SECCOMP_FILTER_FLAG_TSYNC: 1,
  SECCOMP_FILTER_FLAG_LOG: 2,
  SECCOMP_FILTER_FLAG_SPEC_ALLOW: 4,
  SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV: 32,
};
const SECCOMP_FILTER_FLAG_NEW_LISTENER = 8;

/**
 * The flags of seccomp(2) for a profile. Without a list it is SPEC_ALLOW, as runc has it: kernels before 5.16 would
 * switch on a costly mitigation of speculative store bypass for every filtered process. An action that notifies adds
 * NEW_LISTENER. Throws `USAGE` for an unknown flag.
 */
export function seccompFlags(profile: LinuxSeccomp): number {
  let flags = 0;
  for (const name of profile.flags ?? ['SECCOMP_FILTER_FLAG_SPEC_ALLOW']) {
    const bit = Object.hasOwn(flagBits, name) ? flagBits[name] : undefined;
    if (bit === undefined) throw new TsrunError('USAGE', `seccomp profile: unknown flag ${JSON.stringify(name)}`);
    flags |= bit;
  }
  const notifies = profile.syscalls?.some((entry) => entry.action === 'SCMP_ACT_NOTIFY') ?? false;
  return notifies ? flags | SECCOMP_FILTER_FLAG_NEW_LISTENER : flags;
}
