/** Lists of processors and memory nodes as `0-2,7` (man 7 cpuset, "List format"). */
import { join } from 'node:path';
import { TsrunError } from '../error.ts';
import type { LinuxResources } from '../runtime/spec.ts';
import { readControl } from './files.ts';

/** Far more than any machine has: a typing error must not make a list of billions. */
const HIGHEST = 1 << 16;

/** The numbers of a list; undefined for what is none. */
export function parseList(text: string): Set<number> | undefined {
  const numbers = new Set<number>();
  for (const part of text.trim().split(',')) {
    const match = /^\s*(\d+)(?:-(\d+))?\s*$/.exec(part);
    if (match === null) return undefined;
    const [first, last] = [Number(match[1]), Number(match[2] ?? match[1])];
    if (last < first || last > HIGHEST) return undefined;
    for (let number = first; number <= last; number++) numbers.add(number);
  }
  return numbers;
}

/**
 * Refuses processors and memory nodes that the machine does not have: the kernel would take the list and use others.
 * Throws `USAGE` with Docker's words.
 */
export function checkCpuset(mountPoint: string, { cpu }: LinuxResources): void {
  check(cpu?.cpus, 'CPUs', 'cpuset cpus', join(mountPoint, 'cpuset.cpus.effective'));
  check(cpu?.mems, 'memory nodes', 'cpuset mems', join(mountPoint, 'cpuset.mems.effective'));
}

function check(wanted: string | undefined, what: string, option: string, file: string): void {
  if (!wanted) return;
  const list = parseList(wanted);
  if (list === undefined) throw new TsrunError('USAGE', `Invalid value ${wanted} for ${option}`);
  const text = readControl(file);
  const available = text === undefined ? undefined : parseList(text);
  if (available === undefined || [...list].every((number) => available.has(number))) return;
  throw new TsrunError('USAGE', `Requested ${what} are not available - requested ${wanted}, available: ${text}`);
}
