/** Whether the clock can be right: certificates are compared with it (man 2 adjtimex). */
import { statSync } from 'node:fs';
import { builtFile } from '../../linux/artifacts.ts';
import { syscall } from '../../linux/ffi.ts';
import type { Check, Finding } from './finding.ts';

const TIME_ERROR = 5;

export const clockChecks: Check = {
  area: 'clock',
  run: () => [clockFinding(new Date(), statSync(builtFile()).mtime, syscall('adjtimex', Buffer.alloc(256)))],
};

/** `built`: when tsrun was; `state`: what adjtimex answers. */
export function clockFinding(now: Date, built: Date, state: number): Omit<Finding, 'area'> {
  const base = { name: 'time', detail: now.toISOString() };
  const day = 86_400_000;
  if (now.getTime() + day < built.getTime()) {
    return {
      ...base,
      verdict: 'problem',
      meaning: `the clock is behind: tsrun itself was made on ${built.toISOString().slice(0, 10)}; certificates of registries are not valid yet`,
      remedy: 'set it: timedatectl set-ntp true, or date -s "YYYY-MM-DD HH:MM"',
    };
  }
  return {
    ...base,
    verdict: 'ok',
    detail: `${base.detail}${state === TIME_ERROR ? ', not synchronised' : ', synchronised'}`,
  };
}
