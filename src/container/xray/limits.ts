/** A container's cgroup: what it may use, and what it uses (cgroup-v2.rst). */
import { join } from 'node:path';
import { readControl } from '../../cgroup/files.ts';
import { settingsFor } from '../../cgroup/limits.ts';
import { type CgroupStats, readStats } from '../../cgroup/stats.ts';
import { resources } from '../oci-config.ts';
import type { Container } from '../record.ts';
import { type Sentence, say } from '../sentence.ts';
import { limitMet } from '../why/limit.ts';

export interface LimitView {
  file: string;
  /** As the file has it now. */
  value: string;
  wantedBy: string;
  why: Sentence;
  /** Whether it has been met, in words. */
  met: Sentence;
}

export interface CgroupView {
  path: string;
  /** What of it can be counted and limited there. */
  controllers: string[];
  limits: LimitView[];
  usage: CgroupStats;
}

/** Undefined where the container has none. */
export function cgroupOf({ record, state }: Container): CgroupView | undefined {
  const path = state.start?.cgroup ?? '';
  if (path === '') return undefined;
  const settings = settingsFor(resources(record.options)).filter(({ isDefault }) => !isDefault);
  return {
    path,
    controllers: (readControl(join(path, 'cgroup.controllers')) ?? '').split(' ').filter(Boolean),
    limits: settings.map(({ file, value, wantedBy, why }) => ({
      file,
      value: readControl(join(path, file)) ?? value,
      wantedBy,
      why: say(why),
      met: limitMet(path, file),
    })),
    usage: readStats(path),
  };
}
