/** The processes of a container, as the host sees them (man 5 proc). */
import { readdirSync, readlinkSync } from 'node:fs';
import { processesBelow } from '../cgroup/control.ts';
import type { Container } from './record.ts';

/** Pids in the host's namespace: of its cgroup, else of its pid namespace. */
export function processesOf({ state }: Container): number[] {
  const cgroup = state.start?.cgroup ?? '';
  if (cgroup !== '') return processesBelow(cgroup);
  const namespace = pidNamespace(state.pid);
  // With --pid=host all processes of the machine would be its own.
  if (namespace === undefined || namespace === pidNamespace(process.pid)) return state.pid === 0 ? [] : [state.pid];
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => pidNamespace(pid) === namespace);
}

function pidNamespace(pid: number): string | undefined {
  try {
    return readlinkSync(`/proc/${pid}/ns/pid`);
  } catch {
    return undefined;
  }
}
