/** Which namespaces of a process differ from the caller's (man 7 namespaces). */
import { readlinkSync } from 'node:fs';
import type { NamespaceType } from './spec.ts';

const namespaceFiles: readonly (readonly [type: NamespaceType, file: string])[] = [
  ['user', 'user'],
  ['mount', 'mnt'],
  ['pid', 'pid'],
  ['network', 'net'],
  ['ipc', 'ipc'],
  ['uts', 'uts'],
  ['cgroup', 'cgroup'],
  ['time', 'time'],
];

/** The namespaces that are not the caller's own: joining one's own is refused, or needless. */
export function foreignNamespaces(pid: number): NamespaceType[] {
  const linkOf = (path: string): string | undefined => {
    try {
      return readlinkSync(path);
    } catch {
      return undefined;
    }
  };
  return namespaceFiles.flatMap(([type, file]) => {
    const theirs = linkOf(`/proc/${pid}/ns/${file}`);
    return theirs === undefined || theirs === linkOf(`/proc/self/ns/${file}`) ? [] : [type];
  });
}
