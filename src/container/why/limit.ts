/** `why limit`: which limits a container has, and which of them it has met. */
import { join } from 'node:path';
import { parseKeyed, readControl } from '../../cgroup/files.ts';
import { settingsFor } from '../../cgroup/limits.ts';
import { resources } from '../oci-config.ts';
import type { Container } from '../record.ts';

/** Where the kernel counts how often a limit was met: file, key, and what that means. */
const counters: Readonly<Record<string, readonly (readonly [file: string, key: string, meaning: string])[]>> = {
  'memory.max': [
    ['memory.events', 'max', 'times it was reached, and memory was taken back'],
    ['memory.events', 'oom_kill', 'processes were killed for it'],
  ],
  'memory.swap.max': [['memory.swap.events', 'max', 'times it was reached']],
  'memory.low': [['memory.events', 'low', 'times it could not be held']],
  'cpu.max': [['cpu.stat', 'nr_throttled', 'periods in which it had to wait for the next']],
  'pids.max': [['pids.events', 'max', 'times fork or clone was refused (EAGAIN)']],
};

/** Sentences, one for each limit. */
export function whyLimit({ record, state }: Container): string[] {
  const settings = settingsFor(resources(record.options)).filter(({ isDefault }) => !isDefault);
  const oom = state.oomKilled ? ['the kernel killed a process of it: there was no memory left to take'] : [];
  if (settings.length === 0) return [...oom, 'it has no limits: the whole machine is its own'];
  const path = state.start?.cgroup ?? '';
  const isUp = state.pid !== 0 && path !== '';
  return [
    ...oom,
    ...settings.map(({ file, value, wantedBy, why }) => {
      const seen = isUp
        ? (counters[file] ?? []).map((counter) => count(path, counter)).filter((text) => text !== '')
        : [];
      const met = seen.length > 0 ? seen.join(', ') : isUp ? 'not met' : 'its cgroup is gone, and with it the counters';
      return `${wantedBy}: ${file} = ${value} (${why}): ${met}`;
    }),
  ];
}

function count(path: string, [file, key, meaning]: readonly [string, string, string]): string {
  const times = parseKeyed(readControl(join(path, file)))[key] ?? 0;
  return times === 0 ? '' : `${times} ${meaning}`;
}
