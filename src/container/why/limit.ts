/** `why limit`: which limits a container has, and which of them it has met. */
import { join } from 'node:path';
import { parseKeyed, readControl } from '../../cgroup/files.ts';
import { settingsFor } from '../../cgroup/limits.ts';
import { resources } from '../oci-config.ts';
import type { Container } from '../record.ts';
import { joined, type Sentence, say } from '../sentence.ts';

/** Where the kernel counts how often a limit was met: file, key, and what that means. */
type Counter = readonly [file: string, key: string, meaning: (times: number) => Sentence];
const counters: Readonly<Record<string, readonly Counter[]>> = {
  'memory.max': [
    ['memory.events', 'max', (times) => say('{1} times it was reached, and memory was taken back', times)],
    ['memory.events', 'oom_kill', (times) => say('{1} processes were killed for it', times)],
  ],
  'memory.swap.max': [['memory.swap.events', 'max', (times) => say('{1} times it was reached', times)]],
  'memory.low': [['memory.events', 'low', (times) => say('{1} times it could not be held', times)]],
  'cpu.max': [['cpu.stat', 'nr_throttled', (times) => say('{1} periods in which it had to wait for the next', times)]],
  'pids.max': [['pids.events', 'max', (times) => say('{1} times fork or clone was refused (EAGAIN)', times)]],
};

/** Sentences, one for each limit. */
export function whyLimit({ record, state }: Container): Sentence[] {
  const settings = settingsFor(resources(record.options)).filter(({ isDefault }) => !isDefault);
  const oom = state.oomKilled ? [say('the kernel killed a process of it: there was no memory left to take')] : [];
  if (settings.length === 0) return [...oom, say('it has no limits: the whole machine is its own')];
  const path = state.start?.cgroup ?? '';
  const isUp = state.pid !== 0 && path !== '';
  return [
    ...oom,
    ...settings.map(({ file, value, wantedBy, why }) => {
      const met = isUp ? limitMet(path, file) : say('its cgroup is gone, and with it the counters');
      return say('{1}: {2} = {3} ({4}): {5}', wantedBy, file, value, say(why), met);
    }),
  ];
}

/** How often a limit was met, of a cgroup that is there. */
export function limitMet(path: string, file: string): Sentence {
  const seen = (counters[file] ?? []).flatMap(([counter, key, meaning]) => {
    const times = parseKeyed(readControl(join(path, counter)))[key] ?? 0;
    return times === 0 ? [] : [meaning(times)];
  });
  return seen.length > 0 ? joined(seen) : say('not met');
}
