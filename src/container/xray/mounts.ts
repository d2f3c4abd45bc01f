/** What is mounted in a mount namespace, and what each mount is for (man 5 proc, /proc/PID/mountinfo). */
import { readFileSync } from 'node:fs';
import { posix } from 'node:path';
import { type MountinfoEntry, parseMountinfo as readMountinfo } from '../../linux/mountinfo.ts';
import type { ContainerRecord } from '../record.ts';

/**
 * `root`: the layers; `host`: a path of the host; `volume`, `memory`; `names`: written by tsrun; `hidden` and `readOnly`: over
 * something of the kernel's; `kernel`: made by it.
 */
export type MountKind = 'root' | 'host' | 'volume' | 'memory' | 'names' | 'hidden' | 'readOnly' | 'kernel';

export interface MountEntry extends Omit<MountinfoEntry, 'mountPoint'> {
  /** Where it is mounted, as the namespace sees it. */
  point: string;
}

export interface MountView extends MountEntry {
  kind: MountKind;
  /** Of binds and volumes: what the user asked for on the host. */
  from: string | undefined;
}

export function parseMountinfo(text: string): MountEntry[] {
  return readMountinfo(text).map(({ id, mountPoint, root, type, source, options, superOptions }) => ({
    ...{ id, point: mountPoint, root, type, source, options, superOptions },
  }));
}

/** The mounts of a process's namespace; none where the process has ended. */
export function readMounts(pid: number): MountEntry[] {
  try {
    return parseMountinfo(readFileSync(`/proc/${pid}/mountinfo`, 'utf8'));
  } catch {
    return [];
  }
}

const nameFiles = new Set(['/etc/hosts', '/etc/hostname', '/etc/resolv.conf']);

/** What each mount is for, by where it is and by what the container was given. */
export function describeMounts(entries: readonly MountEntry[], { mounts }: ContainerRecord): MountView[] {
  return entries.map((entry) => {
    const asked = mounts.find(({ destination }) => posix.resolve('/', destination) === entry.point);
    return { ...entry, kind: kindOf(entry, asked?.type), from: asked?.type === 'tmpfs' ? undefined : asked?.source };
  });
}

function kindOf({ point, root, type, options }: MountEntry, asked: string | undefined): MountKind {
  if (point === '/') return 'root';
  if (asked === 'bind') return 'host';
  if (asked === 'volume') return 'volume';
  if (asked === 'tmpfs') return 'memory';
  if (nameFiles.has(point)) return 'names';
  const ofKernel = /^\/(proc|sys)\//.test(point);
  if (ofKernel && root.endsWith('/null')) return 'hidden';
  if (ofKernel && type === 'tmpfs' && options.includes('ro')) return 'hidden';
  if (ofKernel && root !== '/' && (type === 'proc' || type === 'sysfs')) return 'readOnly';
  if (type === 'tmpfs' && point !== '/dev') return 'memory';
  return 'kernel';
}
