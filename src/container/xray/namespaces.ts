/** The namespaces of a process beside those of the host (man 7 namespaces). */
import { readlinkSync } from 'node:fs';

export const namespaceTypes = ['mnt', 'pid', 'net', 'ipc', 'uts', 'cgroup', 'user', 'time'] as const;
export type NamespaceType = (typeof namespaceTypes)[number];

export interface NamespaceView {
  type: NamespaceType;
  /** Inode number in nsfs: the kernel's name for it. */
  id: number;
  /** Of the one that tsrun itself is in. */
  hostId: number;
  /** Names of other containers whose processes are in it too. */
  sharedWith: string[];
}

/** The number of a process's namespace; undefined where the process, or the kind of namespace, is not there. */
export function namespaceId(pid: number | 'self', type: NamespaceType): number | undefined {
  try {
    const id = /\[(\d+)\]$/.exec(readlinkSync(`/proc/${pid}/ns/${type}`))?.[1];
    return id === undefined ? undefined : Number(id);
  } catch {
    return undefined;
  }
}

/** `others`: first processes of other containers, by the containers' names. */
export function namespacesOf(pid: number, others: ReadonlyMap<string, number> = new Map()): NamespaceView[] {
  return namespaceTypes.flatMap((type) => {
    const id = namespaceId(pid, type);
    const hostId = namespaceId('self', type);
    if (id === undefined || hostId === undefined) return [];
    const sharing = id === hostId ? [] : [...others].filter(([, other]) => namespaceId(other, type) === id);
    return [{ type, id, hostId, sharedWith: sharing.map(([name]) => name) }];
  });
}
