/** Where images and containers are kept: the filesystem, what it can do, and how much room is left. */
import { readdirSync, readFileSync, statfsSync } from 'node:fs';
import { dirname } from 'node:path';
import { O_DIRECTORY, O_RDONLY } from '../../linux/constants.ts';
import { syscall } from '../../linux/ffi.ts';
import { AT_FDCWD, check, close, openat } from '../../linux/fs.ts';
import { mountHolding, parseMountinfo } from '../../linux/mountinfo.ts';
import { type Check, type Finding, unknown } from './finding.ts';
import { humanBytes } from './human-bytes.ts';

type StorageFinding = Omit<Finding, 'area'>;

/** Filesystems whose directories overlayfs does not take as an upper layer. */
const unfit = ['overlay', 'nfs', 'nfs4', 'cifs', 'smb3', 'vfat', 'exfat', 'fuse', 'fuse.sshfs', '9p', 'virtiofs'];
/** Bytes and files below which the next pull is likely to fail. */
const littleSpace = 1024 ** 3;
const littleInodes = 10_000;

export function storageChecks(root: string, state: string): Check {
  return {
    area: 'storage',
    run() {
      const place = existing(root);
      return [
        filesystemFinding(root, mountOf(place)),
        entryTypesFinding(place),
        ...roomFindings(place),
        stateFinding(state, mountOf(existing(state))),
      ];
    },
  };
}

/** The directory itself, or what is there of the way to it. */
function existing(path: string): string {
  try {
    readdirSync(path);
    return path;
  } catch {
    return dirname(path) === path ? path : existing(dirname(path));
  }
}

export interface MountEntry {
  mountPoint: string;
  type: string;
  options: readonly string[];
}

/** The mount that a path is on (man 5 proc, mountinfo): the last one that holds it. */
export function mountOf(path: string, mountinfo = readFileSync('/proc/self/mountinfo', 'utf8')): MountEntry {
  const found = mountHolding(parseMountinfo(mountinfo), path);
  if (found === undefined) return { mountPoint: '', type: 'unknown', options: [] };
  const { mountPoint, type, options, superOptions } = found;
  return { mountPoint, type, options: [...options, ...superOptions] };
}

/** Whether overlayfs can stand on it. */
export function filesystemFinding(root: string, { type, mountPoint, options }: MountEntry): StorageFinding {
  const base = { name: 'filesystem', detail: `${root} is on ${type}, mounted at ${mountPoint}` };
  const elsewhere = 'set TSRUN_ROOT to a directory on ext4, xfs or btrfs';
  if (unfit.includes(type) || type.startsWith('fuse.')) {
    const meaning =
      type === 'overlay'
        ? 'an overlay cannot have its upper directory on another one: tsrun runs inside a container'
        : 'overlayfs does not take directories there';
    return { ...base, verdict: 'problem', meaning, remedy: elsewhere };
  }
  if (options.includes('ro')) {
    return { ...base, verdict: 'problem', meaning: 'it is read-only: nothing can be pulled or run', remedy: elsewhere };
  }
  const bad = ['noexec', 'nosuid', 'nodev'].filter((option) => options.includes(option));
  if (bad.includes('noexec')) {
    return {
      ...base,
      verdict: 'problem',
      meaning: 'it is mounted noexec: no program of an image can be executed',
      remedy: `mount -o remount,exec ${mountPoint}`,
    };
  }
  if (bad.includes('nosuid')) {
    return {
      ...base,
      verdict: 'warning',
      meaning: 'it is mounted nosuid: sudo, ping and their like have no effect in containers',
      remedy: `mount -o remount,suid ${mountPoint}`,
    };
  }
  if (type === 'tmpfs' || type === 'ramfs') {
    return {
      ...base,
      verdict: 'warning',
      meaning: 'images are kept in memory, and are gone with the next boot',
      remedy: elsewhere,
    };
  }
  return { ...base, verdict: 'ok' };
}

const DT_UNKNOWN = 0;

/** Whether readdir tells what entries are: overlayfs needs it (man 2 getdents64; XFS that was made with ftype=0 does not). */
function entryTypesFinding(directory: string): StorageFinding {
  const name = 'd_type';
  let fd: number;
  try {
    fd = openat(AT_FDCWD, directory, O_RDONLY | O_DIRECTORY);
  } catch (error) {
    return unknown(name, error);
  }
  try {
    const entries = Buffer.alloc(1024);
    check(syscall('getdents64', fd, entries, entries.length), 'getdents64', directory);
    // struct linux_dirent64: inode, offset, length of the record, type
    if (entries[18] !== DT_UNKNOWN) return { name, verdict: 'ok', detail: 'entries of directories have types' };
  } finally {
    close(fd);
  }
  return {
    name,
    verdict: 'problem',
    detail: 'entries of directories have no types',
    meaning: 'overlayfs cannot tell deleted files there',
    remedy: 'make the filesystem again, XFS with: mkfs.xfs -n ftype=1',
  };
}

function roomFindings(directory: string): StorageFinding[] {
  const { bavail, bsize, blocks, ffree, files } = statfsSync(directory);
  return [spaceFinding(bavail * bsize, blocks * bsize), ...(files === 0 ? [] : [inodeFinding(ffree, files)])];
}

/** Bytes that are free, and all of them. */
export function spaceFinding(free: number, all: number): StorageFinding {
  const base = { name: 'free space', detail: `${humanBytes(free)} of ${humanBytes(all)}` };
  if (free >= littleSpace) return { ...base, verdict: 'ok' };
  return {
    ...base,
    verdict: free === 0 ? 'problem' : 'warning',
    meaning: 'the next pull may not fit',
    remedy: 'tsrun system prune -a',
  };
}

function inodeFinding(free: number, all: number): StorageFinding {
  const base = { name: 'free inodes', detail: `${free} of ${all}` };
  if (free >= littleInodes) return { ...base, verdict: 'ok' };
  return {
    ...base,
    verdict: free === 0 ? 'problem' : 'warning',
    meaning: 'the next pull may find no room for its files',
    remedy: 'tsrun system prune -a',
  };
}

/** State must not survive a reboot: pids and locks would mean others. */
function stateFinding(state: string, { type, options }: MountEntry): StorageFinding {
  const base = { name: 'state directory', detail: `${state} is on ${type}` };
  if (options.includes('ro')) {
    return {
      ...base,
      verdict: 'problem',
      meaning: 'it is read-only',
      remedy: 'set TSRUN_STATE to a directory on tmpfs',
    };
  }
  return { ...base, verdict: 'ok' };
}
