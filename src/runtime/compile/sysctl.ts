/**
 * Settings of the kernel (man 5 proc, /proc/sys) that a container may have of its own: those of its network, its ipc and its uts
 * namespace (man 7 namespaces). All else belongs to the machine, and so do these where the namespace is the machine's.
 */
import { statSync } from 'node:fs';
import { TsrunError } from '../../error.ts';
import type { LinuxNamespace, NamespaceType, Spec } from '../spec.ts';

const ofIpc = new Set('msgmax msgmnb msgmni sem shmall shmmax shmmni shm_rmid_forced'.split(' '));
const ofUts = new Set(['hostname', 'domainname']);

/** The path below /proc/sys of a name with dots or, where names of interfaces have dots, with slashes. */
export function sysctlPath(name: string): string {
  return name.includes('/') ? name : name.replaceAll('.', '/');
}

function namespaceOf(path: string): NamespaceType | undefined {
  const [top = '', second = '', ...rest] = path.split('/');
  if (top === 'net' && second !== '') return 'network';
  if (top === 'fs' && second === 'mqueue') return 'ipc';
  if (top !== 'kernel' || rest.length > 0) return undefined;
  return ofIpc.has(second) ? 'ipc' : ofUts.has(second) ? 'uts' : undefined;
}

/** Throws `USAGE`, in the words of runc, for a setting that would be one of the machine. */
export function checkSysctl(name: string, { linux }: Pick<Spec, 'linux'>): void {
  const path = sysctlPath(name);
  const type = path.split('/').some((part) => part === '..' || part === '.') ? undefined : namespaceOf(path);
  if (type === undefined) {
    throw new TsrunError('USAGE', `sysctl ${JSON.stringify(name)} is not in a separate kernel namespace`, {
      hint: 'it belongs to the machine: set it there, with sysctl -w',
    });
  }
  if (path === 'kernel/hostname') {
    throw new TsrunError(
      'USAGE',
      `sysctl ${JSON.stringify(name)} is not allowed as it conflicts with the OCI "hostname" field`,
      {
        hint: 'the name of a container is set by --hostname, or by the field "hostname" of a bundle',
      },
    );
  }
  const namespace = linux?.namespaces?.find((each) => each.type === type);
  if (namespace !== undefined && !isOwn(namespace)) return;
  const where = type === 'network' ? 'in host network namespace' : `in the hosts ${type} namespace`;
  throw new TsrunError(
    'USAGE',
    `sysctl ${JSON.stringify(name)} ${type === 'network' ? '' : 'is '}not allowed ${where}`,
    {
      hint: 'the container shares it with the machine, whose setting would be changed',
    },
  );
}

const files: Partial<Record<NamespaceType, string>> = { network: 'net', ipc: 'ipc', uts: 'uts' };

/** Whether it is joined by a path, and is the one that this process is in. */
function isOwn({ type, path }: LinuxNamespace): boolean {
  if (path === undefined) return false;
  try {
    const [joined, own] = [statSync(path), statSync(`/proc/self/ns/${files[type]}`)];
    return joined.ino === own.ino && joined.dev === own.dev;
  } catch {
    // What is not there cannot be joined either: that is said elsewhere.
    return false;
  }
}
