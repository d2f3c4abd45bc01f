/** What a process may ask of the kernel: its user, its capabilities (man 7 capabilities), its seccomp filter. */
import { lastCapability, namesOfSet } from '../../linux/capabilities.ts';
import { architecture } from '../../linux/syscalls.ts';
import { type DecodedFilter, decodeFilter } from '../../runtime/seccomp/decode.ts';
import { readKeptFilter } from '../kept-filter.ts';
import { readStatus } from './processes.ts';

export const capabilitySets = ['effective', 'permitted', 'inheritable', 'bounding', 'ambient'] as const;
export type CapabilitySet = (typeof capabilitySets)[number];

export interface SecurityView {
  /** Effective, as the host counts. */
  uid: number;
  gid: number;
  groups: number[];
  capabilities: Record<CapabilitySet, string[]>;
  /** What nothing in the container can have any more: outside of the bounding set. */
  lost: string[];
  noNewPrivileges: boolean;
  /** How many filters the kernel has for it (Linux 5.9); undefined where it does not tell. */
  filters: number | undefined;
  /** The filter that its start loaded; undefined where it has none, or it is not known. */
  filter: DecodedFilter | undefined;
}

const keys: Record<CapabilitySet, string> = {
  effective: 'CapEff',
  permitted: 'CapPrm',
  inheritable: 'CapInh',
  bounding: 'CapBnd',
  ambient: 'CapAmb',
};

/** Of a container's first process; `directory` is the container's, where its filter is kept. Throws node:fs's errors where it has ended. */
export function securityOf(pid: number, directory?: string): SecurityView {
  const status = readStatus(pid);
  const set = (name: CapabilitySet): bigint => BigInt(`0x${status[keys[name]] ?? '0'}`);
  const named = Object.fromEntries(capabilitySets.map((name) => [name, namesOfSet(set(name))]));
  const all = (1n << BigInt(lastCapability() + 1)) - 1n;
  const kept = directory === undefined ? undefined : readKeptFilter(directory);
  const isFiltered = status.Seccomp === '2';
  return {
    uid: Number(status.Uid?.split('\t')[1]),
    gid: Number(status.Gid?.split('\t')[1]),
    groups: (status.Groups ?? '').split(' ').filter(Boolean).map(Number),
    capabilities: named as Record<CapabilitySet, string[]>,
    lost: namesOfSet(all & ~set('bounding')),
    noNewPrivileges: status.NoNewPrivs === '1',
    filters: status.Seccomp_filters === undefined ? undefined : Number(status.Seccomp_filters),
    filter: isFiltered && kept !== undefined && kept !== 'none' ? decodeFilter(kept, architecture) : undefined,
  };
}
