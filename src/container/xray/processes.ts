/** The processes of a container with the numbers that the host and the container know them by (man 5 proc). */
import { readFileSync } from 'node:fs';

export interface ProcessView {
  pid: number;
  /** In the innermost pid namespace that it is in. */
  innerPid: number;
  parent: number;
  /** As the host counts users. */
  uid: number;
  /** `S` sleeps, `R` runs, `D` waits for a disk, `Z` has ended, … */
  state: string;
  threads: number;
  /** Bytes in memory; 0 for what has ended. */
  memory: number;
  name: string;
  /** Empty where it has none any more. */
  command: string;
  /** How deep it is below the first process. */
  depth: number;
}

/** Of some pids those that are there, each behind its parent. */
export function processTree(pids: readonly number[]): ProcessView[] {
  const found = pids.flatMap((pid) => readProcess(pid) ?? []).sort((a, b) => a.pid - b.pid);
  const known = new Set(found.map(({ pid }) => pid));
  const ordered: ProcessView[] = [];
  const append = (parent: number | undefined, depth: number): void => {
    for (const process of found) {
      const isChild = parent === undefined ? !known.has(process.parent) : process.parent === parent;
      if (!isChild) continue;
      ordered.push({ ...process, depth });
      append(process.pid, depth + 1);
    }
  };
  append(undefined, 0);
  return ordered;
}

/** One process; undefined where it has ended. */
export function readProcess(pid: number): ProcessView | undefined {
  let status: Record<string, string>;
  let command: string;
  try {
    status = readStatus(pid);
    command = readFileSync(`/proc/${pid}/cmdline`, 'utf8').replace(/\0+$/, '').replaceAll('\0', ' ');
  } catch {
    return undefined;
  }
  return {
    pid,
    innerPid: Number(status.NSpid?.split('\t').at(-1) ?? pid),
    parent: Number(status.PPid),
    uid: Number(status.Uid?.split('\t')[0]),
    state: status.State?.[0] ?? '?',
    threads: Number(status.Threads ?? 0),
    memory: Number.parseInt(status.VmRSS ?? '0', 10) * 1024,
    name: unescapeName(status.Name ?? ''),
    command,
    depth: 0,
  };
}

/** /proc/PID/status by its keys. Throws node:fs's errors. */
export function readStatus(pid: number | 'self'): Record<string, string> {
  const entries = readFileSync(`/proc/${pid}/status`, 'utf8')
    .split('\n')
    .map((line) => line.split(/:\t? */))
    .filter(([key]) => key);
  return Object.fromEntries(entries.map(([key = '', ...rest]) => [key, rest.join(':')]));
}

/** The kernel writes line ends and backslashes of a name as \n and \\ there. */
function unescapeName(name: string): string {
  return name.replace(/\\([n\\])/g, (_, character) => (character === 'n' ? '\n' : '\\'));
}
