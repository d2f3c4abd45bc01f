/** What is mounted in a mount namespace, and what each mount is for (man 5 proc, /proc/PID/mountinfo). */
import { readFileSync } from 'node:fs';
import { posix } from 'node:path';
import type { ContainerRecord } from '../record.ts';

/**
 * `root`: the layers; `host`: a path of the host; `volume`, `memory`; `names`: written by tsrun; `hidden` and `readOnly`: over
 * something of the kernel's; `kernel`: made by it.
 */
export type MountKind = 'root' | 'host' | 'volume' | 'memory' | 'names' | 'hidden' | 'readOnly' | 'kernel';

export interface MountEntry {
  id: number;
  /** Where it is mounted, as the namespace sees it. */
  point: string;
  /** What of the filesystem is mounted there. */
  root: string;
  type: string;
  source: string;
  /** Of the mount: `ro`, `nosuid`, … */
  options: string[];
  /** Of the filesystem. */
  superOptions: string[];
}

export interface MountView extends MountEntry {
  kind: MountKind;
  /** Of binds and volumes: what the user asked for on the host. */
  from: string | undefined;
}

export function parseMountinfo(text: string): MountEntry[] {
  const plain = (word = ''): string =>
    word.replace(/\\([0-7]{3})/g, (_, octal) => String.fromCharCode(Number.parseInt(octal, 8)));
  return text.split('\n').flatMap((line) => {
    const [before = '', after] = line.split(' - ');
    const fields = before.split(' ');
    const [type = '', source, superOptions = ''] = (after ?? '').split(' ');
    if (after === undefined) return [];
    return [
      {
        id: Number(fields[0]),
        point: plain(fields[4]),
        root: plain(fields[3]),
        type,
        source: plain(source),
        options: (fields[5] ?? '').split(','),
        superOptions: superOptions.split(','),
      },
    ];
  });
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
