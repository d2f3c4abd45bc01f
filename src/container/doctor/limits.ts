/** Limits of this process and of the machine that many containers run into (man 2 getrlimit, man 7 inotify). */
import { readFileSync } from 'node:fs';
import type { Check, Finding } from './finding.ts';

type LimitFinding = Omit<Finding, 'area'>;

/** Descriptors that pulls of several layers and monitors of busy containers take. */
const fewDescriptors = 1024;
const fewWatches = 8192;
const fewInstances = 128;

export const limitChecks: Check = {
  area: 'limits',
  run: () => [
    descriptorFinding(readFileSync('/proc/self/limits', 'utf8')),
    sysctlFinding(
      'fs.inotify.max_user_instances',
      fewInstances,
      'programs in containers that watch files fail to start',
    ),
    sysctlFinding(
      'fs.inotify.max_user_watches',
      fewWatches,
      'programs in containers that watch many files see no changes',
    ),
  ],
};

/** `Max open files  1024  524288  files` of /proc/self/limits. */
export function descriptorFinding(limits: string): LimitFinding {
  const [, soft = '', hard = ''] = /^Max open files\s+(\S+)\s+(\S+)/m.exec(limits) ?? [];
  const base = { name: 'open files', detail: `${soft}, at most ${hard}` };
  if (soft === 'unlimited' || Number(soft) >= fewDescriptors) return { ...base, verdict: 'ok' };
  return {
    ...base,
    verdict: 'warning',
    meaning: 'containers inherit the limit, and pulls of many layers may run into it',
    remedy: 'ulimit -n 65536',
  };
}

function sysctlFinding(name: string, few: number, meaning: string): LimitFinding {
  let value: number;
  try {
    value = Number(readFileSync(`/proc/sys/${name.replaceAll('.', '/')}`, 'utf8'));
  } catch {
    return { name, verdict: 'unknown', detail: 'the kernel does not tell' };
  }
  if (value >= few) return { name, verdict: 'ok', detail: String(value) };
  return { name, verdict: 'warning', detail: String(value), meaning, remedy: `sysctl -w ${name}=${few * 4}` };
}
